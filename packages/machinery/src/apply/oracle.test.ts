import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { isJsonObject } from "../json.ts";
import { deepFreeze, type Json } from "../object.ts";
import { applyMergePatch } from "../patch/merge-patch.ts";
import { StatusError } from "../status.ts";
import { lookup } from "../test-schema.ts";
import { applyPatch } from "./apply-patch.ts";
import { managedFieldsOf, withManagedFields, withoutManagedFields } from "./owners.ts";
import { asObject, Shapes, type JsonObject } from "./shape.ts";
import { trackUpdate } from "./track-update.ts";

/**
 * Sequences of applies and updates that the field manager of Kubernetes played; what became of the object after each
 * step must be the same here. Made by `test/oracles/apply`.
 */
interface Sequence {
  /** Whether the endpoint resets `status`. */
  reset: boolean;
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

const file = path.join(import.meta.dirname, "testdata", "cases.jsonl");
const recorded = readFileSync(process.env["APPLY_CASES"] ?? file, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => deepFreeze(JSON.parse(line) as Sequence));
const shapes = new Shapes(lookup);

/** What decoding into a type would leave. */
function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutNulls(field)]));
}

function play(live: JsonObject | undefined, step: Step, resetFields: { "f:status": object } | undefined): JsonObject {
  const { manager, subresource } = step;
  const base = {
    apiVersion: "test/v1",
    subresource,
    ref: "test.v1.Pod",
    shapes,
    manager,
    time: "2026-01-01T00:00:00Z",
    ...(resetFields && { resetFields: { "f:status": {} } }),
  };
  if (step.op === "apply") {
    const config = step.config ?? {};
    return applyPatch({ ...base, kind: "Pod", live, config, force: step.force === true });
  }
  const patched = asObject(applyMergePatch(live ?? {}, step.patch ?? {}));
  const metadata = { ...asObject(patched["metadata"] ?? null), name: "p" };
  const now = { ...patched, apiVersion: "test/v1", kind: "Pod", metadata };
  const entries = trackUpdate({ ...base, old: live, now });
  return withManagedFields(now, entries && [...entries]);
}

describe("apply as the field manager of Kubernetes does it", () => {
  for (const [number, { reset, steps }] of recorded.entries()) {
    it(`case ${number}`, () => {
      let live: JsonObject | undefined;
      for (const [i, step] of steps.entries()) {
        const at = `step ${i}: ${JSON.stringify({ ...step, object: undefined, managed: undefined })}`;
        let result: JsonObject;
        try {
          result = deepFreeze(asObject(withoutNulls(play(live, step, reset ? { "f:status": {} } : undefined))));
        } catch (error) {
          assert.ok(error instanceof StatusError, String(error));
          assert.deepEqual(
            (error.details?.causes ?? []).map((cause) => JSON.stringify(cause, sortKeys)).toSorted(),
            (step.causes ?? []).map((cause) => JSON.stringify(cause, sortKeys)).toSorted(),
            at,
          );
          assert.notEqual(step.error, undefined, `${at}: ${error.message}`);
          continue;
        }
        assert.equal(step.error, undefined, at);
        assert.deepEqual(withoutManagedFields(result), step.object, at);
        const managed = (managedFieldsOf(result) ?? []).map(
          ({ time: _time, ...entry }) => entry as unknown as JsonObject,
        );
        const byName = (entries: readonly JsonObject[]): string[] =>
          entries.map(({ fieldsV1, ...entry }) => JSON.stringify([entry, fieldsV1], sortKeys)).toSorted();
        assert.deepEqual(byName(managed), byName(step.managed ?? []), at);
        live = result;
      }
    });
  }
});

const sortKeys = (_: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : value;
