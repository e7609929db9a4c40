import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { UnsupportedNotice } from "@skerry/apiserver";
import { kinds, StatusError } from "@skerry/machinery";
import { objectOf, registryWorld, type RegistryWorld } from "./registry-world.ts";

const container = (more: object = {}): object => ({ name: "c", image: "nginx", ...more });
const PROBE = { livenessProbe: { tcpSocket: { port: 80 } } };

const deployment = (spec: object): object => ({
  spec: { selector: { matchLabels: { a: "b" } }, template: { metadata: { labels: { a: "b" } }, spec } },
});

/** A registry, and what it told of fields without effect: `Deployment/web: path, path`. */
async function listeningWorld(): Promise<{ world: RegistryWorld; told: string[] }> {
  const told: string[] = [];
  const onUnsupported = ({ kind, object, texts }: UnsupportedNotice): void => {
    assert.ok(object.metadata.uid && object.metadata.resourceVersion, "it is told of what is written");
    told.push(
      `${kind.kind}/${object.metadata.name}: ${texts.map((text) => text.split(" is not honoured yet: ")[0]).join(", ")}`,
    );
  };
  return { world: await registryWorld(undefined, { onUnsupported }), told };
}

describe("Registry's onUnsupported", () => {
  it("hears of what a new object asks for in vain", async () => {
    const { world, told } = await listeningWorld();
    await using _ = world;
    await world.client.create(
      kinds.Deployment,
      objectOf(kinds.Deployment, "web", deployment({ affinity: {}, containers: [container(PROBE)] })) as never,
    );
    assert.deepEqual(told, [
      "Deployment/web: spec.template.spec.affinity, spec.template.spec.containers[c].livenessProbe",
    ]);
  });

  it("hears of each field once, when it is brought in", async () => {
    const { world, told } = await listeningWorld();
    await using _ = world;
    const key = { namespace: "default", name: "web" };
    const plain = objectOf(kinds.Deployment, "web", deployment({ containers: [container(PROBE)] }));
    await world.client.create(kinds.Deployment, plain as never);
    const patch = (spec: object): Promise<unknown> =>
      world.client.patch(kinds.Deployment, key, { type: "merge-patch+json", body: { spec } });
    await patch({ replicas: 3 });
    await patch({ template: { spec: { affinity: {} } } });
    assert.deepEqual(told, [
      "Deployment/web: spec.template.spec.containers[c].livenessProbe",
      "Deployment/web: spec.template.spec.affinity",
    ]);
  });

  it("hears of what a kind without generations asks for in vain, and of other changes nothing", async () => {
    const { world, told } = await listeningWorld();
    await using _ = world;
    const account = objectOf(kinds.ServiceAccount, "robot", { imagePullSecrets: [{ name: "s" }] });
    await world.client.create(kinds.ServiceAccount, account as never);
    await world.client.create(kinds.Node, { metadata: { name: "edge-1" } } as never);
    const patch = (body: object): Promise<unknown> =>
      world.client.patch(kinds.Node, { namespace: "", name: "edge-1" }, { type: "merge-patch+json", body });
    await patch({ spec: { taints: [{ key: "mine", effect: "NoExecute" }] } });
    await patch({ metadata: { labels: { a: "b" } } });
    assert.deepEqual(told, ["ServiceAccount/robot: imagePullSecrets", "Node/edge-1: spec.taints[mine].effect"]);
    assert.deepEqual(world.warnings, [
      "imagePullSecrets is not honoured yet: images of its pods are pulled without these credentials",
      "spec.taints[mine].effect is not honoured yet: pods that run there stay; only new ones are kept away",
    ]);
  });

  it("hears nothing of dry runs, nor of what a controller made", async () => {
    const { world, told } = await listeningWorld();
    await using _ = world;
    const pod = objectOf(kinds.Pod, "p", { spec: { containers: [container(PROBE)] } });
    await world.client.create(kinds.Pod, pod as never, { dryRun: true });
    const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "1", controller: true };
    const made = { ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } };
    await world.client.create(kinds.Pod, made as never);
    assert.deepEqual(told, []);
  });
});

it("Registry says of a patch that doesn't fit what the patch was, and nothing of the object", async () => {
  await using world = await registryWorld();
  const secret = objectOf(kinds.Secret, "s", { data: { password: "c2VjcmV0" } });
  await world.client.create(kinds.Secret, secret as never);
  const patched = world.client.patch(
    kinds.Secret,
    { namespace: "default", name: "s" },
    { type: "merge-patch+json", body: { data: { other: 1 } } },
  );
  await assert.rejects(patched, (error: unknown) => {
    assert.ok(error instanceof StatusError);
    assert.match(
      error.message,
      /patch: Invalid value: "\{\\"data\\":\{\\"other\\":1\}\}": json: cannot unmarshal number/,
    );
    assert.doesNotMatch(error.message, /c2VjcmV0/);
    return true;
  });
});
