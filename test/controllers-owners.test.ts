import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { EventRecorder, referenceTo } from "@skerry/controllers";
import { forbidden, kinds, serviceUnavailable, type KubeObject, type OwnerReference } from "@skerry/machinery";
import type { ClusterRole, ConfigMap, Event, Namespace, Pod, ReplicaSet } from "@skerry/machinery/types";
import { ControllersWorld, deployment, isActive } from "./controllers-world.ts";
import { registryWorld } from "./registry-world.ts";

const configMap = (name: string, more: object = {}, namespace = "default"): ConfigMap =>
  ({ metadata: { namespace, name, ...more } }) as ConfigMap;

const ownedBy = (owner: KubeObject, more: Partial<OwnerReference> = {}): { ownerReferences: OwnerReference[] } => ({
  ownerReferences: [
    {
      apiVersion: owner.apiVersion ?? "",
      kind: owner.kind ?? "",
      name: owner.metadata.name ?? "",
      uid: owner.metadata.uid ?? "",
      ...more,
    },
  ],
});

const replicaSet = (name: string, replicas: number): ReplicaSet =>
  ({
    metadata: { namespace: "default", name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "main", image: "v:1" }] } },
    },
  }) as unknown as ReplicaSet;

async function make(scene: ControllersWorld, object: ConfigMap): Promise<ConfigMap> {
  return (await scene.client.create(kinds.ConfigMap, object)).decode();
}

async function eventsOf(scene: ControllersWorld, name: string, namespace = "default"): Promise<Event[]> {
  const fieldSelector = `involvedObject.name=${name}`;
  return (await scene.client.list(kinds.Event, { namespace, fieldSelector })).items.map((item) => item.decode());
}

describe("ReplicaSets", () => {
  for (const lagMs of [0, 400, 3_000]) {
    it(`never make a pod too many while informers lag ${lagMs} ms`, async () => {
      await using scene = await ControllersWorld.create({ lagMs, seed: 5, readyMs: 500 });
      const made = new Set<string>();
      let most = 20;
      scene.watcher = (pods) => {
        for (const pod of pods) made.add(pod.metadata.uid ?? "");
        assert.ok(pods.filter(isActive).length <= most, `${pods.filter(isActive).length} pods`);
      };
      await scene.client.create(kinds.ReplicaSet, replicaSet("rs", 20));
      const has = (count: number) => async () =>
        (await scene.get(kinds.ReplicaSet, "rs")).status?.readyReplicas === count;
      await scene.until("all pods", has(20), 300_000);
      assert.equal(made.size, 20);
      await scene.patch(kinds.ReplicaSet, "rs", { spec: { replicas: 5 } });
      await scene.until("fewer pods", has(5), 300_000);
      await scene.advance(10_000);
      assert.equal((await scene.pods()).length, 5);
      most = 12;
      await scene.patch(kinds.ReplicaSet, "rs", { spec: { replicas: 12 } });
      await scene.until("more pods", has(12), 300_000);
      await scene.advance(10_000);
      assert.equal(made.size, 20 + 7);
    });
  }

  it("let pods go that do not match any more, replace them, and take such as match and are nobody's", async () => {
    await using scene = await ControllersWorld.create();
    await scene.client.create(kinds.ReplicaSet, replicaSet("rs", 2));
    const two = async (): Promise<Pod[] | false> => {
      const pods = (await scene.pods()).filter((pod) => pod.metadata.ownerReferences?.length === 1);
      return pods.length === 2 && pods;
    };
    const [first] = await scene.until("two pods", two);
    const name = first?.metadata.name ?? "";
    await scene.patch(kinds.Pod, name, { metadata: { labels: { app: "debugged" } } });
    await scene.until("the pod to be let go", async () => {
      const { ownerReferences } = (await scene.get(kinds.Pod, name)).metadata;
      return ownerReferences === undefined && (await two()) !== false;
    });
    // It is taken back, and then there is one too many.
    await scene.patch(kinds.Pod, name, { metadata: { labels: { app: "rs" } } });
    await scene.until("two pods again", async () => (await scene.pods()).length === 2);
  });

  it("say why pods are refused, and go on when they are not any more", async () => {
    await using scene = await ControllersWorld.create();
    const { spec, ...rest } = replicaSet("rs", 3);
    const template = { ...spec?.template, spec: { ...spec?.template?.spec, serviceAccountName: "missing" } };
    await scene.client.create(kinds.ReplicaSet, { ...rest, spec: { ...spec, template } } as ReplicaSet);
    const condition = await scene.until("the condition", async () =>
      (await scene.get(kinds.ReplicaSet, "rs")).status?.conditions?.find(({ type }) => type === "ReplicaFailure"),
    );
    assert.equal(condition.reason, "FailedCreate");
    assert.match(condition.message ?? "", /missing/);
    await scene.client.create(kinds.ServiceAccount, { metadata: { namespace: "default", name: "missing" } });
    const ready = await scene.until("its pods", async () => {
      const { status } = await scene.get(kinds.ReplicaSet, "rs");
      return status?.readyReplicas === 3 && status;
    });
    assert.equal(ready.conditions, undefined);
  });
});

describe("Garbage collection", () => {
  it("takes what a deleted owner owned, and what that owned", async () => {
    await using scene = await ControllersWorld.create({ lagMs: 300 });
    await scene.client.create(kinds.Deployment, deployment("web", 3, "v:1"));
    await scene.rolledOut("web");
    await scene.client.delete(kinds.Deployment, { namespace: "default", name: "web" });
    assert.equal(await scene.find(kinds.Deployment, "web"), undefined);
    await scene.until("the pods to go", async () => (await scene.pods()).length === 0);
    assert.deepEqual((await scene.client.list(kinds.ReplicaSet)).items, []);
  });

  it("in the foreground lets the owner go last, and not before a pod on its node has", async () => {
    await using scene = await ControllersWorld.create({ goneMs: 5_000 });
    await scene.client.create(kinds.Deployment, deployment("web", 2, "v:1"));
    await scene.rolledOut("web");
    const key = { namespace: "default", name: "web" };
    await scene.client.delete(kinds.Deployment, key, { propagationPolicy: "Foreground" });
    let isOwnerThere = true;
    await scene.until("the deployment to go", async () => {
      const pods = await scene.pods();
      isOwnerThere = (await scene.find(kinds.Deployment, "web")) !== undefined;
      if (!isOwnerThere) assert.deepEqual(pods, [], "pods outlived their owner");
      return !isOwnerThere;
    });
  });

  it("lets go of all that an owner leaves as orphans, seen already or not", async () => {
    await using scene = await ControllersWorld.create({ lagMs: 3_000 });
    const owner = await make(scene, configMap("owner"));
    await scene.advance(5_000);
    const names = ["a", "b", "c"];
    for (const name of names) await make(scene, configMap(name, ownedBy(owner)));
    const key = { namespace: "default", name: "owner" };
    await scene.client.delete(kinds.ConfigMap, key, { propagationPolicy: "Orphan" });
    await scene.until("the owner to go", async () => (await scene.find(kinds.ConfigMap, "owner")) === undefined);
    await scene.advance(30_000);
    for (const name of names) {
      const { metadata } = await scene.get(kinds.ConfigMap, name);
      assert.deepEqual([metadata.ownerReferences, metadata.deletionTimestamp], [undefined, undefined]);
    }
  });

  it("keeps what others own too, and takes only the reference away", async () => {
    await using scene = await ControllersWorld.create();
    const [one, two] = [await make(scene, configMap("one")), await make(scene, configMap("two"))];
    const [mine] = ownedBy(one, { blockOwnerDeletion: true }).ownerReferences;
    const [other] = ownedBy(two).ownerReferences;
    await make(scene, configMap("shared", { ownerReferences: [mine, other] }));
    await scene.advance(1_000);
    const key = { namespace: "default", name: "one" };
    await scene.client.delete(kinds.ConfigMap, key, { propagationPolicy: "Foreground" });
    await scene.until("the owner to go", async () => (await scene.find(kinds.ConfigMap, "one")) === undefined);
    const { metadata } = await scene.get(kinds.ConfigMap, "shared");
    assert.deepEqual(
      [metadata.ownerReferences?.map(({ name }) => name), metadata.deletionTimestamp],
      [["two"], undefined],
    );
    await scene.client.delete(kinds.ConfigMap, { namespace: "default", name: "two" });
    await scene.until(
      "the last owner's to go",
      async () => (await scene.find(kinds.ConfigMap, "shared")) === undefined,
    );
  });

  it("ends two that own each other", async () => {
    await using scene = await ControllersWorld.create();
    const a = await make(scene, configMap("a"));
    const b = await make(scene, configMap("b", ownedBy(a, { blockOwnerDeletion: true })));
    await scene.patch(kinds.ConfigMap, "a", { metadata: ownedBy(b, { blockOwnerDeletion: true }) });
    await scene.advance(1_000);
    const key = { namespace: "default", name: "a" };
    await scene.client.delete(kinds.ConfigMap, key, { propagationPolicy: "Foreground" });
    for (const name of ["a", "b"]) {
      await scene.until(`${name} to go`, async () => (await scene.find(kinds.ConfigMap, name)) === undefined);
    }
  });

  it("doesn't take one for an owner that has another uid, or lives in another namespace", async () => {
    await using scene = await ControllersWorld.create();
    await scene.client.create(kinds.Namespace, { metadata: { name: "other" } } as Namespace);
    const owner = await make(scene, configMap("owner"));
    await make(scene, configMap("right", ownedBy(owner)));
    await make(scene, configMap("reused", ownedBy(owner, { uid: "00000000-0000-0000-0000-000000000000" })));
    await make(scene, configMap("elsewhere", ownedBy(owner), "other"));
    await scene.until("the wrong ones to go", async () => {
      const reused = await scene.find(kinds.ConfigMap, "reused");
      return reused === undefined && (await scene.find(kinds.ConfigMap, "elsewhere", "other")) === undefined;
    });
    const [event] = await scene.until("the event", async () => {
      const events = await eventsOf(scene, "elsewhere", "other");
      return events.length > 0 && events;
    });
    assert.equal(event?.reason, "OwnerRefInvalidNamespace");
    // One without a namespace cannot say where its owner is: it is left alone.
    const role = { metadata: { name: "role", ...ownedBy(owner) }, rules: [] } as ClusterRole;
    await scene.client.create(kinds.ClusterRole, role);
    await scene.advance(10_000);
    assert.notEqual(await scene.find(kinds.ClusterRole, "role"), undefined);
    assert.notEqual(await scene.find(kinds.ConfigMap, "right"), undefined);
  });

  it("finds what lost its owner while no controller ran", async () => {
    await using scene = await ControllersWorld.create();
    const owner = await make(scene, configMap("owner"));
    await make(scene, configMap("owned", ownedBy(owner)));
    await scene.stopControllers();
    await scene.client.delete(kinds.ConfigMap, { namespace: "default", name: "owner" });
    await scene.startControllers();
    await scene.until("the owned to go", async () => (await scene.find(kinds.ConfigMap, "owned")) === undefined);
  });
});

describe("Namespaces", () => {
  it("have a default account and the CA, again when somebody deletes or changes them", async () => {
    await using scene = await ControllersWorld.create();
    await scene.client.create(kinds.Namespace, { metadata: { name: "fresh" } } as Namespace);
    const isFurnished = async (): Promise<boolean> =>
      (await scene.find(kinds.ServiceAccount, "default", "fresh")) !== undefined &&
      (await scene.find(kinds.ConfigMap, "kube-root-ca.crt", "fresh"))?.data?.["ca.crt"] === "the CA";
    await scene.until("the furniture", isFurnished);
    await scene.client.delete(kinds.ServiceAccount, { namespace: "fresh", name: "default" });
    const key = { namespace: "fresh", name: "kube-root-ca.crt" };
    await scene.client.patch(kinds.ConfigMap, key, {
      type: "merge-patch+json",
      body: { data: { "ca.crt": "forged" } },
    });
    await scene.until("the furniture again", isFurnished);
  });

  it("go with all that is in them, and say what keeps them", async () => {
    await using scene = await ControllersWorld.create({ goneMs: 1_000 });
    const namespace = "old";
    await scene.client.create(kinds.Namespace, { metadata: { name: namespace } } as Namespace);
    await scene.until(
      "the account",
      async () => (await scene.find(kinds.ServiceAccount, "default", namespace)) !== undefined,
    );
    const web = deployment("web", 3, "v:1");
    await scene.client.create(kinds.Deployment, { ...web, metadata: { ...web.metadata, namespace } });
    await scene.until("its pods", async () => (await scene.pods(namespace)).length === 3);
    await make(scene, configMap("kept", { finalizers: ["example.com/mine"] }, namespace));
    await scene.client.delete(kinds.Namespace, { namespace: "", name: namespace });
    await scene.until("the pods to go", async () => (await scene.pods(namespace)).length === 0);
    await scene.advance(15_000);
    const { status } = await scene.get(kinds.Namespace, namespace);
    assert.equal(status?.phase, "Terminating");
    const remaining = status.conditions?.find(({ type }) => type === "NamespaceContentRemaining");
    assert.equal(remaining?.status, "True");
    assert.match(remaining?.message ?? "", /configmaps\. has 1 resource instances/);
    const refused = scene.client.create(kinds.ConfigMap, configMap("new", {}, namespace));
    await assert.rejects(refused, /because it is being terminated/);
    const key = { namespace, name: "kept" };
    await scene.client.patch(kinds.ConfigMap, key, {
      type: "merge-patch+json",
      body: { metadata: { finalizers: null } },
    });
    await scene.until("the namespace to go", async () => (await scene.find(kinds.Namespace, namespace)) === undefined);
    assert.deepEqual((await scene.client.list(kinds.Event, { namespace })).items, [], "events of it are left");
  });
});

describe("EventRecorder", () => {
  const scene = async (more: object = {}) => {
    const world = await registryWorld();
    const recorder = new EventRecorder({
      client: { ...world.client, ...more } as never,
      component: "test",
      clock: world.clock,
    });
    const stack = new AsyncDisposableStack();
    stack.use(world);
    stack.use(recorder);
    const list = async (): Promise<Event[]> =>
      (await world.client.list(kinds.Event)).items.map((item) => item.decode());
    return { world, recorder, list, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  };
  const real = (world: Awaited<ReturnType<typeof registryWorld>>, client = world.client) => ({
    create: client.create.bind(client),
    patch: client.patch.bind(client),
  });
  const about = (name: string): ReturnType<typeof referenceTo> =>
    referenceTo(kinds.ConfigMap, { metadata: { namespace: "default", name, uid: `uid-${name}` } });

  it("counts what repeats, and tells what differs apart", async () => {
    await using world = await registryWorld();
    await using recorder = new EventRecorder({ client: world.client, component: "test", clock: world.clock });
    for (let i = 0; i < 5; i++) {
      recorder.record(about("a"), "Warning", "Failed", "no luck");
      await recorder.idle();
      world.clock.advance(1_000);
    }
    recorder.record(about("a"), "Warning", "Failed", "no luck today");
    recorder.record(about("role:reader/Team"), "Normal", "Made", "x".repeat(2_000));
    await recorder.idle();
    const events = (await world.client.list(kinds.Event)).items.map((item) => item.decode());
    const counts = new Map(events.map((event) => [event.message?.slice(0, 13), event.count]));
    assert.deepEqual([counts.get("no luck"), counts.get("no luck today"), counts.get("xxxxxxxxxxxxx")], [5, 1, 1]);
    const repeated = events.find((event) => event.count === 5);
    assert.equal(Date.parse(repeated?.lastTimestamp ?? "") - Date.parse(repeated?.firstTimestamp ?? ""), 4_000);
    assert.ok(events.every((event) => (event.message?.length ?? 0) <= 1_024));
  });

  it("writes no more of one object than its allowance, and all of others", async () => {
    await using world = await registryWorld();
    await using recorder = new EventRecorder({ client: world.client, component: "test", clock: world.clock });
    for (let i = 0; i < 100; i++) recorder.record(about("noisy"), "Normal", "Did", `thing ${i}`);
    recorder.record(about("quiet"), "Normal", "Did", "something");
    await recorder.idle();
    const names = (await world.client.list(kinds.Event)).items.map((item) => item.decode().involvedObject?.name);
    assert.deepEqual(
      [names.filter((name) => name === "noisy").length, names.filter((name) => name === "quiet").length],
      [25, 1],
    );
    world.clock.advance(300_000);
    recorder.record(about("noisy"), "Normal", "Did", "one more");
    await recorder.idle();
    assert.equal((await world.client.list(kinds.Event)).items.length, 27);
  });

  it("tries again while the API is away, and gives up in the end", async () => {
    let tries = 0;
    const create = (): Promise<never> => {
      tries += 1;
      return Promise.reject(serviceUnavailable("away"));
    };
    await using test = await scene({ create });
    test.recorder.record(about("a"), "Normal", "Did", "something");
    await eventually(
      () => {
        test.world.clock.advance(1_000);
        return tries === 6;
      },
      { everyMs: 1 },
    );
    test.world.clock.advance(600_000);
    await test.recorder.idle();
    assert.deepEqual([tries, test.world.clock.pending], [6, 0]);
  });

  it("doesn't try again what is forbidden, and begins anew when an event has expired", async () => {
    let tries = 0;
    const create = (): Promise<never> => {
      tries += 1;
      return Promise.reject(forbidden(kinds.Event, "", "the namespace is being terminated"));
    };
    await using test = await scene({ create });
    test.recorder.record(about("a"), "Normal", "Did", "something");
    await test.recorder.idle();
    test.world.clock.advance(600_000);
    await test.recorder.idle();
    assert.equal(tries, 1);
    await using recorder = new EventRecorder({
      client: { ...test.world.client, ...real(test.world) },
      component: "test",
      clock: test.world.clock,
    });
    recorder.record(about("b"), "Normal", "Did", "something");
    await recorder.idle();
    const [first] = await test.list();
    await test.world.client.delete(kinds.Event, { namespace: "default", name: first?.metadata.name ?? "" });
    recorder.record(about("b"), "Normal", "Did", "something");
    await eventually(
      async () => {
        test.world.clock.advance(100);
        return (await test.list())[0]?.count === 2;
      },
      { everyMs: 1 },
    );
  });
});
