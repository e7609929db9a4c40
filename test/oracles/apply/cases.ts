/**
 * Makes up sequences of applies and updates over a small schema, for the merge engine of Kubernetes to play (`main.go`).
 * Run in this folder, Node and Go at hand; what comes out is a fixture of the tests of apply:
 *
 *   node cases.ts | go run . > ../../../packages/machinery/src/apply/testdata/cases.jsonl
 */
import { lookup } from "../../../packages/machinery/src/test-schema.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Type =
  NonNullable<ReturnType<typeof lookup>>["fields"] extends ReadonlyMap<string, infer F>
    ? F extends { type: infer T }
      ? T
      : never
    : never;

const CASES = 60;
const ROOT = "test.v1.Pod";
const schemas: Record<string, Json> = {};

/** mulberry32: a seed makes the cases the same each time. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const random = randomFrom(20260101);
const chance = (probability: number): boolean => random() < probability;
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

function schemaOf(type: Type): { [key: string]: Json } {
  switch (type.type) {
    case "quantity":
    case "int-or-string":
      return { "x-kubernetes-int-or-string": true };
    case "any":
      return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    case "object":
      define(type.ref);
      return { $ref: `#/definitions/${type.ref}` };
    case "map":
      return { type: "object", additionalProperties: schemaOf(type.values) };
    case "list": {
      const { list } = type;
      return {
        type: "array",
        items: schemaOf(type.items),
        "x-kubernetes-list-type": list.kind,
        ...(list.kind === "map" && { "x-kubernetes-list-map-keys": [...list.keys] }),
      };
    }
    case "string":
    case "integer":
    case "number":
    case "boolean":
      return { type: type.type };
  }
}

function define(ref: string): void {
  if (ref in schemas) return;
  const properties: { [key: string]: Json } = {};
  const schema: { [key: string]: Json } = { type: "object", properties };
  schemas[ref] = schema;
  const definition = lookup(ref);
  if (definition === undefined) throw new Error(`No definition ${ref}`);
  if (definition.atomic === true) schema["x-kubernetes-map-type"] = "atomic";
  for (const [name, field] of definition.fields) {
    const property = schemaOf(field.type);
    if (field.atomic === true) property["x-kubernetes-map-type"] = "atomic";
    if (field.default !== undefined) property["default"] = field.default;
    properties[name] = property;
  }
}

/** Few values, so that managers often want the same, and often something else. */
function value(type: Type, density: number, duplicates: boolean): Json {
  switch (type.type) {
    case "string":
      return pick(["x", "y"]);
    case "integer":
    case "number":
      return pick([1, 2]);
    case "boolean":
      return chance(0.5);
    case "quantity":
    case "int-or-string":
      return pick(["1", "50%", 2]);
    case "any":
      return Object.fromEntries(
        ["p", "q"]
          .filter(() => chance(0.6))
          .map((key) => [key, pick<Json>([1, "x", ["l"], { r: 1 }, { s: { t: 2 } }, {}])]),
      );
    case "map":
      return Object.fromEntries(
        ["k1", "k2", "k3"].filter(() => chance(0.5)).map((key) => [key, value(type.values, density, duplicates)]),
      );
    case "object":
      return object(type.ref, density, duplicates);
    case "list": {
      const items = Array.from({ length: Math.floor(random() * 4) }, () => value(type.items, density, duplicates));
      const { list } = type;
      if (list.kind === "atomic") return items;
      if (list.kind === "set")
        return [...new Set(["f", "g", "h"].filter(() => chance(0.5)))].toSorted(() => random() - 0.5);
      const seen = new Set<string>();
      const out: Json[] = [];
      for (const item of items as { [key: string]: Json }[]) {
        for (const key of list.keys) {
          const field = type.items.type === "object" ? lookup(type.items.ref)?.fields.get(key) : undefined;
          if (field?.default !== undefined && chance(0.4)) delete item[key];
          else
            item[key] =
              field?.type.type === "string"
                ? pick(field.default === undefined ? ["c", "d", "e"] : ["TCP", "UDP"])
                : pick([80, 443]);
        }
        const id = JSON.stringify(list.keys.map((key) => item[key] ?? "TCP"));
        if (seen.has(id) && !(duplicates && chance(0.5))) continue;
        seen.add(id);
        out.push(item);
      }
      return out;
    }
  }
}

function object(ref: string, density: number, duplicates: boolean): { [key: string]: Json } {
  const out: { [key: string]: Json } = {};
  for (const [name, field] of lookup(ref)?.fields ?? []) {
    if (chance(density)) out[name] = value(field.type, density, duplicates);
  }
  return out;
}

function config(duplicates: boolean): { [key: string]: Json } {
  const density = pick([0.1, 0.2, 0.35]);
  const out: { [key: string]: Json } = { apiVersion: "test/v1", kind: "Pod", metadata: { name: "p" } };
  if (chance(0.4)) {
    const { labels, annotations, finalizers, ownerReferences } = object("test.v1.ObjectMeta", 0.4, false);
    out["metadata"] = {
      name: "p",
      ...(labels !== undefined && { labels }),
      ...(annotations !== undefined && { annotations }),
      ...(finalizers !== undefined && { finalizers }),
      ...(ownerReferences !== undefined && { ownerReferences }),
    };
  }
  if (chance(0.95)) out["spec"] = object("test.v1.PodSpec", density, duplicates);
  if (chance(0.2)) out["status"] = object("test.v1.PodStatus", 0.6, duplicates);
  return out;
}

define(ROOT);
const cases: Json[] = [];
for (let i = 0; i < CASES; i++) {
  const steps: Json[] = [];
  const length = 3 + Math.floor(random() * 5);
  for (let s = 0; s < length; s++) {
    if (chance(0.65)) {
      const manager = pick(["a", "a", "b", "c"]);
      const repeated = chance(0.2) ? steps.findLast((step) => (step as { op: string }).op === "apply") : undefined;
      steps.push(
        repeated ?? {
          op: "apply",
          manager,
          force: chance(0.5),
          config: config(false),
          subresource: chance(0.1) ? "status" : "",
        },
      );
    } else {
      // A merge patch on the live object, tracked as any write is.
      const subresource = chance(0.2) ? "status" : "";
      steps.push({ op: "update", manager: pick(["a", "u", "v"]), patch: patchOf(), subresource });
    }
  }
  cases.push({ steps, reset: chance(0.3) });
}

function patchOf(): Json {
  const { spec, status } = config(true) as { [key: string]: { [key: string]: Json } };
  const patch: { [key: string]: Json } = {};
  if (spec !== undefined) {
    patch["spec"] = { ...spec };
    for (const name of ["replicas", "nodeName", "containers", "nodeSelector", "selector", "strategy", "any"]) {
      if (chance(0.1)) (patch["spec"] as { [key: string]: Json })[name] = null;
    }
  }
  if (status !== undefined) patch["status"] = status;
  if (chance(0.3)) patch["metadata"] = { labels: { k1: pick<Json>(["x", "y", null]), k2: "y" } };
  return patch;
}

process.stdout.write(JSON.stringify({ root: ROOT, schemas, cases }));
