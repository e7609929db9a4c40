import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { descriptionOf } from "./docs.ts";
import { kinds } from "./kinds.ts";
import { definition, definitionRefs, type Definition, type Field, type FieldType } from "./schema.ts";

const CORE = "io.k8s.api.core.v1";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1";

function known(ref: string): Definition {
  const found = definition(ref);
  assert.ok(found !== undefined, `${ref} is not known`);
  return found;
}

function field(ref: string, name: string): Field {
  const found = known(ref).fields.get(name);
  assert.ok(found !== undefined, `${ref} has no field ${name}`);
  return found;
}

const listOf = (ref: string, name: string): unknown => {
  const { type } = field(ref, name);
  return type.type === "list" ? type.list : undefined;
};

/** The types that a type is made of, itself included. */
function* parts(type: FieldType): Generator<FieldType> {
  yield type;
  if (type.type === "list") yield* parts(type.items);
  if (type.type === "map") yield* parts(type.values);
}

describe("definition()", () => {
  it("knows the schema of every kind", () => {
    for (const kind of Object.values(kinds)) {
      const names = [...known(kind.schema).fields.keys()];
      assert.deepEqual(names.slice(0, 3), ["apiVersion", "kind", "metadata"], kind.kind);
      assert.deepEqual(field(kind.schema, "metadata").type, { type: "object", ref: `${META}.ObjectMeta` });
    }
  });

  it("refers only to definitions and keys that are there", () => {
    for (const ref of definitionRefs()) {
      for (const [name, { type }] of known(ref).fields) {
        for (const part of parts(type)) {
          if (part.type === "object") known(part.ref);
          if (part.type !== "list" || part.list.kind !== "map") continue;
          const item = part.items.type === "object" ? known(part.items.ref) : undefined;
          for (const key of part.list.keys) assert.ok(item?.fields.has(key), `${ref}.${name} has no key ${key}`);
        }
      }
    }
  });

  it("gives a definition one object", () => assert.equal(definition(`${CORE}.Pod`), definition(`${CORE}.Pod`)));

  it("knows no other names", () => {
    for (const ref of ["", "core.v1.Pod", `${CORE}.Nothing`, "io.k8s.api.core.v1.constructor", "com.example.v1.Pod"]) {
      assert.equal(definition(ref), undefined, ref);
    }
  });

  it("tells the types of fields", () => {
    assert.deepEqual(field(`${CORE}.Container`, "stdin").type, { type: "boolean" });
    assert.deepEqual(field(`${CORE}.Secret`, "data").type, { type: "map", values: { type: "string", format: "byte" } });
    assert.deepEqual(field(`${META}.ObjectMeta`, "creationTimestamp").type, { type: "string", format: "date-time" });
    assert.deepEqual(field(`${META}.ObjectMeta`, "generation").type, { type: "integer", format: "int64" });
    assert.deepEqual(field(`${META}.ManagedFieldsEntry`, "fieldsV1").type, { type: "any" });
    assert.deepEqual(field("io.k8s.api.coordination.v1.LeaseSpec", "renewTime").type, {
      type: "string",
      format: "micro-time",
    });
    assert.deepEqual(field(`${CORE}.HTTPGetAction`, "port").type, { type: "int-or-string" });
    assert.deepEqual(field(`${CORE}.ResourceRequirements`, "limits").type, {
      type: "map",
      values: { type: "quantity" },
    });
  });

  it("tells what is required", () => {
    assert.equal(field(`${CORE}.PodSpec`, "containers").required, true);
    assert.equal(field(`${CORE}.Container`, "name").required, true);
    assert.equal(field(`${CORE}.EphemeralContainer`, "name").required, true);
    assert.equal(field(`${CORE}.Container`, "image").required, false);
    assert.equal(field("io.k8s.api.apps.v1.DeploymentSpec", "selector").required, true);
  });

  it("tells how lists are merged", () => {
    const map = (...keys: string[]): unknown => ({ kind: "map", keys });
    assert.deepEqual(listOf(`${CORE}.PodSpec`, "containers"), map("name"));
    assert.deepEqual(listOf(`${CORE}.Container`, "ports"), map("containerPort", "protocol"));
    assert.deepEqual(listOf(`${CORE}.Container`, "volumeMounts"), map("mountPath"));
    assert.deepEqual(listOf(`${CORE}.PodSpec`, "topologySpreadConstraints"), map("topologyKey", "whenUnsatisfiable"));
    assert.deepEqual(listOf(`${CORE}.PodStatus`, "podIPs"), map("ip"));
    assert.deepEqual(listOf(`${CORE}.PodStatus`, "hostIPs"), { kind: "atomic" });
    assert.deepEqual(listOf(`${CORE}.PodStatus`, "resourceClaimStatuses"), map("name"));
    assert.deepEqual(listOf(`${META}.ObjectMeta`, "ownerReferences"), map("uid"));
    assert.deepEqual(listOf(`${META}.ObjectMeta`, "finalizers"), { kind: "set" });
    assert.deepEqual(listOf(`${META}.ObjectMeta`, "managedFields"), { kind: "atomic" });
    assert.deepEqual(listOf(`${CORE}.Container`, "args"), { kind: "atomic" });
    assert.deepEqual(listOf("io.k8s.api.rbac.v1.Role", "rules"), { kind: "atomic" });
    assert.equal(field(`${CORE}.ContainerPort`, "protocol").default, "TCP");
  });

  it("tells what strategic merge does, and what is owned as a whole", () => {
    const volumes = field(`${CORE}.PodSpec`, "volumes");
    assert.deepEqual([volumes.patchStrategy, volumes.patchMergeKey], [["merge", "retainKeys"], "name"]);
    assert.deepEqual(field("io.k8s.api.apps.v1.DeploymentSpec", "strategy").patchStrategy, ["retainKeys"]);
    assert.equal(field(`${CORE}.PodSpec`, "nodeSelector").atomic, true);
    assert.equal(known(`${META}.LabelSelector`).atomic, true);
    assert.equal(known(`${CORE}.PodSpec`).atomic, undefined);
  });

  it("flattens what JSON flattens", () => {
    assert.ok(known(`${CORE}.Volume`).fields.has("emptyDir"));
    assert.ok(known(`${CORE}.Probe`).fields.has("httpGet"));
    assert.ok(known(`${CORE}.ConfigMapKeySelector`).fields.has("name"));
  });
});

describe("descriptionOf()", () => {
  it("describes definitions and their fields", () => {
    assert.match(descriptionOf(`${CORE}.Pod`) ?? "", /^Pod is a collection of containers/);
    assert.match(descriptionOf(`${CORE}.Container`, "image") ?? "", /^Container image name\./);
  });

  it("describes a field without a text of its own by what it refers to, flattened ones too", () => {
    assert.equal(
      descriptionOf("io.k8s.api.apps.v1.DeploymentStrategy", "rollingUpdate"),
      "Spec to control the desired behavior of rolling update.",
    );
    assert.match(descriptionOf(`${CORE}.Volume`, "emptyDir") ?? "", /^Represents an empty directory for a pod\./);
    const silent = ["Pod", "PodSpec", "Container", "Probe", "Volume", "NodeSpec"].flatMap((name) =>
      [...known(`${CORE}.${name}`).fields.keys()].filter(
        (field) => descriptionOf(`${CORE}.${name}`, field) === undefined,
      ),
    );
    assert.deepEqual(silent, []);
  });

  it("has nothing to say of what it does not know", () => {
    assert.equal(descriptionOf(`${CORE}.Container`, "nothing"), undefined);
    assert.equal(descriptionOf("com.example.v1.Widget"), undefined);
  });
});
