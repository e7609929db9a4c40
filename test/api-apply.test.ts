import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PatchRequest } from "@skerry/apiserver";
import { kinds, statusOf, type Kind, type KubeObject, type StatusError } from "@skerry/machinery";
import { objectOf, registryWorld, type RegistryWorld } from "./registry-world.ts";

const at = (name: string) => ({ namespace: "default", name });

const deployment = (spec: object): KubeObject => objectOf(kinds.Deployment, "d", { spec });
const FULL = {
  replicas: 2,
  selector: { matchLabels: { app: "web" } },
  template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "busybox:1" }] } },
};

function apply(world: RegistryWorld, kind: Kind, manager: string, body: KubeObject, more: Partial<PatchRequest> = {}) {
  const request: PatchRequest = { type: "application/apply-patch+yaml", body, problems: [], ...more };
  const context = world.context({ fieldManager: manager });
  return world.api.patch(context, world.resource(kind), at(body.metadata.name ?? ""), request);
}

async function failureOf(request: Promise<unknown>): Promise<StatusError> {
  const error = await request.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  const status = statusOf(error);
  assert.ok(status, `a StatusError, not ${String(error)}`);
  return status;
}

const managersOf = ({ metadata }: KubeObject): string[] =>
  (metadata.managedFields ?? []).map(({ manager, operation, subresource }) =>
    [manager, operation, subresource].filter(Boolean).join("/"),
  );

describe("server-side apply", () => {
  it("creates what isn't there, and then changes it", async () => {
    await using world = await registryWorld();
    const first = await apply(world, kinds.Deployment, "helm", deployment(FULL));
    assert.equal(first.created, true);
    const created = first.object.decode();
    assert.deepEqual(managersOf(created), ["helm/Apply"]);
    assert.ok(created.metadata.uid);
    const second = await apply(world, kinds.Deployment, "helm", deployment({ ...FULL, replicas: 3 }));
    assert.equal(second.created, false);
    const { metadata, spec } = second.object.decode() as KubeObject & { spec: { replicas: number } };
    assert.deepEqual([spec.replicas, metadata.generation], [3, 2]);
  });

  it("writes nothing when it says what is so already", async () => {
    await using world = await registryWorld();
    const first = await apply(world, kinds.Deployment, "helm", deployment(FULL));
    world.clock.advance(5000);
    const second = await apply(world, kinds.Deployment, "helm", deployment(FULL));
    assert.equal(second.object.revision, first.object.revision);
  });

  it("names who owns a field that another one applies", async () => {
    await using world = await registryWorld();
    await apply(world, kinds.Deployment, "helm", deployment(FULL));
    const other = deployment({ ...FULL, replicas: 9 });
    const failure = await failureOf(apply(world, kinds.Deployment, "kubectl", other));
    assert.equal(failure.code, 409);
    assert.deepEqual(failure.details?.causes, [
      { reason: "FieldManagerConflict", message: 'conflict with "helm"', field: ".spec.replicas" },
    ]);
    const { object } = await apply(world, kinds.Deployment, "kubectl", other, { force: true });
    assert.deepEqual(managersOf(object.decode()).toSorted(), ["helm/Apply", "kubectl/Apply"]);
  });

  it("removes what its sole owner no longer applies", async () => {
    await using world = await registryWorld();
    await apply(world, kinds.ConfigMap, "helm", objectOf(kinds.ConfigMap, "c", { data: { a: "1", b: "2" } }));
    const { object } = await apply(
      world,
      kinds.ConfigMap,
      "helm",
      objectOf(kinds.ConfigMap, "c", { data: { a: "1" } }),
    );
    assert.deepEqual((object.decode() as KubeObject & { data: object }).data, { a: "1" });
  });

  it("refuses fields that the kind doesn't have", async () => {
    await using world = await registryWorld();
    const failure = await failureOf(apply(world, kinds.Deployment, "helm", deployment({ ...FULL, foo: 1 })));
    assert.match(failure.message, /\.spec\.foo: field not declared in schema/);
  });

  it("refuses what validation refuses", async () => {
    await using world = await registryWorld();
    const failure = await failureOf(apply(world, kinds.Deployment, "helm", deployment({ ...FULL, replicas: -1 })));
    assert.equal(failure.code, 422);
  });

  it("lets one of many simultaneous applies create, and the others follow", async () => {
    await using world = await registryWorld();
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        apply(world, kinds.ConfigMap, `m${i}`, objectOf(kinds.ConfigMap, "c", { data: { [`k${i}`]: "x" } })),
      ),
    );
    assert.equal(results.filter(({ created }) => created).length, 1);
    const { data = {} } = (await world.client.get(kinds.ConfigMap, at("c"))).decode();
    assert.equal(Object.keys(data).length, 10);
  });

  it("applies a scale, which then belongs to its manager", async () => {
    await using world = await registryWorld();
    const { replicas: _, ...unscaled } = FULL;
    await apply(world, kinds.Deployment, "helm", deployment(unscaled));
    const scale = { apiVersion: "autoscaling/v1", kind: "Scale", metadata: at("d"), spec: { replicas: 7 } };
    await apply(world, kinds.Deployment, "hpa", scale as never, { subresource: "scale" });
    const scaled = (await world.client.get(kinds.Deployment, at("d"))).decode();
    assert.deepEqual(managersOf(scaled), ["helm/Apply", "hpa/Apply/scale"]);
    assert.equal((scaled as never as { spec: { replicas: number } }).spec.replicas, 7);
    const again = await apply(world, kinds.Deployment, "helm", deployment(unscaled));
    assert.equal((again.object.decode() as never as { spec: { replicas: number } }).spec.replicas, 7);
  });

  it("applies a status without touching the spec", async () => {
    await using world = await registryWorld();
    await apply(world, kinds.Deployment, "helm", deployment(FULL));
    const status = objectOf(kinds.Deployment, "d", { spec: { replicas: 99 }, status: { replicas: 1 } });
    const { object } = await apply(world, kinds.Deployment, "controller", status, { subresource: "status" });
    const { spec, status: written } = object.decode() as never as { spec: { replicas: number }; status: object };
    assert.deepEqual([spec.replicas, written], [2, { replicas: 1 }]);
  });
});

describe("managed fields of other writes", () => {
  it("notes who changed what, where", async () => {
    await using world = await registryWorld();
    const created = await world.client.create(kinds.Deployment, deployment(FULL) as never, {
      fieldManager: "kubectl-create",
    });
    assert.deepEqual(managersOf(created.decode()), ["kubectl-create/Update"]);
    await world.client.patch(
      kinds.Deployment,
      at("d"),
      { type: "merge-patch+json", body: { status: { replicas: 1 } } },
      { subresource: "status", fieldManager: "controller" },
    );
    await world.client.patch(
      kinds.Deployment as Kind,
      at("d"),
      { type: "merge-patch+json", body: { spec: { replicas: 5 } } },
      { subresource: "scale", fieldManager: "kubectl-scale" },
    );
    const scaled = await world.client.get(kinds.Deployment, at("d"));
    assert.deepEqual(managersOf(scaled.decode()).toSorted(), [
      "controller/Update/status",
      "kubectl-create/Update",
      "kubectl-scale/Update/scale",
    ]);
    const entry = scaled.decode().metadata.managedFields?.find(({ subresource }) => subresource === "scale");
    assert.deepEqual(entry?.fieldsV1, { "f:spec": { "f:replicas": {} } });
  });

  it("owns no status through the object itself", async () => {
    await using world = await registryWorld();
    const pod = objectOf(kinds.Pod, "p", {
      spec: { containers: [{ name: "c", image: "i" }] },
      status: { phase: "Running" },
    });
    const created = await world.client.create(kinds.Pod, pod as never);
    const [entry] = created.decode().metadata.managedFields ?? [];
    assert.deepEqual(Object.keys(entry?.fieldsV1 ?? {}), ["f:spec"]);
  });
});
