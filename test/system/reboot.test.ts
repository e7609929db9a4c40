import assert from "node:assert/strict";
import { cp, lstat, rm } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import type { AgentStatus } from "@skerry/agent";
import { eventually } from "@skerry/base/testing";
import type { ContainerStatus, Node, Pod } from "@skerry/machinery/types";
import { disorder, holdingsOf, instanceOf, runningContainers } from "./containers.ts";
import { configMap, deployment, documents, pod, SLEEP } from "./manifests.ts";
import { RebootableMachine } from "./rebootable-machine.ts";

const HOST_PORT = 18_080;
/** Counts its own starts in a volume that lives as long as the pod. */
const COUNT = `cat /config/WORD; echo start >> /data/starts; wc -l < /data/starts; ${SLEEP}`;

function counted(): Pod {
  const counter = pod("counter", { script: COUNT, files: "settings", restartPolicy: "OnFailure" });
  counter.spec?.volumes?.push({ name: "data", emptyDir: {} });
  counter.spec?.containers?.[0]?.volumeMounts?.push({ name: "data", mountPath: "/data" });
  return counter;
}

const MANIFESTS = documents(
  configMap("settings", { WORD: "sea" }),
  deployment("web", 2),
  pod("server", { hostPort: HOST_PORT }),
  counted(),
  pod("once", { script: SLEEP, restartPolicy: "Never" }),
  pod("once-ended", { script: "exit 0", restartPolicy: "Never" }),
  pod("ended", { script: "exit 0", restartPolicy: "OnFailure" }),
);

const podsOf = async (machine: RebootableMachine): Promise<Map<string, Pod>> => {
  const { items } = await machine.get<{ items: Pod[] }>("pods");
  return new Map(items.map((each) => [each.metadata.name?.replace(/^web-.*-/, "web-") ?? "", each]));
};

const mainOf = (each: Pod | undefined): ContainerStatus | undefined => each?.status?.containerStatuses?.[0];
const isReady = ({ status }: Pod | Node): boolean =>
  (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True");

async function agentOf(machine: RebootableMachine): Promise<AgentStatus> {
  const socket = path.join(machine.dataDir, "run/agent.sock");
  const { stdout } = await machine.exec("curl", ["-s", "--unix-socket", socket, "http://agent/status"]);
  return JSON.parse(stdout) as AgentStatus;
}

/** The pods run, offline, as they shall after a reboot; returns the containers. */
async function awaitRestored(machine: RebootableMachine): Promise<string[]> {
  await eventually(
    async () => {
      const { pods } = await agentOf(machine);
      const phases = Object.fromEntries(pods.map(({ name, phase }) => [name, phase]));
      return (
        phases["once"] === "Failed" &&
        phases["once-ended"] === "Succeeded" &&
        phases["ended"] === "Succeeded" &&
        pods.filter((each) => each.ready).length === 4
      );
    },
    { what: "every pod to be as its policy says", timeoutMs: 30_000, everyMs: 100 },
  );
  const running = await runningContainers(machine);
  assert.equal(running.length, 4, running.map(({ name }) => name).join());
  return running.map(({ id }) => id);
}

async function assertServed(machine: RebootableMachine, addresses: Iterable<string>): Promise<void> {
  for (const address of addresses) {
    const { stdout } = await machine.exec("curl", ["-s", "--max-time", "5", `http://${address}/`]);
    assert.match(stdout, /<title>hello/, `${address} answers`);
  }
}

interface Reboot {
  what: string;
  /** Between the power cut and the agent's start. */
  before?: (machine: RebootableMachine, podCidr: string) => Promise<void>;
  keepsRun?: boolean;
}

const REBOOTS: Reboot[] = [
  { what: "comes back without /run" },
  {
    what: "comes back without /run, and with its sandboxes and containers removed through CRI",
    before: async (machine, podCidr) => {
      const script = path.join(import.meta.dirname, "remove-pods.child.ts");
      const args = [script, await instanceOf(machine), machine.dataDir, podCidr];
      const { stdout, stderr } = await machine.exec(process.execPath, args);
      assert.match(stdout, /^\d+ 0$/m, stderr);
    },
  },
  { what: "finds the files of its run folder as they were, because they lie on a disk", keepsRun: true },
];

describe("An edge that reboots while its cloud is away", () => {
  for (const { what, before, keepsRun = false } of REBOOTS) {
    it(`runs what its pods' policies say when it ${what}; the cloud restarts nothing when it returns`, async () => {
      await using machine = await RebootableMachine.create();
      await machine.skerry("up", "--no-sample");
      const applied = await machine.kubectlOutcome(["apply", "-f", "-"], { input: MANIFESTS });
      assert.equal(applied.code, 0, applied.stderr);
      const first = await eventually(
        async () => {
          const pods = await podsOf(machine);
          const ended = [pods.get("ended"), pods.get("once-ended")];
          return [...pods.values()].filter(isReady).length === 5 && ended.every(isSucceeded) && pods;
        },
        { what: "all pods", timeoutMs: 30_000, everyMs: 200 },
      );
      await assertServed(machine, [`127.0.0.1:${HOST_PORT}`]);
      const cidr = (await machine.get<Node>("node", "edge")).spec?.podCIDR ?? "";

      const saved = `${machine.dataDir}.run`;
      if (keepsRun) await cp(path.join(machine.dataDir, "run"), saved, { recursive: true, filter: isPlainFile });
      await machine.powerCut();
      if (keepsRun) await cp(saved, path.join(machine.dataDir, "run"), { recursive: true });
      await rm(saved, { recursive: true, force: true });
      await machine.boot();
      await before?.(machine, cidr);
      await machine.skerry("edge", "start");

      const restored = await awaitRestored(machine);
      await assertServed(machine, [`127.0.0.1:${HOST_PORT}`]);
      const { leases } = await holdingsOf(machine);
      const network = cidr.replace(/\.0\/24$/, ".");
      assert.notEqual(cidr, "");
      for (const address of Object.keys(leases)) assert.ok(address.startsWith(network), `${address} is of ${cidr}`);
      const uids = new Set([...first.values()].map(({ metadata }) => metadata.uid ?? ""));
      assert.deepEqual(await disorder(machine, uids), []);

      await machine.skerry("cloud", "start");
      const pods = await eventually(
        async () => {
          const [now, node] = [await podsOf(machine), await machine.get<Node>("node", "edge")];
          const right = [...now.values()].filter((each) => isReady(each) && mainOf(each)?.restartCount === 1);
          return isReady(node) && right.length === 4 && now.get("once")?.status?.phase === "Failed" && now;
        },
        { what: "statuses to be right after the cloud's return", timeoutMs: 15_000, everyMs: 200 },
      );
      assert.deepEqual(
        (await runningContainers(machine)).map(({ id }) => id),
        restored,
        "the cloud's return restarted nothing",
      );
      assert.deepEqual(new Set([...pods.values()].map(({ metadata }) => metadata.uid)), uids, "the pods are the same");
      assert.ok([pods.get("ended"), pods.get("once-ended")].every(isSucceeded));
      const ips = [...pods.values()].filter(isReady).map(({ status }) => status?.podIP ?? "");
      assert.deepEqual(
        ips.toSorted(),
        Object.keys(leases).toSorted(),
        "the addresses that the cloud knows are the real ones",
      );
      assert.equal(new Set(ips).size, 4);
      const web = [...pods.values()].filter(({ metadata }) => metadata.labels?.["app"] === "web");
      await assertServed(
        machine,
        web.map(({ status }) => `${status?.podIP}:8080`),
      );
      assert.match(await machine.kubectl("logs", "counter"), /^sea2$/m, "the volume outlived the reboot");
      assert.notEqual(mainOf(pods.get("once"))?.state?.terminated?.exitCode, 0);
      assert.deepEqual(await disorder(machine, uids), []);
    });
  }
});

const isSucceeded = (each: Pod | undefined): boolean => each?.status?.phase === "Succeeded";

/** Sockets and what is mounted cannot be copied, and do not survive a reboot in any case. */
async function isPlainFile(source: string): Promise<boolean> {
  if (/\/(rootfs|shm|netns)\/.+/.test(source)) return false;
  const stat = await lstat(source).catch(() => undefined);
  return stat !== undefined && (stat.isFile() || stat.isDirectory());
}
