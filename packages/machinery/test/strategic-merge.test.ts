import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { applyStrategicMergePatch, definition, isJsonObject, StatusError, type Json } from "@skerry/machinery";
import fc from "fast-check";
import { installKubectl } from "../../../tools/kubectl/kubectl.ts";

/** Patches that kubectl itself applies, `kubectl patch --local`, must come to the same here. */

type JsonObject = { [key: string]: Json };
const run = promisify(execFile);
const RUNS = 40;
/** As many objects get the same patch in one run of kubectl. */
const OBJECTS = 6;

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 2 });
/** An object of the fields that are there. */
const fields = (shape: Record<string, fc.Arbitrary<Json | undefined>>): fc.Arbitrary<JsonObject> =>
  fc
    .record(shape)
    .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as JsonObject);
const word = fc.constantFrom("x", "y", "z");
const uniqueBy = (key: string, item: fc.Arbitrary<JsonObject>, minLength = 0): fc.Arbitrary<JsonObject[]> =>
  fc.uniqueArray(item, { selector: (value) => value[key], minLength, maxLength: 3 });
const wordMap = fc.dictionary(word, word, { maxKeys: 3 });

const env = uniqueBy("name", fields({ name: word, value: optional(word) }), 1);
const ports = fc.uniqueArray(
  fields({
    containerPort: fc.constantFrom(80, 81),
    protocol: optional(fc.constantFrom("TCP", "UDP")),
    hostPort: optional(fc.constantFrom(1, 2)),
  }),
  { selector: (port) => JSON.stringify([port["containerPort"], port["protocol"]]), maxLength: 3 },
);
const container = fields({
  name: word,
  image: optional(word),
  args: optional(fc.array(word, { maxLength: 2 })),
  env: optional(env),
  ports: optional(ports),
});
const volume = fc.oneof(
  fields({ name: word, emptyDir: fields({ medium: fc.constant("Memory") }) }),
  fields({ name: word, hostPath: fields({ path: word }) }),
);
const tolerations = fc.array(fields({ key: word, effect: optional(word) }), { maxLength: 2 });
const finalizers = fc.uniqueArray(word, { minLength: 1, maxLength: 3 });
const deployment = fields({
  apiVersion: fc.constant("apps/v1"),
  kind: fc.constant("Deployment"),
  metadata: fields({ name: fc.constant("d"), labels: optional(wordMap), finalizers: optional(finalizers) }),
  spec: fields({
    replicas: optional(fc.constantFrom(1, 2)),
    selector: fields({ matchLabels: wordMap }),
    strategy: optional(
      fc.oneof(
        fields({ type: fc.constant("Recreate") }),
        fields({ type: fc.constant("RollingUpdate"), rollingUpdate: fields({ maxSurge: fc.constantFrom(1, "5%") }) }),
      ),
    ),
    template: fields({
      metadata: optional(fields({ labels: wordMap })),
      spec: fields({
        containers: fc
          .tuple(container, container, container, fc.shuffledSubarray(["x", "y", "z"], { minLength: 3 }))
          .map(([a, b, c, names]) => [a, b, c].map((one, i) => ({ ...one, name: names[i] ?? "" }))),
        volumes: optional(uniqueBy("name", volume)),
        tolerations: optional(tolerations),
        nodeSelector: optional(wordMap),
        hostname: optional(word),
      }),
    }),
  }),
});

const removed = fc.constant<Json>(null);
const deletion = (key: string): fc.Arbitrary<JsonObject> => fields({ [key]: word, $patch: fc.constant("delete") });
const replacement: JsonObject = { $patch: "replace" };

/**
 * A change of a list: items merged, deleted, all replaced, and sometimes the order set. Directives inside items stand
 * only in items that are merged: in new ones upstream takes them for content.
 */
const change = (name: string, item: fc.Arbitrary<JsonObject>): fc.Arbitrary<JsonObject> =>
  fc
    .tuple(
      uniqueBy("name", fc.oneof({ weight: 3, arbitrary: item }, { weight: 1, arbitrary: deletion("name") })),
      fc.nat(9),
      fc.shuffledSubarray(["x", "y", "z"]),
    )
    .map(([items, dice, order]) => {
      if (dice === 0) return { [name]: [replacement, ...items.map(plain)] };
      if (dice > 5 || items.length === 0) return { [name]: items };
      const kept = items.filter((one) => !("$patch" in one)).map((one) => one["name"]);
      const all = [...kept, ...order.filter((one) => !kept.includes(one))];
      return { [name]: items, [`$setElementOrder/${name}`]: all.map((one) => ({ name: one ?? "" })) };
    });
/** Without directives. */
const plain = (value: Json): Json => {
  if (Array.isArray(value)) return value.filter((item) => !isJsonObject(item) || !("$patch" in item)).map(plain);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([field]) => !field.startsWith("$"));
  return Object.fromEntries(kept.map(([field, inner]) => [field, plain(inner)]));
};
const merged = (...parts: fc.Arbitrary<JsonObject>[]): fc.Arbitrary<JsonObject> =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all) as JsonObject);
const orNull = (arbitrary: fc.Arbitrary<Json>): fc.Arbitrary<Json | undefined> =>
  optional(fc.oneof({ weight: 4, arbitrary }, { weight: 1, arbitrary: removed }));
const wordMapChange = fc.dictionary(word, fc.oneof(word, removed), { maxKeys: 3 });

const containerPatch = merged(
  fields({
    name: word,
    image: orNull(word),
    args: orNull(fc.array(word, { maxLength: 2 })),
    ports: orNull(ports),
  }),
  fc.oneof(change("env", fields({ name: word, value: orNull(word) })), fc.constant<JsonObject>({})),
);
const volumePatch = fc.oneof(
  volume.map((value): JsonObject => ({ ...value, $retainKeys: Object.keys(value) })),
  volume,
);
const finalizersPatch = fc.oneof(
  fields({ finalizers }),
  fields({ "$deleteFromPrimitiveList/finalizers": finalizers }),
  finalizers.map((list): JsonObject => ({ finalizers: list, "$setElementOrder/finalizers": list })),
  fc.constant<JsonObject>({}),
);
const patch = fields({
  metadata: optional(merged(fields({ labels: orNull(wordMapChange) }), finalizersPatch)),
  spec: optional(
    fields({
      replicas: orNull(fc.constantFrom(1, 3)),
      strategy: orNull(
        fc.oneof<fc.Arbitrary<JsonObject>[]>(
          fields({ $retainKeys: fc.constant<Json>(["type"]), type: fc.constant("Recreate") }),
          fields({ rollingUpdate: fields({ maxSurge: fc.constantFrom(1, "5%") }) }),
          fc.constant<JsonObject>({ $patch: "delete" }),
          fc.constant<JsonObject>({ $patch: "replace", type: "Recreate" }),
        ),
      ),
      template: optional(
        fields({
          spec: merged(
            fields({ tolerations: orNull(tolerations), nodeSelector: orNull(wordMapChange), hostname: orNull(word) }),
            change("containers", containerPatch),
            fc.oneof(change("volumes", volumePatch), fc.constant<JsonObject>({})),
          ),
        }),
      ),
    }),
  ),
});

/** Without what decoding into a type would drop: nulls, directives; and without what is empty. */
function normal(value: Json): Json {
  if (Array.isArray(value)) return value.map(normal);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value)
    .map(([name, field]) => [name, normal(field)] as const)
    .filter(
      ([name, field]) =>
        !name.startsWith("$") && field !== null && (typeof field !== "object" || Object.keys(field).length > 0),
    );
  return Object.fromEntries(kept);
}

const ours = (object: JsonObject, change: JsonObject): Json => {
  try {
    return normal(applyStrategicMergePatch(object, change, "io.k8s.api.apps.v1.Deployment", definition));
  } catch (error) {
    if (error instanceof StatusError) return "refused";
    throw error;
  }
};

describe("applyStrategicMergePatch() comes to what kubectl's does", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "skerry-strategic-merge-"));
  const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  let kubectl = "";
  before(async () => {
    kubectl = await installKubectl("1.35");
  });
  after(() => rmSync(folder, { recursive: true }));

  const objects = fc.sample(fc.array(deployment, { minLength: OBJECTS, maxLength: OBJECTS }), { seed, numRuns: RUNS });
  const patches = fc.sample(patch, { seed, numRuns: RUNS });
  for (const [i, change] of patches.entries()) {
    it(`patch ${i} (SEED=${seed})`, async () => {
      const items = (objects[i] ?? []).map((item, n) => ({
        ...item,
        metadata: { ...(item["metadata"] as JsonObject), name: `d${n}` },
      }));
      const file = path.join(folder, `${i}.json`);
      writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
      const args = ["patch", "--local", "-f", file, "--type=strategic", "-p", JSON.stringify(change), "-o", "json"];
      let refusal = "";
      const theirs: Json[] = await run(kubectl, args, { env: { HOME: folder } }).then(
        ({ stdout }) => stdout.split(/^(?=\{)/m).map((text) => normal(JSON.parse(text) as Json)),
        (error: { stderr: string }) => ((refusal = error.stderr), []),
      );
      const results = items.map((item) => ours(item, change));
      if (theirs.length < items.length) {
        assert.ok(results.includes("refused"), `${refusal}: ${JSON.stringify(change)} for ${JSON.stringify(items)}`);
      } else {
        for (const [n, result] of results.entries()) {
          assert.deepEqual(result, theirs[n], JSON.stringify({ object: items[n], change }));
        }
      }
    });
  }
});
