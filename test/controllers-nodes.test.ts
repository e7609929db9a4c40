import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kinds } from "@skerry/machinery";
import type { Event, Node, Pod } from "@skerry/machinery/types";
import { ControllersWorld, GRACE_MS, isReady } from "./controllers-world.ts";

const pod = (name: string, spec: object = {}, cpu = "100m"): Pod =>
  ({
    metadata: { namespace: "default", name },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "main", image: "v:1", resources: { requests: { cpu } } }],
      ...spec,
    },
  }) as unknown as Pod;

const onPort = (hostPort: number): object => ({
  containers: [{ name: "main", image: "v:1", ports: [{ containerPort: 80, hostPort }] }],
});

const readyOf = (node: Node): string | undefined =>
  node.status?.conditions?.find(({ type }) => type === "Ready")?.status;
const taintsOf = (node: Node): Set<string> =>
  new Set(node.spec?.taints?.map(({ key, effect }) => `${key?.replace("node.kubernetes.io/", "")}:${effect}`));

const eventsOf = async (scene: ControllersWorld, name: string): Promise<Event[]> => {
  const fieldSelector = `involvedObject.name=${name}`;
  return (await scene.client.list(kinds.Event, { fieldSelector })).items.map((item) => item.decode());
};

const create = (scene: ControllersWorld, object: Pod): Promise<unknown> => scene.client.create(kinds.Pod, object);

const nodeOf = async (scene: ControllersWorld, name: string): Promise<string> =>
  scene.until(`${name} to be bound`, async () => (await scene.get(kinds.Pod, name)).spec?.nodeName);

const whyNot = async (scene: ControllersWorld, name: string): Promise<string> =>
  scene.until(`${name} to be refused`, async () => {
    const { conditions } = (await scene.get(kinds.Pod, name)).status ?? {};
    return conditions?.find(({ type, status }) => type === "PodScheduled" && status === "False")?.message;
  });

describe("Node lifecycle", () => {
  it("gives up a node that is not heard of, keeps its pods, and takes it back", async () => {
    await using scene = await ControllersWorld.create();
    await create(scene, pod("p"));
    await scene.until("the pod to be ready", async () => isReady(await scene.get(kinds.Pod, "p")));
    scene.alive.delete("n0");
    await scene.advance(GRACE_MS - 15_000);
    assert.equal(readyOf(await scene.get(kinds.Node, "n0")), "True");
    await scene.until("the node to be lost", async () => readyOf(await scene.get(kinds.Node, "n0")) === "Unknown");
    await scene.until("its pod not to be ready", async () => !isReady(await scene.get(kinds.Pod, "p")));
    const lost = await scene.get(kinds.Node, "n0");
    assert.deepEqual(taintsOf(lost), new Set(["unreachable:NoSchedule", "unreachable:NoExecute"]));
    await create(scene, pod("q"));
    assert.match(await whyNot(scene, "q"), /untolerated taint \{node\.kubernetes\.io\/unreachable: \}/);
    await scene.advance(600_000);
    assert.equal((await scene.get(kinds.Pod, "p")).metadata.deletionTimestamp, undefined);

    await scene.report("n0");
    await scene.until("the taints to go", async () => taintsOf(await scene.get(kinds.Node, "n0")).size === 0);
    assert.equal(await nodeOf(scene, "q"), "n0");
    await scene.until("the events", async () => {
      const reasons = (await eventsOf(scene, "n0")).map(({ reason }) => reason);
      return reasons.includes("NodeNotReady") && reasons.includes("NodeReady");
    });
  });

  it("leaves conditions of others as they are", async () => {
    await using scene = await ControllersWorld.create();
    const body = { status: { conditions: [{ type: "DuplicateIdentity", status: "True", reason: "TwoDevices" }] } };
    const patch = { type: "strategic-merge-patch+json", body } as const;
    await scene.client.patch(kinds.Node, { namespace: "", name: "n0" }, patch, { subresource: "status" });
    scene.alive.delete("n0");
    await scene.until("the node to be lost", async () => readyOf(await scene.get(kinds.Node, "n0")) === "Unknown");
    const { conditions } = (await scene.get(kinds.Node, "n0")).status ?? {};
    assert.equal(conditions?.find(({ type }) => type === "DuplicateIdentity")?.status, "True");
  });

  it("keeps the taints of others", async () => {
    await using scene = await ControllersWorld.create();
    const mine = { key: "example.com/mine", effect: "NoSchedule" };
    await scene.patch(kinds.Node, "n0", { spec: { taints: [mine] } });
    scene.alive.delete("n0");
    await scene.until("the taints", async () => taintsOf(await scene.get(kinds.Node, "n0")).size === 3);
    await scene.report("n0");
    await scene.until("only the other's", async () => taintsOf(await scene.get(kinds.Node, "n0")).size === 1);
  });

  it("gives every node its own network, over restarts too, and those of removed nodes to others", async () => {
    await using scene = await ControllersWorld.create({ nodes: 3, lagMs: 200 });
    const networks = async (): Promise<Map<string, string>> => {
      const nodes = (await scene.client.list(kinds.Node)).items.map((item) => item.decode());
      return new Map(nodes.map((node) => [node.metadata.name ?? "", node.spec?.podCIDR ?? ""]));
    };
    const all = (count: number) => async (): Promise<Map<string, string> | false> => {
      const found = await networks();
      return found.size === count && ![...found.values()].includes("") && found;
    };
    const first = await scene.until("three networks", all(3));
    assert.deepEqual(new Set(first.values()), new Set(["10.42.0.0/24", "10.42.1.0/24", "10.42.2.0/24"]));
    await scene.stopControllers();
    await scene.addNode("n3");
    await scene.client.delete(kinds.Node, { namespace: "", name: "n1" });
    await scene.startControllers();
    await scene.addNode("n4");
    const second = await scene.until("four networks", all(4));
    assert.equal(new Set(second.values()).size, 4);
    for (const name of ["n0", "n2"]) assert.equal(second.get(name), first.get(name));
    assert.ok([...second.values()].includes(first.get("n1") ?? ""), "what n1 had is used again");
  });

  it("says that there is no network left, and gives one when there is", async () => {
    await using scene = await ControllersWorld.create({ nodes: 2, clusterCidr: "10.9.9.0/24" });
    const without = await scene.until("one to go without", async () => {
      for (const name of ["n0", "n1"]) {
        const events = await eventsOf(scene, name);
        if (events.some(({ reason }) => reason === "CIDRNotAvailable")) return name;
      }
      return undefined;
    });
    const other = without === "n0" ? "n1" : "n0";
    assert.equal((await scene.get(kinds.Node, other)).spec?.podCIDR, "10.9.9.0/24");
    scene.alive.delete(other);
    await scene.client.delete(kinds.Node, { namespace: "", name: other });
    await scene.until(
      "its network",
      async () => (await scene.get(kinds.Node, without)).spec?.podCIDR === "10.9.9.0/24",
    );
  });

  it("warns of two nodes that were given the same network by hand", async () => {
    await using scene = await ControllersWorld.create();
    await scene.until("a network", async () => (await scene.get(kinds.Node, "n0")).spec?.podCIDR);
    await scene.addNode("twin", { spec: { podCIDR: "10.42.0.0/24", podCIDRs: ["10.42.0.0/24"] } });
    await scene.until("the event", async () =>
      (await eventsOf(scene, "twin")).some(({ reason }) => reason === "CIDRAssignmentFailed"),
    );
  });
});

describe("Pod garbage collection", () => {
  it("removes the pods of a node that is gone, and of no other", async () => {
    await using scene = await ControllersWorld.create({ nodes: 2 });
    for (const [name, nodeName] of [
      ["a", "n0"],
      ["b", "n1"],
    ] as const) {
      await create(scene, pod(name, { nodeName }));
    }
    scene.alive.delete("n0");
    await scene.advance(1_000);
    await scene.client.delete(kinds.Node, { namespace: "", name: "n0" });
    await scene.until("the pod to go", async () => (await scene.find(kinds.Pod, "a")) === undefined);
    assert.notEqual(await scene.find(kinds.Pod, "b"), undefined);
  });
});

describe("Scheduler", () => {
  it("spreads, and looks at what a pod asks for", async () => {
    await using scene = await ControllersWorld.create({ nodes: 0 });
    await scene.addNode("small", { cpu: "1" });
    await scene.addNode("large", { cpu: "8", labels: { disk: "ssd" } });
    const taints = [{ key: "dedicated", value: "db", effect: "NoSchedule" }];
    await scene.addNode("tainted", { cpu: "64", spec: { taints } });
    await create(scene, pod("heavy", {}, "4"));
    await create(scene, pod("fast", { nodeSelector: { disk: "ssd" } }));
    await create(scene, pod("db", { tolerations: [{ key: "dedicated", operator: "Exists" }] }, "32"));
    await create(scene, pod("impossible", {}, "100"));
    assert.deepEqual(
      [await nodeOf(scene, "heavy"), await nodeOf(scene, "fast"), await nodeOf(scene, "db")],
      ["large", "large", "tainted"],
    );
    assert.equal(
      await whyNot(scene, "impossible"),
      "0/3 nodes are available: 1 node(s) had untolerated taint {dedicated: db}, 2 Insufficient cpu.",
    );
    const [event] = await scene.until("the event", async () => {
      const events = await eventsOf(scene, "impossible");
      return events.length > 0 && events;
    });
    assert.deepEqual([event?.type, event?.reason], ["Warning", "FailedScheduling"]);
    await scene.addNode("huge", { cpu: "128" });
    const begun = scene.clock.monotonic();
    assert.equal(await nodeOf(scene, "impossible"), "huge");
    assert.ok(scene.clock.monotonic() - begun <= 5_000, "it did not wait for its next turn");
  });

  it("gives a host port to one pod of a node, and to the next when that is gone", async () => {
    await using scene = await ControllersWorld.create({ nodes: 2 });
    for (const name of ["a", "b", "c"]) await create(scene, pod(name, onPort(8080)));
    await scene.advance(2_000);
    const bound = (await scene.pods()).filter((each) => each.spec?.nodeName);
    assert.deepEqual(new Set(bound.map((each) => each.spec?.nodeName)), new Set(["n0", "n1"]));
    const [waiting] = (await scene.pods()).filter((each) => !each.spec?.nodeName);
    assert.match(await whyNot(scene, waiting?.metadata.name ?? ""), /didn't have free ports/);
    const [first] = bound;
    await scene.client.delete(kinds.Pod, { namespace: "default", name: first?.metadata.name ?? "" });
    assert.equal(await nodeOf(scene, waiting?.metadata.name ?? ""), first?.spec?.nodeName);
  });

  it("never promises more than a node has, with many pods at once and informers that lag", async () => {
    await using scene = await ControllersWorld.create({ nodes: 0, lagMs: 40, seed: 9 });
    for (let i = 0; i < 5; i++) await scene.addNode(`n${i}`, { cpu: "4" });
    scene.watcher = (pods) => {
      const used = new Map<string, number>();
      for (const { spec } of pods) if (spec?.nodeName) used.set(spec.nodeName, (used.get(spec.nodeName) ?? 0) + 1);
      for (const [name, count] of used) assert.ok(count <= 40, `${name} has ${count} pods of a tenth of a CPU`);
    };
    // A label that changes just after has a pod looked at again before its binding is seen.
    for (let i = 0; i < 220; i++) {
      await create(scene, pod(`p${i}`));
      if (i > 0) await scene.patch(kinds.Pod, `p${i - 1}`, { metadata: { labels: { a: "b" } } });
    }
    const boundCount = async (): Promise<number> => (await scene.pods()).filter((each) => each.spec?.nodeName).length;
    await scene.until("the nodes to be full", async () => (await boundCount()) === 200);
    await scene.advance(10_000);
    assert.equal(await boundCount(), 200);
    for (let i = 0; i < 220; i++) {
      const key = { namespace: "default", name: `p${i}` };
      if (i % 2 === 0) await scene.client.delete(kinds.Pod, key, { gracePeriodSeconds: 0 });
    }
    await scene.until("the rest to be bound", async () => (await boundCount()) === 110);
  });

  it("leaves pods of other schedulers alone, and those that are on their way out", async () => {
    await using scene = await ControllersWorld.create();
    await create(scene, pod("other", { schedulerName: "mine" }));
    await scene.advance(5_000);
    assert.equal((await scene.get(kinds.Pod, "other")).spec?.nodeName, undefined);
  });

  it("goes on after a restart with what was bound before", async () => {
    await using scene = await ControllersWorld.create({ nodes: 0 });
    await scene.addNode("n0", { cpu: "1" });
    await create(scene, pod("a", {}, "700m"));
    await nodeOf(scene, "a");
    await scene.stopControllers();
    await create(scene, pod("b", {}, "700m"));
    await scene.startControllers();
    assert.match(await whyNot(scene, "b"), /1 Insufficient cpu/);
  });
});
