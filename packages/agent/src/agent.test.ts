import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { eventually, FakeClock } from "@skerry/base/testing";
import type { Node, Pod } from "@skerry/machinery/types";
import { projectionHash } from "@skerry/wire";
import { Agent, type AgentOptions } from "./agent.ts";
import type { AgentStatus } from "./health.ts";
import { readMachine } from "./node/machine-facts.ts";
import { FakeRuntime } from "./runtime/fake/fake-runtime.ts";
import { noCgroups } from "./pods/cgroups.ts";
import type { NodeDns } from "./pods/dns.ts";
import { pod } from "./pods/edge-fixture.ts";
import { noMounts } from "./volumes/mounts.ts";

class Place implements AsyncDisposable {
  readonly dataDir: string;
  constructor(dataDir: string) {
    this.dataDir = dataDir;
  }
  static async create(): Promise<Place> {
    return new Place(await mkdtemp(path.join(tmpdir(), "skerry-agent-")));
  }
  agent(runtime: FakeRuntime, options: Partial<AgentOptions> = {}): Agent {
    return new Agent({
      dataDir: this.dataDir,
      nodeName: "n1",
      runtime,
      cgroups: noCgroups,
      mounts: noMounts,
      socket: path.join(this.dataDir, "run/agent.sock"),
      ...options,
    });
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

async function put(agent: Agent, resource: string, object: Pick<Pod, "metadata">): Promise<void> {
  const { namespace = "", name = "", uid = "" } = object.metadata;
  const bytes = Buffer.from(JSON.stringify(object));
  await agent.cache.commit([
    { op: "put", object: { resource, namespace, name, uid, hash: projectionHash(bytes) }, bytes },
  ]);
}

async function ask(dataDir: string, what: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request({ socketPath: path.join(dataDir, "run/agent.sock"), path: what }, (response) => {
    let text = "";
    response.on("data", (part) => (text += String(part)));
    response.on("end", () => resolve(text));
  })
    .on("error", reject)
    .end();
  return promise;
}

const phaseOf = (agent: Agent, wanted: Pod): string =>
  agent.status().pods.find((one) => one.uid === wanted.metadata.uid)?.phase ?? "";

describe("Agent", () => {
  it("runs its pods without a cloud, tells how it is on its socket, and leaves them running when it ends", async () => {
    await using place = await Place.create();
    const runtime = new FakeRuntime({ registry: ["app:1"] });
    const web = pod();
    {
      await using agent = place.agent(runtime);
      await agent.start();
      await put(agent, "pods", web);
      await eventually(() => phaseOf(agent, web) === "Running");
      assert.equal(await ask(place.dataDir, "/healthz"), "ok\n");
      const status = JSON.parse(await ask(place.dataDir, "/status")) as AgentStatus;
      assert.equal(status.pods[0]?.name, "web");
      assert.deepEqual([status.pods[0]?.readyContainers, status.pods[0]?.containers], [1, 1]);
      assert.deepEqual(status.problems, []);
    }
    assert.equal(runtime.isRunning("web", "main"), true);
    await using agent = place.agent(runtime);
    await agent.start();
    await agent.idle();
    assert.equal(phaseOf(agent, web), "Running");
    assert.deepEqual(Object.values(runtime.machine.starts), [1]);
  });

  it("is ready while its runtime answers and its memory takes what is written, with a cloud or without", async () => {
    await using place = await Place.create();
    const runtime = new FakeRuntime();
    await using agent = place.agent(runtime);
    await agent.start();
    assert.equal((await stat(path.join(place.dataDir, "run/agent.sock"))).mode & 0o777, 0o600);
    assert.equal(await ask(place.dataDir, "/readyz?verbose"), "ok\n");
    runtime.setAvailable(false);
    assert.match(
      await ask(place.dataDir, "/readyz"),
      /^\[-\]runtime failed: .+\n\[\+\]cache ok\nreadyz check failed\n$/,
    );
    for (const path of ["/healthz", "/livez"]) assert.equal(await ask(place.dataDir, path), "ok\n");
    assert.equal(await ask(place.dataDir, "/nothing"), "not found\n");
  });

  it("tells Prometheus of its pods, its outbox and its disk", async () => {
    await using place = await Place.create();
    const runtime = new FakeRuntime({ registry: ["app:1"] });
    await using agent = place.agent(runtime);
    await agent.start();
    await put(agent, "pods", pod());
    const metrics = async (): Promise<Map<string, number>> => {
      const lines = (await ask(place.dataDir, "/metrics")).split("\n").filter((line) => /^[a-z]/.test(line));
      return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
    };
    await eventually(async () => (await metrics()).get('skerry_edge_pods{phase="Running"}') === 1);
    runtime.exit("web", "main", 1);
    const restarts = 'skerry_edge_container_restarts_total{namespace="default",pod="web",container="main"}';
    const now = await eventually(async () => {
      const all = await metrics();
      return all.get(restarts) === 1 && all;
    });
    assert.equal(now.get('skerry_edge_pods{phase="Failed"}'), 0);
    assert.ok(now.get('skerry_edge_outbox_items{queue="reports"}')! >= 2, "the Node and the pod");
    assert.equal(now.get("skerry_edge_images"), 1);
    const sizes = ["skerry_edge_cache_bytes", "skerry_edge_disk_size_bytes", "process_resident_memory_bytes"];
    for (const name of [...sizes, 'skerry_edge_outbox_bytes{queue="reports"}'])
      assert.ok(now.get(name)! > 0, `${name} ${now.get(name)}`);
    assert.ok([...now.values()].every(Number.isFinite));
    assert.equal(now.get("skerry_edge_link_up"), undefined, "it has no cloud");
    runtime.setAvailable(false);
    assert.equal((await metrics()).get("skerry_edge_images"), undefined);
  });

  it("reports its Node once, and again only when something changed", async () => {
    await using place = await Place.create();
    const runtime = new FakeRuntime();
    const nodes = (agent: Agent): Node[] =>
      agent.cache.reports
        .after(0, 100)
        .filter(({ item }) => item.resource === "nodes")
        .map(({ item }) => JSON.parse(Buffer.from(item.bytes).toString()) as Node);
    const readyOf = (node: Node | undefined): string | undefined =>
      node?.status?.conditions?.find((one) => one.type === "Ready")?.status;
    {
      await using agent = place.agent(runtime);
      await agent.start();
      const [node] = nodes(agent);
      assert.equal(readyOf(node), "True");
      assert.equal(node?.metadata.labels?.["kubernetes.io/hostname"], "n1");
      assert.equal(node.status?.nodeInfo?.containerRuntimeVersion, "fake://1.0.0");
      await agent.cache.reports.acknowledge(Number.MAX_SAFE_INTEGER);
    }
    {
      await using agent = place.agent(runtime);
      await agent.start();
      assert.deepEqual(nodes(agent), []);
    }
    runtime.setAvailable(false);
    await using agent = place.agent(runtime);
    await agent.start();
    const [node] = nodes(agent);
    assert.equal(readyOf(node), "False");
    assert.match(agent.status().problems[0]?.what ?? "", /runtime is not ready/);
  });

  it("gives running pods the node's name servers within seconds of the node's having them", async () => {
    await using place = await Place.create();
    const runtime = new FakeRuntime({ registry: ["app:1"] });
    const clock = new FakeClock();
    let dns: NodeDns = { servers: [], ownServers: ["127.0.0.53"], searches: [], options: [] };
    const machine = async () => ({ ...(await readMachine(place.dataDir)), dns });
    await using agent = place.agent(runtime, { clock, readMachine: machine });
    await agent.start();
    const web = pod();
    await put(agent, "pods", web);
    await eventually(() => phaseOf(agent, web) === "Running");
    const file = path.join(place.dataDir, "pods", web.metadata.uid ?? "", "resolv.conf");
    assert.equal(await readFile(file, "utf8"), "nameserver 127.0.0.1\n");
    dns = { ...dns, servers: ["192.0.2.53"] };
    clock.advance(5_000);
    await eventually(async () => (await readFile(file, "utf8")) === "nameserver 192.0.2.53\n");
    assert.deepEqual(Object.values(runtime.machine.starts), [1]);
  });

  it("sets the pods' network up for the addresses that the cloud gave, and tries again", async () => {
    await using place = await Place.create();
    const asked: string[] = [];
    await using agent = place.agent(new FakeRuntime(), {
      configureNetwork: async (podCidr) => {
        asked.push(podCidr);
      },
    });
    await agent.start();
    const node = { metadata: { name: "n1", uid: "n" }, spec: { podCIDR: "10.42.0.0/24" } };
    await put(agent, "nodes", node);
    await eventually(() => asked.length === 1);
    await put(agent, "nodes", { ...node, metadata: { name: "n1", uid: "n", labels: { a: "b" } } });
    await new Promise(setImmediate);
    assert.deepEqual(asked, ["10.42.0.0/24"]);
  });

  it("tries again to set the pods' network up, once in five seconds however often its Node changes meanwhile", async () => {
    await using place = await Place.create();
    const clock = new FakeClock();
    let tries = 0;
    await using agent = place.agent(new FakeRuntime({ clock }), {
      clock,
      configureNetwork: async () => {
        tries++;
        throw new Error("no iptables");
      },
    });
    await agent.start();
    const changes = 3;
    for (let i = 1; i <= changes; i++) {
      const metadata = { name: "n1", uid: "n", labels: { change: String(i) } };
      await put(agent, "nodes", { metadata, spec: { podCIDR: "10.42.0.0/24" } } as Pick<Pod, "metadata">);
      await eventually(() => tries === i);
    }
    for (let i = 1; i <= 3; i++) {
      clock.advance(5_000);
      await eventually(() => tries >= changes + i);
      await new Promise(setImmediate);
      assert.equal(tries, changes + i);
    }
  });

  it("serves container logs, and refuses as a kubelet does", async () => {
    await using place = await Place.create();
    const runtime = new FakeRuntime({ registry: ["app:1"], writesFiles: true });
    await using agent = place.agent(runtime);
    await agent.start();
    const web = pod({}, { args: ["says:hello"] });
    const pending = pod({}, { image: "missing:1" }, "pending");
    await put(agent, "pods", web);
    await put(agent, "pods", pending);
    await eventually(() => phaseOf(agent, web) === "Running");
    await eventually(() =>
      agent.status().pods.some((one) => one.reason.endsWith("Pull") || one.reason.endsWith("BackOff")),
    );
    const get = async (target: string): Promise<[number, string]> => {
      const signal = new AbortController().signal;
      const body = (async function* () {})();
      const response = await agent.serve({ method: "GET", path: target, headers: {}, body }, signal);
      let text = "";
      for await (const part of response.body) text += Buffer.from(part).toString();
      return [response.status, text];
    };
    assert.deepEqual(await get("/containerLogs/default/web/main"), [200, "started\nhello\n"]);
    assert.deepEqual(await get("/containerLogs/default/web/main?tailLines=1"), [200, "hello\n"]);
    assert.deepEqual(await get("/containerLogs/default/web/other"), [
      400,
      "container other is not valid for pod web\n",
    ]);
    assert.deepEqual(await get("/containerLogs/default/nobody/main"), [404, 'pod "nobody" not found\n']);
    assert.deepEqual(await get("/containerLogs/default/web/main?previous=true"), [
      400,
      'previous terminated container "main" in pod "web" not found\n',
    ]);
    const [status, text] = await get("/containerLogs/default/pending/main");
    assert.equal(status, 400);
    assert.match(
      text,
      /^container "main" in pod "pending" is waiting to start: (image can't be|trying and failing to) pull/,
    );
    runtime.exit("web", "main", 1);
    await eventually(() => agent.status().pods.some((one) => one.name === "web" && one.restarts === 1));
    assert.deepEqual(await get("/containerLogs/default/web/main?previous=true"), [200, "started\nhello\n"]);
    assert.equal((await get("/exec/default/web/main"))[0], 501);
  });

  it("refuses a data dir that another agent uses", async () => {
    await using place = await Place.create();
    await using first = place.agent(new FakeRuntime());
    await first.start();
    await using second = place.agent(new FakeRuntime());
    await assert.rejects(second.start(), /another agent has it open/);
  });
});
