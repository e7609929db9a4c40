import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import type { Container, Pod, PodSpec, PodStatus } from "@skerry/machinery/types";
import { projectionHash } from "@skerry/wire";
import { podsSlice } from "../src/containerd/cgroups.ts";
import type { MachineFacts } from "../src/node/machine-facts.ts";
import { Agent, cgroupSetup, HELLO_IMAGE, linuxCgroups, readMachine, type PrivateContainerd } from "../src/index.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";

/** One edge with real containers and without a cloud: what the cloud would send is put into the cache. */
class Edge implements AsyncDisposable {
  readonly place: EdgeSandbox;
  /** What the agent is to take for true of the machine from its next look at it on. */
  machine: Partial<MachineFacts> = {};
  #containerd: PrivateContainerd | undefined;
  #agent: Agent | undefined;
  #bootId = randomUUID();

  constructor(place: EdgeSandbox) {
    this.place = place;
  }

  get dataDir(): string {
    return path.join(this.place.dir, "edge");
  }

  get agent(): Agent {
    return this.#agent ?? assert.fail("the agent does not run");
  }

  get containerd(): PrivateContainerd {
    return this.#containerd ?? assert.fail("the agent does not run");
  }

  async start(): Promise<void> {
    const containerd = this.place.open();
    this.#containerd = containerd;
    containerd.start();
    await eventually(() => containerd.ensureBuiltinImages(AbortSignal.timeout(60_000)), { timeoutMs: 60_000 });
    const { driver } = await cgroupSetup();
    const agent = new Agent({
      dataDir: this.dataDir,
      nodeName: "n1",
      runtime: containerd.runtime,
      cgroups: linuxCgroups({ instance: this.place.instance, driver }),
      configureNetwork: (podCidr, signal) => containerd.setUpNetwork(podCidr, signal),
      readMachine: async () => ({ ...(await readMachine(this.place.dir)), bootId: this.#bootId, ...this.machine }),
    });
    this.#agent = agent;
    await agent.start();
    const node = { metadata: { name: "n1", uid: "n1" }, spec: { podCIDR: "10.97.3.0/24" } };
    await this.put("nodes", node);
    await eventually(() => agent.status().runtime.problems.length === 0 && agent.status().problems.length === 0, {
      what: "the node to be ready",
    });
  }

  async stop(): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
    this.#agent = undefined;
  }

  /** Everything that runs is gone at once; what is on the disk stays. */
  async powerCut(): Promise<void> {
    await this.stop();
    await this.place.powerCut();
    this.#bootId = randomUUID();
  }

  async put(resource: string, object: Pick<Pod, "metadata">): Promise<void> {
    const { namespace = "", name = "", uid = "" } = object.metadata;
    const bytes = Buffer.from(JSON.stringify(object));
    const held = { resource, namespace, name, uid, hash: projectionHash(bytes) };
    await this.agent.cache.commit([{ op: "put", object: held, bytes }]);
  }

  statusOf(wanted: Pod): PodStatus {
    return this.agent.cache.facts(wanted.metadata.uid ?? "")?.status ?? {};
  }

  async untilPhase(wanted: Pod, phase: string): Promise<PodStatus> {
    return eventually(() => this.statusOf(wanted).phase === phase && this.statusOf(wanted), {
      what: `pod ${wanted.metadata.name} to be ${phase}`,
    });
  }

  async logs(wanted: Pod, query = ""): Promise<string> {
    const { namespace, name } = wanted.metadata;
    const target = `/containerLogs/${namespace}/${name}/main${query}`;
    const body = (async function* () {})();
    const response = await this.agent.serve(
      { method: "GET", path: target, headers: {}, body },
      AbortSignal.timeout(10_000),
    );
    let text = "";
    for await (const part of response.body) text += Buffer.from(part).toString();
    return text;
  }

  /** Takes a pod away as the cloud does: deleted, and forgotten once it is gone here. */
  async remove(wanted: Pod, graceSeconds = 1): Promise<void> {
    const deletion = { deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: graceSeconds };
    await this.put("pods", { ...wanted, metadata: { ...wanted.metadata, ...deletion } });
    const uid = wanted.metadata.uid ?? "";
    await eventually(() => this.agent.cache.facts(uid)?.finished, { what: "the pod to be gone" });
    const { namespace = "", name = "" } = wanted.metadata;
    await this.agent.cache.commit([{ op: "delete", object: { resource: "pods", namespace, name, uid, hash: "" } }]);
    await eventually(() => this.agent.cache.pod(uid) === undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.place[Symbol.asyncDispose]();
  }
}

/** Where the kernel shows a pod's cgroup; of version 1, in one of its hierarchies. */
async function cgroupOf({ place: { instance } }: Edge, { metadata: { uid = "" } }: Pod): Promise<string> {
  const { driver, version } = await cgroupSetup();
  const parent = linuxCgroups({ instance, driver }).parentOf(uid);
  const tree = driver === "systemd" ? `${podsSlice(instance)}.slice` : version === 1 ? "memory" : "";
  return path.join("/sys/fs/cgroup", tree, parent);
}

const shell = (script: string): Partial<Container> => ({ command: ["/bin/sh", "-c", script] });
const FOREVER = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done";

function podOf(name: string, container: Partial<Container>, spec: Partial<PodSpec> = {}): Pod {
  return {
    metadata: { namespace: "default", name, uid: randomUUID() },
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 2,
      containers: [{ name: "main", image: HELLO_IMAGE, imagePullPolicy: "IfNotPresent", ...container }],
      ...spec,
    },
  };
}

describe("an edge with real containers", { concurrency: false }, () => {
  let edge: Edge;

  before(async () => {
    edge = new Edge(await EdgeSandbox.create());
    await edge.start();
  });

  after(async () => {
    await edge[Symbol.asyncDispose]();
  });

  it("gives a container what its pod says: environment, volumes, limits, hosts, and takes its logs and last words", async () => {
    await edge.put("configmaps", {
      metadata: { namespace: "default", name: "settings", uid: "c1" },
      data: { colour: "grey" },
    } as Pick<Pod, "metadata">);
    await edge.put("secrets", {
      metadata: { namespace: "default", name: "keys", uid: "s1" },
      data: { token: Buffer.from("open sesame").toString("base64") },
    } as Pick<Pod, "metadata">);
    const job = podOf(
      "everything",
      {
        ...shell(
          [
            "echo colour=$COLOUR name=$NAME both=$BOTH",
            "echo file=$(cat /config/colour) secret=$(cat /secret/token) one=$(cat /one)",
            "grep -c '/memory tmpfs' /proc/mounts",
            "grep /secret /proc/mounts | cut -d' ' -f1-3",
            "cat /etc/hosts | grep alias",
            "hostname",
            "(cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max) 2>/dev/null",
            "touch /cache/x && id -u",
            "echo -n last words > /dev/termination-log",
            "exit 3",
          ].join("; "),
        ),
        env: [
          { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "settings", key: "colour" } } },
          { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "BOTH", value: "$(COLOUR)-$(NAME)" },
        ],
        resources: { limits: { memory: "64Mi", cpu: "500m" } },
        securityContext: { runAsUser: 1000 },
        volumeMounts: [
          { name: "config", mountPath: "/config" },
          { name: "config", mountPath: "/one", subPath: "colour" },
          { name: "secret", mountPath: "/secret", readOnly: true },
          { name: "memory", mountPath: "/memory" },
          { name: "cache", mountPath: "/cache" },
        ],
      },
      {
        restartPolicy: "Never",
        hostAliases: [{ ip: "192.0.2.9", hostnames: ["alias.example"] }],
        volumes: [
          { name: "config", configMap: { name: "settings", defaultMode: 0o644 } },
          { name: "secret", secret: { secretName: "keys", defaultMode: 0o644 } },
          { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
          { name: "cache", emptyDir: {} },
        ],
      },
    );
    await edge.put("pods", job);
    const status = await edge.untilPhase(job, "Failed");
    const text = await edge.logs(job);
    assert.equal(
      text,
      [
        "colour=grey name=everything both=grey-everything",
        "file=grey secret=open sesame one=grey",
        "1",
        "skerry /secret tmpfs",
        "192.0.2.9\talias.example",
        "everything",
        String(64 * 2 ** 20),
        "1000",
        "",
      ].join("\n"),
    );
    const ended = status.containerStatuses?.[0]?.state?.terminated;
    assert.equal(ended?.exitCode, 3);
    assert.equal(ended?.message, "last words");
    assert.equal(ended?.reason, "Error");
    await edge.remove(job);
  });

  it("lets containers only read what is theirs to read, with what is mounted inside it", async () => {
    await edge.put("configmaps", {
      metadata: { namespace: "default", name: "site", uid: "c2" },
      data: { colour: "grey", size: "9" },
    } as Pick<Pod, "metadata">);
    const reader = podOf(
      "reader",
      {
        ...shell(
          [
            "for file in /etc/colour /etc/new /one /mixed/own/x; do (echo red > $file) 2>/dev/null && echo wrote $file; done",
            "echo $(cat /etc/colour) $(cat /etc/inner/size) $(grep -c reader /etc/hosts) $(test -s /etc/resolv.conf && echo names)",
            "echo done > /etc/last-words",
          ].join("; "),
        ),
        terminationMessagePath: "/etc/last-words",
        volumeMounts: [
          { name: "site", mountPath: "/etc" },
          { name: "site", mountPath: "/one", subPath: "colour" },
          { name: "site", mountPath: "/etc/inner/size", subPath: "size" },
          { name: "site", mountPath: "/mixed" },
          { name: "own", mountPath: "/mixed/own" },
        ],
      },
      {
        restartPolicy: "Never",
        volumes: [
          { name: "site", configMap: { name: "site" } },
          { name: "own", emptyDir: {} },
        ],
      },
    );
    await edge.put("pods", reader);
    const status = await edge.untilPhase(reader, "Succeeded");
    assert.equal(await edge.logs(reader), "wrote /mixed/own/x\ngrey 9 1 names\n");
    assert.equal(status.containerStatuses?.[0]?.state?.terminated?.message, "done\n");
    await edge.remove(reader);
  });

  it("runs a pod with an address, restarts it when it dies, and takes it down in its grace", async () => {
    const web = podOf("web", shell(`echo up; ${FOREVER}`));
    await edge.put("pods", web);
    const status = await edge.untilPhase(web, "Running");
    assert.match(status.podIP ?? "", /^10\.97\.3\./);
    assert.match(status.containerStatuses?.[0]?.containerID ?? "", /^containerd:\/\/[0-9a-f]{64}$/);
    const id = status.containerStatuses?.[0]?.containerID?.slice("containerd://".length) ?? "";
    await edge.containerd.runtime.stopContainer(id, 0, AbortSignal.timeout(10_000));
    await eventually(() => edge.statusOf(web).containerStatuses?.[0]?.restartCount === 1);
    await edge.untilPhase(web, "Running");
    assert.equal(await edge.logs(web, "?previous=true"), "up\n");
    await edge.remove(web, 5);
  });

  it("takes a pod down in whose cgroup a process is left that the runtime does not know", async () => {
    const web = podOf("web", shell(FOREVER));
    await edge.put("pods", web);
    await edge.untilPhase(web, "Running");
    const stray = spawn("sleep", ["600"], { stdio: "ignore" });
    const ended = once(stray, "exit");
    const folder = path.join(await cgroupOf(edge, web), "stray");
    await mkdir(folder);
    await writeFile(path.join(folder, "cgroup.procs"), String(stray.pid));
    await edge.remove(web);
    assert.deepEqual(await ended, [null, "SIGKILL"]);
    assert.ok(!existsSync(folder));
  });

  it("finds its pods as they are after the agent was away, and again what runs after a power cut", async () => {
    const ports = [{ containerPort: 80, hostPort: 18080 }];
    const always = podOf("always", { ...shell(FOREVER), ports });
    const never = podOf("never", shell(FOREVER), { restartPolicy: "Never" });
    await edge.put("pods", always);
    await edge.put("pods", never);
    const was = await edge.untilPhase(always, "Running");
    await edge.untilPhase(never, "Running");

    await edge.stop();
    await edge.start();
    await edge.agent.idle();
    assert.deepEqual(edge.statusOf(always).containerStatuses, was.containerStatuses);

    await edge.powerCut();
    await edge.start();
    const now = await eventually(() => {
      const status = edge.statusOf(always);
      const [container] = status.containerStatuses ?? [];
      return container?.state?.running && container.restartCount === 1 && status;
    });
    assert.match(now.podIP ?? "", /^10\.97\.3\./);
    assert.equal(now.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 255);
    const ended = await edge.untilPhase(never, "Failed");
    assert.equal(ended.containerStatuses?.[0]?.state?.terminated?.exitCode, 255);
    await edge.remove(always);
    await edge.remove(never);
  });

  it("runs nothing again when its memory was lost, and shows what was said before", async () => {
    const web = podOf("web", shell(`echo up; ${FOREVER}`));
    const job = podOf("job", shell("echo done once"), { restartPolicy: "Never" });
    await edge.put("pods", web);
    await edge.put("pods", job);
    await edge.untilPhase(web, "Running");
    await edge.untilPhase(job, "Succeeded");
    await edge.agent.idle();
    const told = [web, job].map((one): Pod => ({ ...one, status: edge.statusOf(one) }));
    await edge.stop();
    for (const suffix of ["", "-wal"]) await rm(path.join(edge.dataDir, `cache.db${suffix}`), { force: true });
    await edge.start();
    for (const one of told) await edge.put("pods", one);
    await edge.agent.cache.inSync();
    await edge.agent.idle();
    for (const one of told) assert.deepEqual(edge.statusOf(one), one.status);
    assert.equal(await edge.logs(job), "done once\n");
    assert.equal(await edge.logs(web), "up\n");
    await edge.remove(web);
    await edge.remove(job);
  });

  it("says OOMKilled of a container that ate its memory, and nothing of one that went on without the process that did", async () => {
    const limited = (script: string): Partial<Container> => ({
      ...shell(script),
      resources: { limits: { memory: "16Mi" } },
    });
    // Whether the end or its cause is told first is chance.
    const hungry = Array.from({ length: 6 }, (_, serial) =>
      podOf(`hungry-${serial}`, limited("exec tail /dev/zero"), { restartPolicy: "Never" }),
    );
    const again = podOf("hungry-again", limited("exec tail /dev/zero"));
    const coped = podOf("coped", limited("tail /dev/zero; echo ended by $?"), { restartPolicy: "Never" });
    for (const one of [...hungry, again, coped]) await edge.put("pods", one);
    const mainOf = (one: Pod) => edge.statusOf(one).containerStatuses?.[0];
    for (const one of hungry) {
      await edge.untilPhase(one, "Failed");
      await eventually(() => mainOf(one)?.state?.terminated?.reason === "OOMKilled", {
        what: `${one.metadata.name}'s cause`,
      });
      assert.equal(mainOf(one)?.state?.terminated?.exitCode, 137);
    }
    await eventually(() => {
      const { lastState, restartCount = 0 } = mainOf(again) ?? {};
      return restartCount > 0 && lastState?.terminated?.reason === "OOMKilled";
    });
    await edge.untilPhase(coped, "Succeeded");
    assert.match(await edge.logs(coped), /^ended by 137$/m);
    assert.equal(mainOf(coped)?.state?.terminated?.reason, "Completed");
    for (const one of [...hungry, again, coped]) await edge.remove(one);
  });

  it("starts pods though the node has no name server, and gives them its servers as they run", async () => {
    const none = { servers: [], ownServers: [], searches: [], options: [] };
    await edge.stop();
    edge.machine = { dns: none };
    await edge.start();
    const shows =
      'while true; do now=$(cat /etc/resolv.conf); [ "$now" = "$was" ] || echo "$now"; was=$now; sleep 1; done';
    const mounted =
      "grep -c ' /etc/resolv.conf ' /proc/mounts; (echo mine > /etc/resolv.conf) 2> /dev/null || echo read-only";
    const web = podOf("nameless", shell(`${mounted}; ${shows}`));
    const shared = podOf("nameless-too", shell(shows), { hostNetwork: true });
    await edge.put("pods", shared);
    await edge.put("pods", web);
    await edge.untilPhase(shared, "Running");
    const started = await edge.untilPhase(web, "Running");
    const seen: string[] = [];
    /** Waits until both show this one after what they have shown before. */
    const untilShown = async (server: string): Promise<void> => {
      seen.push(`nameserver ${server}\n`);
      const [own, host] = [`1\nread-only\n${seen.join("")}`, seen.join("")];
      await eventually(async () => (await edge.logs(web)) === own, { what: `${server} in the pod` });
      await eventually(async () => (await edge.logs(shared)) === host, { what: `${server} on the host's network` });
    };
    await untilShown("127.0.0.1");
    edge.machine = { dns: { ...none, servers: ["192.0.2.53"] } };
    await untilShown("192.0.2.53");
    // The file that containers have mounted stays the same one when the agent is another.
    await edge.stop();
    edge.machine = { dns: { ...none, servers: ["192.0.2.153"] } };
    await edge.start();
    await untilShown("192.0.2.153");
    assert.deepEqual(edge.statusOf(web).containerStatuses, started.containerStatuses);
    for (const one of [web, shared]) await edge.remove(one, 0);
  });

  it("leaves nothing of its pods behind", async () => {
    assert.deepEqual(await edge.containerd.runtime.listSandboxes(AbortSignal.timeout(5_000)), []);
    assert.deepEqual(await readdir(path.join(edge.dataDir, "pods")), []);
    assert.deepEqual(await readdir(path.join(edge.dataDir, "logs", "pods")), []);
    const mounts = await readFile("/proc/self/mountinfo", "utf8");
    assert.equal(mounts.includes(`${edge.dataDir}/pods`), false);
    for (const hierarchy of await readdir("/sys/fs/cgroup")) {
      const folder = path.join("/sys/fs/cgroup", hierarchy, `skerry-${edge.place.instance}`);
      const names = await readdir(folder, { withFileTypes: true }).catch(() => []);
      assert.deepEqual(
        names.filter((one) => one.isDirectory()).map((one) => one.name),
        [],
        folder,
      );
    }
  });
});
