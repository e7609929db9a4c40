import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  kinds,
  statusOf,
  StorageUnavailableError,
  type Kind,
  type KubeObject,
  type StatusError,
} from "@skerry/machinery";
import { MemoryLog } from "@skerry/store";
import { FaultyLog } from "@skerry/store/testing";
import { objectOf, registryWorld, type RegistryWorld } from "./registry-world.ts";

const NOTHING = {};
const podSpec = { containers: [{ name: "c", image: "busybox:1" }] };
const deploymentSpec = {
  selector: { matchLabels: { app: "web" } },
  template: { metadata: { labels: { app: "web" } }, spec: podSpec },
};
const at = (name: string) => ({ namespace: "default", name });

/** The failure of a request as its client sees it. */
async function failureOf(request: Promise<unknown>): Promise<StatusError> {
  const error = await request.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  const status = statusOf(error);
  assert.ok(status, `a StatusError, not ${String(error)}`);
  return status;
}

const create = (world: RegistryWorld, kind: Kind, name: string, more: object = NOTHING) =>
  world.client.create(kind, objectOf(kind, name, more));

interface Refusal {
  what: string;
  kind: Kind;
  object: KubeObject;
  code: number;
  message: RegExp | string;
}

const pod = (name: string, spec: object, metadata: object = NOTHING): KubeObject => {
  const object = objectOf(kinds.Pod, name, { spec });
  return { ...object, metadata: { ...object.metadata, ...metadata } };
};
const container = (more: object) => ({ containers: [{ name: "c", image: "i", ...more }] });
const deployment = (spec: object): KubeObject =>
  objectOf(kinds.Deployment, "d", { spec: { ...deploymentSpec, ...spec } });

const REFUSED: readonly Refusal[] = [
  {
    what: "an object without a name",
    kind: kinds.ConfigMap,
    object: { metadata: { namespace: "default" } },
    code: 422,
    message: 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
  },
  {
    what: "a name that is no DNS subdomain",
    kind: kinds.ConfigMap,
    object: objectOf(kinds.ConfigMap, "Not_A_Name"),
    code: 422,
    message: /^ConfigMap "Not_A_Name" is invalid: metadata\.name: Invalid value: "Not_A_Name": a lowercase RFC 1123/,
  },
  {
    what: "an object in a namespace that isn't there",
    kind: kinds.ConfigMap,
    object: { metadata: { name: "a", namespace: "nowhere" } },
    code: 404,
    message: 'namespaces "nowhere" not found',
  },
  {
    what: "a label that is none",
    kind: kinds.ConfigMap,
    object: { metadata: { name: "a", namespace: "default", labels: { "a b": "c" } } },
    code: 422,
    message: /metadata\.labels: Invalid value: "a b": name part must consist of/,
  },
  {
    what: "a finalizer without a domain",
    kind: kinds.ConfigMap,
    object: { metadata: { name: "a", namespace: "default", finalizers: ["mine"] } },
    code: 422,
    message: /metadata\.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor/,
  },
  {
    what: "a ConfigMap with one key twice",
    kind: kinds.ConfigMap,
    object: objectOf(kinds.ConfigMap, "a", { data: { k: "v" }, binaryData: { k: "AA==" } }),
    code: 422,
    message: 'ConfigMap "a" is invalid: data[k]: Invalid value: "k": duplicate of key present in binaryData',
  },
  {
    what: "a TLS secret without its key",
    kind: kinds.Secret,
    object: objectOf(kinds.Secret, "s", { type: "kubernetes.io/tls", data: { "tls.crt": "AA==" } }),
    code: 422,
    message: 'Secret "s" is invalid: data[tls.key]: Required value',
  },
  {
    what: "a pod without containers",
    kind: kinds.Pod,
    object: pod("p", { containers: [] }),
    code: 422,
    message: 'Pod "p" is invalid: spec.containers: Required value',
  },
  {
    what: "a mount of no volume",
    kind: kinds.Pod,
    object: pod("p", container({ volumeMounts: [{ name: "v", mountPath: "/v" }] })),
    code: 422,
    message: 'Pod "p" is invalid: spec.containers[0].volumeMounts[0].name: Not found: "v"',
  },
  {
    what: "a request beyond its limit",
    kind: kinds.Pod,
    object: pod("p", container({ resources: { limits: { cpu: "1" }, requests: { cpu: "2" } } })),
    code: 422,
    message:
      'Pod "p" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
  },
  {
    what: "a restart policy that nobody knows",
    kind: kinds.Pod,
    object: pod("p", { ...podSpec, restartPolicy: "Sometimes" }),
    code: 422,
    message:
      'Pod "p" is invalid: spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
  },
  {
    what: "a service account that isn't there",
    kind: kinds.Pod,
    object: pod("p", { ...podSpec, serviceAccountName: "robot" }),
    code: 403,
    message: 'pods "p" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found',
  },
  {
    what: "a selector that misses its own pods",
    kind: kinds.Deployment,
    object: deployment({ selector: { matchLabels: { app: "other" } } }),
    code: 422,
    message:
      'Deployment.apps "d" is invalid: spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
  },
  {
    what: "a rollout that can go nowhere",
    kind: kinds.Deployment,
    object: deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }),
    code: 422,
    message: /spec\.strategy\.rollingUpdate\.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0$/,
  },
  {
    what: "a rule without verbs",
    kind: kinds.Role,
    object: objectOf(kinds.Role, "r", { rules: [{ apiGroups: [""], resources: ["pods"], verbs: [] }] }),
    code: 422,
    message:
      'Role.rbac.authorization.k8s.io "r" is invalid: rules[0].verbs: Required value: verbs must contain at least one value',
  },
  {
    what: "an owner without a uid",
    kind: kinds.ConfigMap,
    object: {
      metadata: {
        name: "a",
        namespace: "default",
        ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "" }],
      },
    },
    code: 422,
    message: 'ConfigMap "a" is invalid: metadata.ownerReferences.uid: Invalid value: "": must not be empty',
  },
];

describe("Registry.create()", () => {
  for (const { what, kind, object, code, message } of REFUSED) {
    it(`refuses ${what}`, async () => {
      await using world = await registryWorld();
      const failure = await failureOf(world.client.create(kind, object));
      if (typeof message === "string") assert.equal(failure.message, message);
      else assert.match(failure.message, message);
      assert.equal(failure.code, code);
    });
  }

  it("sets what only the server may set", async () => {
    await using world = await registryWorld();
    const object = objectOf(kinds.Deployment, "d", { spec: deploymentSpec, status: { replicas: 7 } });
    object.metadata.uid = "mine";
    object.metadata.generation = 9;
    object.metadata.deletionTimestamp = "2020-01-01T00:00:00Z";
    const created = (await world.client.create(kinds.Deployment as Kind, object)).decode() as KubeObject & {
      status?: unknown;
    };
    assert.notEqual(created.metadata.uid, "mine");
    assert.equal(created.metadata.generation, 1);
    assert.equal(created.metadata.deletionTimestamp, undefined);
    assert.equal(created.metadata.creationTimestamp, "2026-01-01T00:00:00Z");
    assert.equal(created.status, undefined);
  });

  it("says that the name is taken", async () => {
    await using world = await registryWorld();
    await create(world, kinds.ConfigMap, "a");
    const failure = await failureOf(create(world, kinds.ConfigMap, "a"));
    assert.deepEqual(
      [failure.code, failure.reason, failure.message],
      [409, "AlreadyExists", 'configmaps "a" already exists'],
    );
  });

  it("lets one of many simultaneous creates win", async () => {
    await using world = await registryWorld();
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => create(world, kinds.ConfigMap, "a")));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  });

  it("completes a generated name, and another one when it is taken", async () => {
    await using world = await registryWorld();
    const object = { metadata: { generateName: "web-", namespace: "default" } };
    const created = await Promise.all(
      Array.from({ length: 50 }, () => world.client.create(kinds.ConfigMap, object as never)),
    );
    assert.equal(new Set(created.map(({ key }) => key.name)).size, 50);
    for (const { key } of created) assert.match(key.name, /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  it("refuses new objects in a namespace that is going", async () => {
    await using world = await registryWorld();
    await create(world, kinds.Namespace, "n");
    await world.client.delete(kinds.Namespace, { namespace: "", name: "n" });
    const failure = await failureOf(
      world.client.create(kinds.ConfigMap, { metadata: { name: "a", namespace: "n" } } as never),
    );
    assert.equal(
      failure.message,
      'configmaps "a" is forbidden: unable to create new content in namespace n because it is being terminated',
    );
    assert.deepEqual(failure.details?.causes, [
      { reason: "NamespaceTerminating", message: "namespace n is being terminated", field: "metadata.namespace" },
    ]);
  });

  it("gives pods their defaults and the tolerations of an edge", async () => {
    await using world = await registryWorld();
    const created = await create(world, kinds.Pod, "p", { spec: podSpec });
    const { spec, status } = created.decode() as typeof kinds.Pod.object & KubeObject;
    assert.deepEqual(status, { phase: "Pending", qosClass: "BestEffort" });
    assert.equal(spec?.serviceAccountName, "default");
    assert.deepEqual(
      spec?.tolerations,
      ["not-ready", "unreachable"].map((taint) => ({
        key: `node.kubernetes.io/${taint}`,
        operator: "Exists",
        effect: "NoExecute",
      })),
    );
    assert.equal(spec?.containers[0]?.imagePullPolicy, "IfNotPresent");
  });

  it("leaves a pod its own tolerations of a lost node", async () => {
    await using world = await registryWorld();
    const own = {
      key: "node.kubernetes.io/unreachable",
      operator: "Exists",
      effect: "NoExecute",
      tolerationSeconds: 60,
    };
    const created = await create(world, kinds.Pod, "p", { spec: { ...podSpec, tolerations: [own] } });
    const { spec } = created.decode() as typeof kinds.Pod.object & KubeObject;
    assert.deepEqual(
      spec?.tolerations?.map(({ key }) => key),
      ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"],
    );
  });

  it("warns of fields that have no effect", async () => {
    await using world = await registryWorld();
    await create(world, kinds.Pod, "p", { spec: container({ livenessProbe: { tcpSocket: { port: 80 } } }) });
    assert.deepEqual(world.warnings, [
      "spec.containers[c].livenessProbe is not honoured yet: the probe is not run, and the container is not restarted by it",
    ]);
  });

  it("writes nothing in a dry run", async () => {
    await using world = await registryWorld();
    const before = world.store.revision;
    const object = objectOf(kinds.ConfigMap, "a");
    const answer = await world.client.create(kinds.ConfigMap, object as never, { dryRun: true });
    assert.ok(answer.decode().metadata.uid);
    assert.equal(world.store.revision, before);
  });

  it("refuses unknown fields when asked to, else drops and tells them", async () => {
    await using world = await registryWorld();
    const object = objectOf(kinds.Deployment, "d", { spec: { ...deploymentSpec, foo: 1 } });
    const request = { namespace: "default", body: { object, problems: ['duplicate field "spec.replicas"'] } };
    const failure = await failureOf(world.api.create(world.context(), world.resource(kinds.Deployment), request));
    assert.equal(failure.code, 400);
    assert.match(
      failure.message,
      /strict decoding error: unknown field "spec\.foo", duplicate field "spec\.replicas"$/,
    );
    const lenient = world.context({ fieldValidation: "Warn" });
    const created = await world.api.create(lenient, world.resource(kinds.Deployment), request);
    assert.deepEqual(world.warnings, ['unknown field "spec.foo"', 'duplicate field "spec.replicas"']);
    assert.ok(!("foo" in (created.decode() as unknown as { spec: object }).spec));
  });
});

describe("Registry.update()", () => {
  it("refuses an update of another version than the newest", async () => {
    await using world = await registryWorld();
    const first = (await create(world, kinds.ConfigMap, "a")).decode();
    await world.client.update(kinds.ConfigMap, { ...first, data: { k: "1" } });
    const failure = await failureOf(world.client.update(kinds.ConfigMap, { ...first, data: { k: "2" } }));
    assert.equal(
      failure.message,
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    );
    assert.equal(failure.code, 409);
  });

  it("takes an update without a version over whatever is there, one after the other", async () => {
    await using world = await registryWorld();
    await create(world, kinds.ConfigMap, "a");
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        world.client.update(kinds.ConfigMap, objectOf(kinds.ConfigMap, "a", { data: { k: String(i) } })),
      ),
    );
    const newest = (await world.client.get(kinds.ConfigMap, at("a"))).decode();
    assert.ok(newest.data?.["k"] !== undefined);
  });

  it("doesn't write what changes nothing", async () => {
    await using world = await registryWorld();
    const created = await create(world, kinds.ConfigMap, "a", { data: { a: "1", b: "2" } });
    const before = world.store.revision;
    const { data: _, ...rest } = created.decode() as KubeObject & { data: object };
    const again = await world.client.update(kinds.ConfigMap, { data: { b: "2", a: "1" }, ...rest } as never);
    assert.equal(again.revision, created.revision);
    assert.equal(world.store.revision, before);
  });

  it("keeps spec and status apart", async () => {
    await using world = await registryWorld();
    const created = (await create(world, kinds.Deployment, "d", { spec: deploymentSpec })).decode() as KubeObject & {
      spec: object;
    };
    const both = { ...created, spec: { ...created.spec, replicas: 5 }, status: { replicas: 3 } };
    const { metadata: _, ...statusOnly } = (
      await world.client.update(kinds.Deployment, both as never, { subresource: "status" })
    ).decode();
    assert.equal(statusOnly.spec?.replicas, 1);
    assert.equal(statusOnly.status?.replicas, 3);
    const current = (await world.client.get(kinds.Deployment, at("d"))).decode();
    const spec = (
      await world.client.update(kinds.Deployment, {
        ...current,
        spec: { ...current.spec, replicas: 5 },
        status: { replicas: 99 },
      } as never)
    ).decode();
    assert.equal(spec.spec?.replicas, 5);
    assert.equal(spec.status?.replicas, 3);
    assert.deepEqual([current.metadata.generation, spec.metadata.generation], [1, 2]);
  });

  it("refuses to change what may not change", async () => {
    await using world = await registryWorld();
    const deployment = (await create(world, kinds.Deployment, "d", { spec: deploymentSpec })).decode() as never as {
      spec: { template: object };
    };
    const labels = { app: "new" };
    const failure = await failureOf(
      world.client.update(kinds.Deployment, {
        ...deployment,
        spec: {
          ...deployment.spec,
          selector: { matchLabels: labels },
          template: { ...deployment.spec.template, metadata: { labels } },
        },
      } as never),
    );
    assert.match(
      failure.message,
      /spec\.selector: Invalid value: \{"matchLabels":\{"app":"new"\}\}: field is immutable$/,
    );

    const pod = (await create(world, kinds.Pod, "p", { spec: podSpec })).decode() as never as { spec: object };
    const podFailure = await failureOf(
      world.client.update(kinds.Pod, { ...pod, spec: { ...pod.spec, restartPolicy: "Never" } } as never),
    );
    assert.match(
      podFailure.message,
      /^Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec\.containers\[\*\]\.image`/,
    );
    const image = await world.client.patch(kinds.Pod, at("p"), {
      type: "strategic-merge-patch+json",
      body: { spec: { containers: [{ name: "c", image: "busybox:2" }] } },
    });
    assert.equal(image.decode().metadata.generation, 2);
  });

  it("keeps an immutable ConfigMap as it is", async () => {
    await using world = await registryWorld();
    const created = await create(world, kinds.ConfigMap, "a", { immutable: true, data: { k: "1" } });
    const failure = await failureOf(
      world.client.update(kinds.ConfigMap, { ...created.decode(), immutable: false, data: { k: "2" } } as never),
    );
    assert.match(failure.message, /immutable: Forbidden: field is immutable when `immutable` is set, data: Forbidden/);
  });

  it("refuses a change of identity", async () => {
    await using world = await registryWorld();
    const object = (await create(world, kinds.ConfigMap, "a")).decode();
    const other = await failureOf(
      world.client.update(kinds.ConfigMap, { ...object, metadata: { ...object.metadata, uid: "other" } }),
    );
    assert.match(other.message, /Precondition failed: UID in precondition: other, UID in object meta: /);
    const named = await failureOf(
      world.api.update(world.context(), world.resource(kinds.ConfigMap), at("b"), { body: { object, problems: [] } }),
    );
    assert.equal(named.message, "the name of the object (a) does not match the name on the URL (b)");
  });

  it("creates a Lease that isn't there, and wants its version afterwards", async () => {
    await using world = await registryWorld();
    const lease = objectOf(kinds.Lease, "l", { spec: { holderIdentity: "me", leaseDurationSeconds: 15 } });
    const request = { body: { object: lease, problems: [] } };
    const first = await world.api.update(world.context(), world.resource(kinds.Lease), at("l"), request);
    assert.equal(first.created, true);
    const failure = await failureOf(world.api.update(world.context(), world.resource(kinds.Lease), at("l"), request));
    assert.match(failure.message, /metadata\.resourceVersion: Invalid value: 0: must be specified for an update/);
    const missing = await failureOf(
      world.client.update(kinds.ConfigMap, objectOf(kinds.ConfigMap, "nothing") as never),
    );
    assert.equal(missing.code, 404);
  });
});

describe("Registry.patch()", () => {
  it("scales through the scale subresource", async () => {
    await using world = await registryWorld();
    await create(world, kinds.Deployment, "d", { spec: deploymentSpec });
    const scaled = await world.client.patch(
      kinds.Deployment as Kind,
      at("d"),
      { type: "merge-patch+json", body: { spec: { replicas: 4 } } },
      { subresource: "scale" },
    );
    const scale = (await world.api.get(world.context(), world.resource(kinds.Deployment), at("d"), "scale")).decode();
    assert.deepEqual([scale.kind, scale.apiVersion], ["Scale", "autoscaling/v1"]);
    assert.deepEqual((scale as unknown as { spec: object; status: object }).spec, { replicas: 4 });
    assert.deepEqual((scale as unknown as { status: object }).status, { replicas: 0, selector: "app=web" });
    assert.deepEqual(scaled.decode(), scale);
    assert.equal(scaled.revision, (await world.client.get(kinds.Deployment, at("d"))).revision);
  });

  it("works out a patch anew when another write comes between", async () => {
    await using world = await registryWorld();
    await create(world, kinds.ConfigMap, "a", { data: {} });
    await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        world.client.patch(kinds.ConfigMap, at("a"), { type: "merge-patch+json", body: { data: { [`k${i}`]: "x" } } }),
      ),
    );
    const { data = {} } = (await world.client.get(kinds.ConfigMap, at("a"))).decode();
    assert.equal(Object.keys(data).length, 30);
  });

  it("honours a version that the patch names", async () => {
    await using world = await registryWorld();
    const created = await create(world, kinds.ConfigMap, "a");
    const body = { metadata: { resourceVersion: created.revision }, data: { k: "1" } };
    await world.client.patch(kinds.ConfigMap, at("a"), { type: "merge-patch+json", body });
    const failure = await failureOf(
      world.client.patch(kinds.ConfigMap, at("a"), { type: "merge-patch+json", body: { ...body, data: { k: "2" } } }),
    );
    assert.equal(failure.reason, "Conflict");
  });

  it("refuses a JSON patch whose test fails", async () => {
    await using world = await registryWorld();
    await create(world, kinds.ConfigMap, "a", { data: { k: "1" } });
    const failure = await failureOf(
      world.client.patch(kinds.ConfigMap, at("a"), {
        type: "json-patch+json",
        body: [{ op: "test", path: "/data/k", value: "2" }],
      }),
    );
    assert.equal(failure.code, 422);
  });

  it("refuses to make another kind of an object", async () => {
    await using world = await registryWorld();
    const { revision } = await create(world, kinds.ConfigMap, "a");
    for (const body of [
      { kind: "Secret", data: { k: "1" } },
      { apiVersion: "v2", data: { k: "1" } },
    ]) {
      const patch = { type: "merge-patch+json", body } as const;
      const failure = await failureOf(world.client.patch(kinds.ConfigMap, at("a"), patch));
      assert.equal(failure.code, 422);
      assert.match(failure.message, /in the data \((Secret|v2)\) does not match the expected/);
    }
    assert.equal((await world.client.get(kinds.ConfigMap, at("a"))).revision, revision);
  });
});

describe("Registry.delete()", () => {
  it("waits for finalizers, and goes with the last of them", async () => {
    await using world = await registryWorld();
    const object = objectOf(kinds.ConfigMap, "a");
    object.metadata.finalizers = ["example.com/hold"];
    await world.client.create(kinds.ConfigMap, object as never);
    const resource = world.resource(kinds.ConfigMap);
    const answer = await world.api.delete(world.context(), resource, at("a"), {});
    assert.equal(answer.outcome, "pending");
    const marked = answer.object.decode();
    assert.deepEqual(
      [marked.metadata.deletionTimestamp, marked.metadata.deletionGracePeriodSeconds],
      ["2026-01-01T00:00:00Z", 0],
    );
    const added = await failureOf(
      world.client.patch(kinds.ConfigMap, at("a"), {
        type: "merge-patch+json",
        body: { metadata: { finalizers: ["example.com/hold", "example.com/more"] } },
      }),
    );
    assert.match(
      added.message,
      /metadata\.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \[\]string\{"example\.com\/more"\}/,
    );
    await world.client.patch(kinds.ConfigMap, at("a"), {
      type: "merge-patch+json",
      body: { metadata: { finalizers: null } },
    });
    assert.equal((await failureOf(world.client.get(kinds.ConfigMap, at("a")))).code, 404);
  });

  it("tells the garbage collector by a finalizer what becomes of dependents", async () => {
    await using world = await registryWorld();
    for (const [name, policy, finalizer] of [
      ["f", "Foreground", "foregroundDeletion"],
      ["o", "Orphan", "orphan"],
    ] as const) {
      await create(world, kinds.ConfigMap, name);
      await world.client.delete(kinds.ConfigMap, at(name), { propagationPolicy: policy });
      const { metadata } = (await world.client.get(kinds.ConfigMap, at(name))).decode();
      assert.deepEqual(metadata.finalizers, [finalizer]);
    }
    await create(world, kinds.ConfigMap, "b");
    await world.client.delete(kinds.ConfigMap, at("b"), { propagationPolicy: "Background" });
    assert.equal((await failureOf(world.client.get(kinds.ConfigMap, at("b")))).code, 404);
  });

  it("gives a running pod its grace, which can only be shortened", async () => {
    await using world = await registryWorld();
    await create(world, kinds.Pod, "p", { spec: { ...podSpec, nodeName: "n" } });
    const graceOf = async () => (await world.client.get(kinds.Pod, at("p"))).decode().metadata;
    await world.client.delete(kinds.Pod, at("p"));
    assert.deepEqual(
      [(await graceOf()).deletionTimestamp, (await graceOf()).deletionGracePeriodSeconds, (await graceOf()).generation],
      ["2026-01-01T00:00:30Z", 30, 2],
    );
    await world.client.delete(kinds.Pod, at("p"), { gracePeriodSeconds: 60 });
    assert.equal((await graceOf()).deletionGracePeriodSeconds, 30);
    await world.client.delete(kinds.Pod, at("p"), { gracePeriodSeconds: 5 });
    assert.deepEqual(
      [(await graceOf()).deletionTimestamp, (await graceOf()).deletionGracePeriodSeconds],
      ["2026-01-01T00:00:05Z", 5],
    );
    await world.client.delete(kinds.Pod, at("p"), { gracePeriodSeconds: 0 });
    assert.equal((await failureOf(graceOf())).code, 404);
  });

  it("removes a pod at once that no node runs", async () => {
    await using world = await registryWorld();
    await create(world, kinds.Pod, "p", { spec: podSpec });
    await world.client.delete(kinds.Pod, at("p"));
    assert.equal((await failureOf(world.client.get(kinds.Pod, at("p")))).code, 404);
  });

  it("honours preconditions", async () => {
    await using world = await registryWorld();
    const { uid } = (await create(world, kinds.ConfigMap, "a")).decode().metadata;
    const failure = await failureOf(world.client.delete(kinds.ConfigMap, at("a"), { preconditions: { uid: "other" } }));
    assert.equal(failure.reason, "Conflict");
    assert.match(failure.message, /the UID in the precondition \(other\) does not match the UID in record/);
    await world.client.delete(kinds.ConfigMap, at("a"), { preconditions: { uid: uid ?? "" } });
  });

  it("keeps a namespace until its content is gone, and some for good", async () => {
    await using world = await registryWorld();
    const key = { namespace: "", name: "n" };
    await create(world, kinds.Namespace, "n");
    await world.client.delete(kinds.Namespace, key);
    const going = (await world.client.get(kinds.Namespace, key)).decode();
    assert.deepEqual([going.status?.phase, going.spec?.finalizers], ["Terminating", ["kubernetes"]]);
    assert.equal(going.metadata.deletionGracePeriodSeconds, undefined);
    await world.client.update(kinds.Namespace, { ...going, spec: { finalizers: [] } }, { subresource: "finalize" });
    assert.equal((await failureOf(world.client.get(kinds.Namespace, key))).code, 404);
    const failure = await failureOf(world.client.delete(kinds.Namespace, { namespace: "", name: "kube-system" }));
    assert.equal(failure.message, 'namespaces "kube-system" is forbidden: this namespace may not be deleted');
  });

  it("deletes a collection by its selector and answers with what it was", async () => {
    await using world = await registryWorld();
    for (const name of ["a", "b", "c"]) {
      const object = objectOf(kinds.ConfigMap, name);
      object.metadata.labels = { keep: String(name === "c") };
      await world.client.create(kinds.ConfigMap, object as never);
    }
    const selection = { namespace: "default", labelSelector: "keep=false" };
    const answer = await world.api.deleteCollection(world.context(), world.resource(kinds.ConfigMap), selection, {});
    assert.deepEqual(
      answer.items.map(({ key }) => key.name),
      ["a", "b"],
    );
    const left = await world.client.list(kinds.ConfigMap, { namespace: "default" });
    assert.deepEqual(
      left.items.map(({ key }) => key.name),
      ["c"],
    );
  });
});

describe("acts on pods", () => {
  const bind = (world: RegistryWorld, name: string, node: string) =>
    world.client.create(
      kinds.Pod,
      { apiVersion: "v1", kind: "Binding", metadata: at(name), target: { kind: "Node", name: node } } as never,
      { subresource: "binding" },
    );

  it("binding gives a pod its node once", async () => {
    await using world = await registryWorld();
    await create(world, kinds.Pod, "p", { spec: podSpec });
    const outcomes = await Promise.allSettled([bind(world, "p", "n1"), bind(world, "p", "n2")]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
    const failure = await failureOf(bind(world, "p", "n3"));
    assert.match(failure.message, /pod p is already assigned to node "n1"$/);
    const { spec, status } = (await world.client.get(kinds.Pod, at("p"))).decode();
    assert.equal(spec?.nodeName, "n1");
    assert.deepEqual(
      status?.conditions?.map(({ type, status: is }) => [type, is]),
      [["PodScheduled", "True"]],
    );
  });

  it("eviction deletes the pod, unless it is a rehearsal", async () => {
    await using world = await registryWorld();
    const { revision } = await create(world, kinds.Pod, "p", { spec: podSpec });
    await world.client.create(
      kinds.Pod,
      {
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata: at("p"),
        deleteOptions: { dryRun: ["All"] },
      } as never,
      { subresource: "eviction" },
    );
    assert.equal((await world.client.get(kinds.Pod, at("p"))).revision, revision);
    await world.client.create(kinds.Pod, { apiVersion: "policy/v1", kind: "Eviction", metadata: at("p") } as never, {
      subresource: "eviction",
    });
    assert.equal((await failureOf(world.client.get(kinds.Pod, at("p")))).code, 404);
  });
});

describe("a storage that cannot write", () => {
  it("is told as unavailable, changes nothing, and is used again when it can", async () => {
    const log = new FaultyLog(new MemoryLog());
    await using world = await registryWorld(log);
    const created = await create(world, kinds.ConfigMap, "a", { data: { k: "1" } });
    log.beforeCommit = () => Promise.reject(new StorageUnavailableError("Cannot write: the disk is full"));
    const patch = { type: "merge-patch+json", body: { data: { k: "2" } } } as const;
    for (const request of [
      create(world, kinds.ConfigMap, "b"),
      world.client.patch(kinds.ConfigMap, at("a"), patch),
      world.client.delete(kinds.ConfigMap, at("a")),
    ]) {
      const failure = await failureOf(request);
      assert.deepEqual([failure.code, failure.reason, failure.retryAfterSeconds], [503, "ServiceUnavailable", 1]);
      assert.match(failure.message, /the disk is full/);
    }
    assert.equal((await world.client.get(kinds.ConfigMap, at("a"))).revision, created.revision);
    log.beforeCommit = () => undefined;
    await world.client.patch(kinds.ConfigMap, at("a"), patch);
    await create(world, kinds.ConfigMap, "b");
  });
});
