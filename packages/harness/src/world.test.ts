import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kinds } from "@skerry/machinery";
import type { Deployment, Node, Pod } from "@skerry/machinery/types";
import { World } from "./world.ts";

const deployment = (name: string, replicas: number): Deployment =>
  ({
    metadata: { name, namespace: "default" },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "main", image: "example/web:1" }] },
      },
    },
  }) as unknown as Deployment;

async function pods(world: World): Promise<Pod[]> {
  return (await world.client.list(kinds.Pod, { namespace: "default" })).items.map((item) => item.decode());
}

const isRunning = (pod: Pod): boolean => pod.status?.containerStatuses?.every(({ state }) => state?.running) ?? false;
const containerIds = (all: Pod[]): Set<string | undefined> =>
  new Set(all.flatMap((pod) => pod.status?.containerStatuses?.map(({ containerID }) => containerID) ?? []));

async function untilRunning(world: World, count: number): Promise<Pod[]> {
  return world.until(`${count} pods running`, async () => {
    const all = await pods(world);
    return all.length === count && all.every(isRunning) ? all : undefined;
  });
}

const readyOf = async (world: World, name: string): Promise<string | undefined> => {
  const node = (await world.client.get<Node>(kinds.Node, { namespace: "", name })).decode();
  return node.status?.conditions?.find(({ type }) => type === "Ready")?.status;
};

describe("World", () => {
  it("spreads a deployment over its edges and runs it", async () => {
    await using world = await World.create({ edges: 3 });
    await world.until("the nodes to be Ready", async () => (await readyOf(world, "edge-2")) === "True");
    await world.client.create(kinds.Deployment, deployment("web", 6));
    const running = await untilRunning(world, 6);
    assert.equal(new Set(running.map((pod) => pod.spec?.nodeName)).size, 3);
    for (const edge of world.edges) assert.deepEqual(edge.machine.violations, []);
  });

  it("goes on without the cloud, through a reboot too, and finds every pod in place when the cloud returns", async () => {
    await using world = await World.create({ edges: 1 });
    const [edge] = world.edges;
    assert.ok(edge);
    await world.client.create(kinds.Deployment, deployment("web", 3));
    const before = containerIds(await untilRunning(world, 3));

    await world.stopCloud();
    await world.advance(10 * 60_000);
    await edge.reboot("removed");
    const running = (): Set<string> =>
      new Set(
        Object.values(edge.machine.containers)
          .filter(({ state }) => state === "running")
          .map(({ id }) => id),
      );
    const rebooted = await world.until("the pods to run again", () => running().size === 3 && running());

    await world.startCloud();
    const after = await world.until("the statuses to be those after the reboot", async () => {
      const all = await pods(world);
      return all.length === 3 &&
        all.every((pod) => isRunning(pod) && pod.status?.containerStatuses?.[0]?.restartCount === 1)
        ? containerIds(all)
        : undefined;
    });
    assert.notDeepEqual(after, before);
    assert.deepEqual(new Set([...after].map((id) => id?.replace(/^.*:\/\//, ""))), rebooted);
    await world.advance(60_000);
    assert.deepEqual(containerIds(await pods(world)), after, "no pod was restarted by the cloud's return");
  });

  it("shows a node whose link is cut as unreachable, deletes none of its pods, and takes it back as it is", async () => {
    await using world = await World.create({ edges: 1 });
    const [edge] = world.edges;
    assert.ok(edge);
    await world.client.create(kinds.Deployment, deployment("web", 2));
    const before = containerIds(await untilRunning(world, 2));

    edge.cutLink();
    await world.until("the node to be Unknown", async () => (await readyOf(world, "edge-0")) === "Unknown");
    await world.advance(20 * 60_000);
    assert.equal((await pods(world)).filter((pod) => pod.metadata.deletionTimestamp !== undefined).length, 0);

    edge.mendLink();
    await world.until("the node to be Ready", async () => (await readyOf(world, "edge-0")) === "True");
    assert.deepEqual(containerIds(await untilRunning(world, 2)), before);
  });

  it("runs nothing twice on an edge that lost its memory, and takes it back as it is", async () => {
    await using world = await World.create({ edges: 1 });
    const [edge] = world.edges;
    assert.ok(edge);
    const job = {
      metadata: { name: "job", namespace: "default" },
      spec: {
        restartPolicy: "Never",
        containers: [{ name: "main", image: "example/job:1", args: ["exit:0", "after:1000"] }],
      },
    } as Pod;
    await world.client.create(kinds.Pod, job);
    const phase = async (): Promise<string | undefined> =>
      (await pods(world)).find(({ metadata }) => metadata.name === "job")?.status?.phase;
    await world.until("the job to succeed", async () => (await phase()) === "Succeeded");
    await world.client.create(kinds.Deployment, deployment("web", 2));
    const web = async (): Promise<Pod[]> =>
      (await pods(world)).filter((pod) => pod.metadata.name !== "job" && isRunning(pod));
    await world.until("the deployment to run", async () => (await web()).length === 2);
    await world.advance(1_000);
    const before = await pods(world);

    edge.cutLink();
    await edge.loseMemory();
    await world.advance(20_000); // not so long that the cloud takes the node for lost and says so of its pods
    assert.equal(Object.values(edge.machine.containers).filter(({ state }) => state === "running").length, 2);
    edge.mendLink();
    await world.until("the edge to be in sync", () => edge.agent.status().link?.isSynced);
    await world.advance(60_000);
    const statuses = (all: Pod[]): Pod["status"][] => all.map(({ status }) => status);
    assert.deepEqual(statuses(await pods(world)), statuses(before));
    assert.deepEqual(Object.values(edge.machine.starts), [1, 1, 1]);
  });
});
