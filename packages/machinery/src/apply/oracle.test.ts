import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { isJsonObject } from "../json.ts";
import { apiVersionOf } from "../kind.ts";
import { kinds } from "../kinds.ts";
import { deepFreeze, type Json } from "../object.ts";
import { applyMergePatch } from "../patch/merge-patch.ts";
import { definition } from "../schema.ts";
import { StatusError } from "../status.ts";
import { lookup } from "../test-schema.ts";
import { applyPatch } from "./apply-patch.ts";
import { CreatedFields } from "./created-fields.ts";
import type { FieldSet } from "./field-set.ts";
import { managedFieldsOf, withManagedFields, withoutManagedFields } from "./owners.ts";
import { asObject, Shapes, type JsonObject } from "./shape.ts";
import { trackUpdate } from "./track-update.ts";

/**
 * Sequences of applies and updates that the field manager of Kubernetes played; what became of the object after each
 * step must be the same here. Made by `test/oracles/apply`, of a small schema with all that there is and of built-in kinds.
 */
interface Sequence {
  /** Of a built-in kind. */
  apiVersion?: string;
  kind?: string;
  /** Whether the endpoint resets `status`. */
  reset?: boolean;
  steps: Step[];
}

interface Step {
  op: "apply" | "update";
  manager: string;
  subresource: string;
  force?: boolean;
  config?: JsonObject;
  patch?: JsonObject;
  object?: JsonObject;
  managed?: JsonObject[];
  error?: string;
  causes?: Json[];
}

/** `variable` may name another file, to search further than the fixture does. */
const read = (name: string, variable: string): Sequence[] =>
  readFileSync(process.env[variable] ?? path.join(import.meta.dirname, "testdata", name), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => deepFreeze(JSON.parse(line) as Sequence));

/** Without nulls, as decoding into a type leaves an object. */
function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutNulls(field)]));
}

/** Without what is empty or zero either, which types add or leave out. */
function withoutZeros(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutZeros);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value)
    .map(([name, field]) => [name, withoutZeros(field)] as const)
    .filter(([, field]) => Boolean(field) && (typeof field !== "object" || Object.keys(field ?? {}).length > 0));
  return Object.fromEntries(kept);
}

interface Kind {
  apiVersion: string;
  kind: string;
  ref: string;
  shapes: Shapes;
  created: CreatedFields;
  resetFields?: FieldSet;
}

function play(of: Kind, live: JsonObject | undefined, step: Step): JsonObject {
  const base = { ...of, manager: step.manager, subresource: step.subresource, time: "2026-01-01T00:00:00Z" };
  if (step.op === "apply") return applyPatch({ ...base, live, config: step.config ?? {}, force: step.force === true });
  const patched = asObject(applyMergePatch(live ?? {}, step.patch ?? {}));
  const metadata = asObject(patched["metadata"] ?? null);
  const now = { ...patched, apiVersion: of.apiVersion, kind: of.kind, metadata: { name: "p", ...metadata } };
  const entries = trackUpdate({ ...base, old: live, now });
  return withManagedFields(now, entries && [...entries]);
}

function replay(of: Kind, steps: readonly Step[], comparable: (object: Json) => Json): void {
  let live: JsonObject | undefined;
  for (const [i, step] of steps.entries()) {
    const at = `step ${i}: ${JSON.stringify({ ...step, object: undefined, managed: undefined })}`;
    let result: JsonObject;
    try {
      result = deepFreeze(asObject(withoutNulls(play(of, live, step))));
    } catch (error) {
      assert.ok(error instanceof StatusError, String(error));
      assert.notEqual(step.error, undefined, `${at}: ${error.message}`);
      if (step.causes !== undefined) assert.deepEqual(texts(error.details?.causes ?? []), texts(step.causes), at);
      continue;
    }
    assert.equal(step.error, undefined, at);
    assert.deepEqual(comparable(withoutManagedFields(result)), comparable(step.object ?? {}), at);
    const managed = (managedFieldsOf(result) ?? []).map(({ time: _time, ...entry }) => entry);
    assert.deepEqual(texts(managed), texts(step.managed ?? []), at);
    live = result;
  }
}

/** As texts in a fixed order, within and among themselves. */
const texts = (list: readonly unknown[]): string[] => list.map((item) => JSON.stringify(item, sortKeys)).toSorted();
const sortKeys = (_: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : value;

describe("apply as the field manager of Kubernetes does it", () => {
  const shapes = new Shapes(lookup);
  const created = new CreatedFields(shapes);
  for (const [number, { reset, steps }] of read("cases.jsonl", "APPLY_CASES").entries()) {
    const of: Kind = { apiVersion: "test/v1", kind: "Pod", ref: "test.v1.Pod", shapes, created };
    it(`case ${number}`, () => {
      replay(reset === true ? { ...of, resetFields: { "f:status": {} } } : of, steps, (object) => object);
    });
  }

  const builtIn = new Shapes(definition);
  const createdBuiltIn = new CreatedFields(builtIn);
  for (const [number, { apiVersion = "", kind = "", steps }] of read("builtin.jsonl", "BUILTIN_CASES").entries()) {
    it(`case ${number} of ${kind}`, () => {
      const known = Object.values(kinds).find((one) => one.kind === kind && apiVersionOf(one) === apiVersion);
      assert.ok(known);
      replay({ apiVersion, kind, ref: known.schema, shapes: builtIn, created: createdBuiltIn }, steps, (object) => {
        const { metadata, ...rest } = asObject(withoutZeros(object));
        const { uid: _uid, ...others } = asObject(metadata ?? null);
        return { ...rest, metadata: others };
      });
    });
  }
});
