/**
 * Makes up sequences of applies and updates of built-in kinds, for the field manager of Kubernetes to play with its own
 * types and schema (`main.go`). Run in the folder above; what comes out is a fixture of the tests of apply:
 *
 *   node builtin/cases.ts | go run ./builtin > ../../../packages/machinery/src/apply/testdata/builtin.jsonl
 */
import { apiVersionOf, kinds, type Kind } from "../../../../packages/machinery/src/index.ts";
import { definition, type Field, type FieldType } from "../../../../packages/machinery/src/schema.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

const SEED = Number(process.argv[2] ?? 1);
const ROUNDS = Number(process.argv[3] ?? 3);
const KINDS: readonly Kind[] = [
  kinds.Deployment,
  kinds.Pod,
  kinds.ReplicaSet,
  kinds.ConfigMap,
  kinds.Secret,
  kinds.ServiceAccount,
  kinds.Namespace,
  kinds.Node,
  kinds.Lease,
  kinds.Event,
  kinds.Role,
  kinds.RoleBinding,
];

let state = SEED;
/** mulberry32: a seed makes the cases the same each time. */
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const chance = (probability: number): boolean => random() < probability;
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

/** Nothing empty and nothing zero: those the types leave out or put in, and it is no business of apply. */
function value(type: FieldType, density: number): Json | undefined {
  switch (type.type) {
    case "string":
      if (type.format === "byte") return pick(["aGk=", "aGkx"]);
      if (type.format === "date-time") return pick(["2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"]);
      if (type.format === "micro-time") return pick(["2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:06.000002Z"]);
      return pick(["x", "y"]);
    case "integer":
    case "number":
      return pick([1, 2]);
    case "boolean":
      return true;
    case "quantity":
      return pick(["100m", "1Gi"]);
    case "int-or-string":
      return pick([1, "5%"]);
    case "any":
      return undefined;
    case "map": {
      const keys = ["k1", "k2", "k3"].filter(() => chance(0.5));
      const entries = (keys.length === 0 ? ["k1"] : keys).map(
        (key) => [key, value(type.values, density) ?? "x"] as const,
      );
      return Object.fromEntries(entries);
    }
    case "object":
      return object(type.ref, density);
    case "list":
      return list(type, density);
  }
}

function list(type: FieldType & { type: "list" }, density: number): Json | undefined {
  const seen = new Set<string>();
  const items: Json[] = [];
  for (let i = 0; i < 1 + Math.floor(random() * 3); i++) {
    const item = value(type.items, density);
    if (item === undefined) continue;
    const { list: kind } = type;
    if (kind.kind === "map") {
      const fields = type.items.type === "object" ? definition(type.items.ref)?.fields : undefined;
      for (const key of kind.keys) {
        const field = fields?.get(key);
        if (field?.default !== undefined && chance(0.3)) delete (item as JsonObject)[key];
        else (item as JsonObject)[key] = field === undefined ? "x" : (value(field.type, density) ?? "x");
      }
    }
    const id = kind.kind === "map" ? kind.keys.map((key) => (item as JsonObject)[key] ?? "TCP") : item;
    if (kind.kind !== "atomic" && seen.has(JSON.stringify(id))) continue;
    seen.add(JSON.stringify(id));
    items.push(item);
  }
  return items.length === 0 ? undefined : items;
}

function object(ref: string, density: number): JsonObject | undefined {
  const out: JsonObject = {};
  for (const [name, field] of definition(ref)?.fields ?? []) {
    // A group that is left out is an empty one to the types, and no configuration says that.
    if (!field.required && name !== "apiGroup" && !chance(density)) continue;
    const made = value(field.type, density * 0.8);
    if (made !== undefined) out[name] = made;
  }
  return Object.keys(out).length === 0 ? undefined : out;
}

const METADATA = ["labels", "annotations", "finalizers", "ownerReferences"];

function config(kind: Kind, density: number): JsonObject {
  const out: JsonObject = { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name: "x" } };
  for (const [name, field] of definition(kind.schema)?.fields ?? new Map<string, Field>()) {
    if (name === "apiVersion" || name === "kind" || name === "metadata") continue;
    if (!field.required && !chance(name === "status" ? 0.3 : 0.8)) continue;
    const made = value(field.type, density);
    if (made !== undefined) out[name] = made;
  }
  if (chance(0.4)) {
    const made = object("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", 0.4) ?? {};
    out["metadata"] = Object.fromEntries([
      ["name", "x"],
      ...METADATA.flatMap((name) => (name in made ? [[name, made[name]]] : [])),
    ]) as JsonObject;
  }
  return out;
}

for (let round = 0; round < ROUNDS; round++) {
  for (const kind of KINDS) {
    const steps: Json[] = [];
    const density = pick([0.15, 0.25, 0.35]);
    for (let s = 0; s < 5; s++) {
      const subresource = chance(0.1) ? "status" : "";
      if (chance(0.6)) {
        steps.push({
          op: "apply",
          manager: pick(["a", "b"]),
          force: chance(0.6),
          config: config(kind, density),
          subresource,
        });
      } else {
        const { apiVersion, kind: name, metadata, ...patch } = config(kind, density);
        const fields = metadata as JsonObject;
        steps.push({
          op: "update",
          manager: pick(["a", "u"]),
          patch: { ...patch, metadata: { ...fields, ...(chance(0.2) && { labels: null }) } },
          subresource,
        });
        void apiVersion;
        void name;
      }
    }
    process.stdout.write(`${JSON.stringify({ apiVersion: apiVersionOf(kind), kind: kind.kind, steps })}\n`);
  }
}
