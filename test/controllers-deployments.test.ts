import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kinds } from "@skerry/machinery";
import type { Deployment, Pod, ReplicaSet } from "@skerry/machinery/types";
import {
  ControllersWorld,
  deployment,
  imageOf,
  isActive,
  isReady,
  revisionOf,
  withImage,
} from "./controllers-world.ts";

const sizes = (sets: readonly ReplicaSet[]): (number | undefined)[] => sets.map((set) => set.spec?.replicas);
const conditionOf = (of: Deployment, type: string): string =>
  `${of.status?.conditions?.find((each) => each.type === type)?.status} ${of.status?.conditions?.find((each) => each.type === type)?.reason}`;

/** Fails when there are more active pods than allowed, or fewer ready ones. */
const bounds = (most: number, least: number) => (pods: readonly Pod[]) => {
  const active = pods.filter(isActive);
  const ready = active.filter(isReady);
  assert.ok(active.length <= most, `${active.length} pods, ${most} allowed`);
  assert.ok(ready.length >= least, `${ready.length} pods ready, ${least} needed`);
};

describe("Deployments", () => {
  for (const [seed, lagMs] of [
    [1, 0],
    [2, 300],
    [3, 1_500],
  ] as const) {
    it(`roll within their bounds while pods become ready late and informers lag ${lagMs} ms`, async () => {
      await using scene = await ControllersWorld.create({ seed, lagMs, readyMs: 4_000, goneMs: 3_000, nodes: 2 });
      const strategy = { rollingUpdate: { maxSurge: 2, maxUnavailable: 2 } };
      await scene.client.create(kinds.Deployment, deployment("web", 10, "v:1", { strategy }));
      scene.watcher = bounds(10, 0);
      await scene.rolledOut("web");
      scene.watcher = bounds(12, 8);
      await scene.patch(kinds.Deployment, "web", withImage("v:2"));
      const done = await scene.rolledOut("web");
      await scene.advance(10_000);
      const pods = await scene.pods();
      assert.deepEqual(new Set(pods.map(imageOf)), new Set(["v:2"]));
      assert.equal(pods.length, 10);
      assert.equal(conditionOf(done, "Progressing"), "True NewReplicaSetAvailable");
      assert.deepEqual(sizes(await scene.sets("web")), [0, 10]);
    });
  }

  it("turn to a newer template in the middle, and back to an old one, within the same bounds", async () => {
    await using scene = await ControllersWorld.create({ seed: 4, lagMs: 400, readyMs: 4_000, goneMs: 1_000 });
    await scene.client.create(kinds.Deployment, deployment("web", 8, "v:1"));
    await scene.rolledOut("web");
    scene.watcher = bounds(10, 6);
    for (const image of ["v:2", "v:3", "v:1", "v:4"]) {
      await scene.patch(kinds.Deployment, "web", withImage(image));
      await scene.advance(1_000 + scene.random() * 4_000);
    }
    const done = await scene.rolledOut("web");
    await scene.advance(5_000);
    assert.deepEqual(new Set((await scene.pods()).map(imageOf)), new Set(["v:4"]));
    assert.equal(done.metadata.annotations?.["deployment.kubernetes.io/revision"], "5");
  });

  it("hold their bounds through any history of templates and restarts", async () => {
    // The first four are histories in which a plan made from statuses as they come breaks a bound.
    for (const seed of [518, 575, 643, 658, 7, 8]) {
      const lagMs = [0, 50, 300, 1_000, 600][seed % 5] ?? 0;
      const wanted = 3 + (seed % 9);
      const maxSurge = seed % 4;
      const maxUnavailable = maxSurge === 0 ? 1 + (seed % 2) : seed % 3;
      await using scene = await ControllersWorld.create({ seed, lagMs, readyMs: 6_000, goneMs: 4_000, nodes: 2 });
      const strategy = { rollingUpdate: { maxSurge, maxUnavailable } };
      await scene.client.create(kinds.Deployment, deployment("web", wanted, "v:0", { strategy }));
      await scene.rolledOut("web");
      await scene.advance(8_000);
      scene.watcher = bounds(wanted + maxSurge, wanted - maxUnavailable);
      for (let i = 1; i <= 4; i++) {
        await scene.patch(kinds.Deployment, "web", withImage(`v:${scene.random() < 0.3 ? i - 1 : i}`));
        await scene.advance(scene.random() * 12_000);
        if (scene.random() >= 0.3) continue;
        await scene.stopControllers();
        await scene.advance(2_000);
        await scene.startControllers();
      }
      await scene.rolledOut("web");
    }
  });

  it("scale in the middle of a rollout in proportion, and end with the new size", async () => {
    await using scene = await ControllersWorld.create({ readyMs: 2_000 });
    scene.broken.add("v:2");
    await scene.client.create(kinds.Deployment, deployment("web", 10, "v:1"));
    await scene.rolledOut("web");
    await scene.patch(kinds.Deployment, "web", withImage("v:2"));
    await scene.until("the rollout to be stuck", async () => (await scene.sets("web"))[1]?.spec?.replicas === 5);
    assert.deepEqual(sizes(await scene.sets("web")), [8, 5]);
    await scene.patch(kinds.Deployment, "web", { spec: { replicas: 20 } });
    await scene.advance(10_000);
    const [old = 0, now = 0] = sizes(await scene.sets("web"));
    assert.equal(old + now, 25, "the surge is used");
    assert.ok(old >= 15 && now > 5 && now < 12, `${old} and ${now} grew in proportion`);
    scene.broken.clear();
    await scene.rolledOut("web");
    assert.deepEqual(sizes(await scene.sets("web")), [0, 20]);
    await scene.patch(kinds.Deployment, "web", { spec: { replicas: 0 } });
    await scene.rolledOut("web");
    assert.deepEqual(await scene.pods(), []);
  });

  it("with Recreate never have pods of two templates, those on their way out counted", async () => {
    await using scene = await ControllersWorld.create({ lagMs: 500, readyMs: 1_000, goneMs: 5_000 });
    scene.watcher = (pods) => assert.ok(new Set(pods.map(imageOf)).size <= 1, "pods of two templates");
    await scene.client.create(kinds.Deployment, deployment("web", 4, "v:1", { strategy: { type: "Recreate" } }));
    await scene.rolledOut("web");
    await scene.patch(kinds.Deployment, "web", withImage("v:2"));
    await scene.rolledOut("web");
    // In the middle of the next one.
    await scene.patch(kinds.Deployment, "web", withImage("v:3"));
    await scene.advance(5_200);
    await scene.patch(kinds.Deployment, "web", withImage("v:4"));
    await scene.rolledOut("web");
    assert.deepEqual((await scene.pods()).filter(isActive).map(imageOf), ["v:4", "v:4", "v:4", "v:4"]);
  });

  it("do nothing but scale while paused, and roll when resumed", async () => {
    await using scene = await ControllersWorld.create();
    await scene.client.create(kinds.Deployment, deployment("web", 2, "v:1"));
    await scene.rolledOut("web");
    await scene.patch(kinds.Deployment, "web", { spec: { paused: true } });
    await scene.patch(kinds.Deployment, "web", withImage("v:2"));
    await scene.patch(kinds.Deployment, "web", { spec: { replicas: 4 } });
    await scene.advance(5_000);
    assert.deepEqual((await scene.pods()).map(imageOf), ["v:1", "v:1", "v:1", "v:1"]);
    assert.equal(conditionOf(await scene.get(kinds.Deployment, "web"), "Progressing"), "Unknown DeploymentPaused");
    await scene.patch(kinds.Deployment, "web", { spec: { paused: false } });
    const done = await scene.rolledOut("web");
    assert.deepEqual(new Set((await scene.pods()).map(imageOf)), new Set(["v:2"]));
    assert.equal(conditionOf(done, "Progressing"), "True NewReplicaSetAvailable");
  });

  it("take a set of before when a template returns, under a new revision", async () => {
    await using scene = await ControllersWorld.create();
    await scene.client.create(kinds.Deployment, deployment("web", 2, "v:1"));
    await scene.rolledOut("web");
    const [first] = await scene.sets("web");
    await scene.patch(kinds.Deployment, "web", withImage("v:2"));
    await scene.rolledOut("web");
    await scene.patch(kinds.Deployment, "web", withImage("v:1"));
    await scene.rolledOut("web");
    const [second, back] = await scene.sets("web");
    assert.equal(back?.metadata.uid, first?.metadata.uid);
    assert.deepEqual(
      [second, back].map((set) => set && revisionOf(set)),
      [2, 3],
    );
  });

  it("say when nothing has moved for too long, and go on when it does; one without a deadline waits", async () => {
    await using scene = await ControllersWorld.create();
    scene.broken.add("bad:1");
    const create = (name: string, more: object): Promise<unknown> =>
      scene.client.create(kinds.Deployment, deployment(name, 1, "bad:1", more));
    await create("late", { progressDeadlineSeconds: 60 });
    await create("patient", { progressDeadlineSeconds: 2 ** 31 - 1 });
    await scene.advance(55_000);
    assert.equal(conditionOf(await scene.get(kinds.Deployment, "late"), "Progressing"), "True ReplicaSetUpdated");
    await scene.advance(10_000);
    const progressing = async (name: string): Promise<string> =>
      conditionOf(await scene.get(kinds.Deployment, name), "Progressing");
    assert.equal(await progressing("late"), "False ProgressDeadlineExceeded");
    assert.equal(await progressing("patient"), "True ReplicaSetUpdated");
    scene.broken.clear();
    await scene.rolledOut("late");
    assert.equal(await progressing("late"), "True NewReplicaSetAvailable");
    // Pods that come and go afterwards have no deadline.
    const [pod] = (await scene.pods()).filter((each) => each.metadata.labels?.["app"] === "late");
    scene.alive.clear();
    await scene.setReady({ namespace: "default", name: pod?.metadata.name ?? "" }, false);
    await scene.advance(90_000);
    assert.equal(await progressing("late"), "True NewReplicaSetAvailable");
    assert.equal(
      conditionOf(await scene.get(kinds.Deployment, "late"), "Available"),
      "False MinimumReplicasUnavailable",
    );
  });

  it("keep as many old sets as they are told to", async () => {
    await using scene = await ControllersWorld.create();
    await scene.client.create(kinds.Deployment, deployment("web", 1, "v:0", { revisionHistoryLimit: 2 }));
    for (let i = 1; i <= 5; i++) {
      await scene.rolledOut("web");
      await scene.patch(kinds.Deployment, "web", withImage(`v:${i}`));
    }
    await scene.rolledOut("web");
    await scene.until("the old sets to go", async () => (await scene.sets("web")).length === 3);
    assert.deepEqual((await scene.sets("web")).map(revisionOf), [4, 5, 6]);
  });

  it("make another name when a set of theirs is another's", async () => {
    await using scene = await ControllersWorld.create();
    const wanted = deployment("web", 1, "v:1");
    await scene.client.create(kinds.Deployment, wanted);
    await scene.rolledOut("web");
    const [made] = await scene.sets("web");
    assert.ok(made);
    const name = made.metadata.name ?? "";
    await scene.client.delete(kinds.Deployment, { namespace: "default", name: "web" });
    await scene.until("everything to go", async () => (await scene.pods()).length === 0);
    const labels = { own: "other" };
    const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "other:1" }] } };
    const spec = { replicas: 0, selector: { matchLabels: labels }, template };
    await scene.client.create(kinds.ReplicaSet, { metadata: { namespace: "default", name }, spec } as ReplicaSet);
    await scene.client.create(kinds.Deployment, wanted);
    const done = await scene.rolledOut("web");
    assert.equal(done.status?.collisionCount, 1);
    const [set] = await scene.sets("web");
    assert.notEqual(set?.metadata.name, name);
    assert.equal((await scene.get(kinds.ReplicaSet, name)).spec?.replicas, 0);
  });

  it("leave their sets and pods to whoever takes them when deleted so, and take over matching ones", async () => {
    await using scene = await ControllersWorld.create({ lagMs: 800 });
    await scene.client.create(kinds.Deployment, deployment("web", 3, "v:1"));
    await scene.rolledOut("web");
    const uids = (pods: readonly Pod[]): Set<string | undefined> => new Set(pods.map((pod) => pod.metadata.uid));
    const before = uids(await scene.pods());
    const key = { namespace: "default", name: "web" };
    await scene.client.delete(kinds.Deployment, key, { propagationPolicy: "Orphan" });
    await scene.until("the deployment to go", async () => (await scene.find(kinds.Deployment, "web")) === undefined);
    await scene.advance(30_000);
    assert.deepEqual(uids(await scene.pods()), before);
    assert.deepEqual(await scene.sets("web"), [], "nobody owns the set");
    await scene.client.create(kinds.Deployment, deployment("web", 3, "v:1"));
    await scene.rolledOut("web");
    assert.deepEqual(uids(await scene.pods()), before);
    assert.equal((await scene.sets("web")).length, 1);
  });

  it("bring minReadySeconds to the set, and wait for it", async () => {
    await using scene = await ControllersWorld.create();
    await scene.client.create(kinds.Deployment, deployment("web", 2, "v:1"));
    await scene.rolledOut("web");
    await scene.patch(kinds.Deployment, "web", { spec: { minReadySeconds: 30 } });
    await scene.until("the set to have it", async () => (await scene.sets("web"))[0]?.spec?.minReadySeconds === 30);
    await scene.advance(40_000);
    scene.watcher = bounds(3, 2);
    await scene.patch(kinds.Deployment, "web", withImage("v:2"));
    const begun = scene.clock.monotonic();
    await scene.rolledOut("web");
    assert.ok(scene.clock.monotonic() - begun >= 58_000, "each new pod counted after its time");
  });
});
