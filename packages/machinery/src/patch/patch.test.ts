import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { deepFreeze, type Json } from "../object.ts";
import { lookup } from "../test-schema.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { applyStrategicMergePatch } from "./strategic-merge-patch.ts";

type JsonObject = { [key: string]: Json };
const anyJson = fc.jsonValue() as fc.Arbitrary<Json>;
/** Nulls mean removal to merge patches: no object can be reached that holds one. */
const withoutNulls = anyJson.map((value) => {
  const strip = (json: Json): Json => {
    if (Array.isArray(json)) return json.map(strip);
    if (typeof json !== "object" || json === null) return json;
    return Object.fromEntries(
      Object.entries(json)
        .filter(([, v]) => v !== null)
        .map(([k, v]) => [k, strip(v)]),
    );
  };
  return strip(value);
});

describe("applyJsonPatch()", () => {
  const run = (document: Json, ...operations: Json[]): Json =>
    applyJsonPatch(deepFreeze(document), deepFreeze(operations));

  it("adds, replaces, removes, moves and copies", () => {
    assert.deepEqual(run({ a: [1, 3] }, { op: "add", path: "/a/1", value: 2 }), { a: [1, 2, 3] });
    assert.deepEqual(run({ a: [1] }, { op: "add", path: "/a/-", value: 2 }), { a: [1, 2] });
    assert.deepEqual(run({ a: 1 }, { op: "add", path: "/b~1c~0", value: {} }), { a: 1, "b/c~": {} });
    assert.deepEqual(run({ a: 1 }, { op: "replace", path: "/a", value: null }), { a: null });
    assert.deepEqual(run({ a: [1, 2] }, { op: "remove", path: "/a/0" }), { a: [2] });
    assert.deepEqual(run({ a: { b: 1 } }, { op: "move", from: "/a/b", path: "/c" }), { a: {}, c: 1 });
    assert.deepEqual(
      run({ a: { b: [] } }, { op: "copy", from: "/a", path: "/c" }, { op: "add", path: "/c/b/-", value: 1 }),
      { a: { b: [] }, c: { b: [1] } },
    );
    assert.deepEqual(run({}, { op: "add", path: "", value: [1] }), [1]);
  });

  it("stops at a test that fails, with 422", () => {
    assert.deepEqual(run({ a: [{ b: 1 }] }, { op: "test", path: "/a", value: [{ b: 1 }] }), { a: [{ b: 1 }] });
    assert.deepEqual(run({}, { op: "test", path: "/a", value: null }), {});
    for (const operation of [
      { op: "test", path: "/a", value: 2 },
      { op: "test", path: "/b", value: 2 },
      { op: "remove", path: "/b" },
      { op: "replace", path: "/b", value: 1 },
      { op: "add", path: "/b/c", value: 1 },
      { op: "add", path: "/l/2", value: 1 },
      { op: "add", path: "/l/01", value: 1 },
      { op: "remove", path: "/l/-" },
      { op: "move", from: "/o", path: "/o/x" },
      { op: "remove", path: "/toString" },
    ]) {
      assert.throws(
        () => run({ a: 1, l: [0], o: {} }, operation),
        { reason: "Invalid", code: 422 },
        JSON.stringify(operation),
      );
    }
  });

  it("refuses what is no patch, and what is too much", () => {
    for (const patch of [
      {},
      [1],
      [{ op: "x", path: "/a" }],
      [{ op: "add", path: "a", value: 1 }],
      [{ op: "add", path: "/a" }],
    ]) {
      assert.throws(() => applyJsonPatch({}, patch as Json), { reason: "BadRequest" });
    }
    const many = Array.from({ length: 10_001 }, () => ({ op: "test", path: "", value: null }));
    assert.throws(() => applyJsonPatch(null, many), { reason: "RequestEntityTooLarge" });
    const doubling = Array.from({ length: 100 }, (_, i) => ({ op: "copy", from: "", path: `/${i}` }));
    assert.throws(() => applyJsonPatch({ a: 1 }, doubling), { reason: "RequestEntityTooLarge" });
  });

  it("a field that is added can be removed again", () => {
    fc.assert(
      fc.property(anyJson, fc.string(), (value, name) => {
        const path = `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
        const added = run({}, { op: "add", path, value });
        assert.equal(JSON.stringify(added), JSON.stringify({ [name]: value }));
        assert.deepEqual(applyJsonPatch(added, [{ op: "remove", path }]), {});
      }),
    );
  });
});

describe("applyMergePatch()", () => {
  it("does what RFC 7386 shows", () => {
    for (const [target, patch, result] of [
      [{ a: "b" }, { a: "c" }, { a: "c" }],
      [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
      [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
      [{ a: ["b"] }, { a: "c" }, { a: "c" }],
      [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
      [
        ["a", "b"],
        ["c", "d"],
        ["c", "d"],
      ],
      [{ a: "foo" }, null, null],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [[1, 2], { a: "b", c: null }, { a: "b" }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ] as [Json, Json, Json][]) {
      assert.deepEqual(applyMergePatch(deepFreeze(target), deepFreeze(patch)), result);
    }
  });

  it("applied twice is applied once, and an object without nulls replaces nothing", () => {
    fc.assert(
      fc.property(anyJson, anyJson, (target, patch) => {
        const once = applyMergePatch(target, patch);
        assert.deepEqual(applyMergePatch(once, patch), once);
      }),
    );
    fc.assert(fc.property(withoutNulls, (value) => assert.deepEqual(applyMergePatch({}, value), value)));
  });
});

describe("applyStrategicMergePatch()", () => {
  const run = (spec: JsonObject, patch: JsonObject): Json | undefined =>
    applyStrategicMergePatch(deepFreeze({ spec }), deepFreeze({ spec: patch }), "test.v1.Pod", lookup)["spec"];

  it("merges lists by their key and keeps what it doesn't know", () => {
    assert.deepEqual(
      run(
        {
          containers: [
            { name: "a", image: "1" },
            { name: "b", image: "1" },
          ],
          args: ["x"],
          unknown: { a: 1 },
        },
        { containers: [{ name: "b", image: "2" }, { name: "c" }], args: ["y"], unknown: { b: 2 } },
      ),
      {
        containers: [{ name: "a", image: "1" }, { name: "b", image: "2" }, { name: "c" }],
        args: ["y"],
        unknown: { a: 1, b: 2 },
      },
    );
  });

  it("removes by null and by $patch: delete", () => {
    assert.deepEqual(
      run(
        { nodeName: "n", containers: [{ name: "a" }, { name: "b" }], strategy: { type: "x" } },
        { nodeName: null, containers: [{ name: "a", $patch: "delete" }], strategy: { $patch: "delete" } },
      ),
      { containers: [{ name: "b" }], strategy: {} },
    );
    assert.deepEqual(run({}, { nodeSelector: { a: null, b: "1" }, strategy: { $patch: "delete" } }), {
      nodeSelector: { b: "1" },
    });
  });

  it("replaces by $patch: replace", () => {
    assert.deepEqual(
      run(
        { containers: [{ name: "a" }], nodeSelector: { a: "1" } },
        { containers: [{ $patch: "replace" }, { name: "c" }], nodeSelector: { $patch: "replace", b: "2" } },
      ),
      { containers: [{ name: "c" }], nodeSelector: { b: "2" } },
    );
  });

  it("merges lists of scalars, and takes items out of them", () => {
    assert.deepEqual(
      run({ finalizers: ["a", "b"] }, { finalizers: ["c", "a"], "$deleteFromPrimitiveList/finalizers": ["b"] }),
      { finalizers: ["c", "a"] },
    );
  });

  it("orders by $setElementOrder, and others before what followed them", () => {
    const list = (names: string): JsonObject => ({ containers: names.split("").map((name) => ({ name })) });
    const order = (names: string): JsonObject => ({ "$setElementOrder/containers": list(names)["containers"] ?? null });
    assert.deepEqual(run(list("abcd"), order("dba")), list("cdba"));
    assert.deepEqual(run(list("ab"), { ...order("cba"), ...list("c") }), list("cba"));
    assert.deepEqual(run({}, { ...order("ab"), ...list("ab") }), list("ab"));
    assert.deepEqual(run({ finalizers: ["a", "b"] }, { "$setElementOrder/finalizers": ["b", "a"] }), {
      finalizers: ["b", "a"],
    });
    assert.throws(() => run(list("ab"), { ...order("ab"), ...list("ba") }), { reason: "BadRequest" });
  });

  it("keeps of a union what $retainKeys names", () => {
    assert.deepEqual(
      run(
        { volumes: [{ name: "v", emptyDir: {} }], strategy: { type: "A", rollingUpdate: { maxSurge: 1 } } },
        {
          volumes: [{ name: "v", hostPath: { path: "/x" }, $retainKeys: ["name", "hostPath"] }],
          strategy: { $retainKeys: ["type"], type: "B" },
        },
      ),
      { volumes: [{ name: "v", hostPath: { path: "/x" } }], strategy: { type: "B" } },
    );
    assert.throws(() => run({ strategy: {} }, { strategy: { $retainKeys: ["type"], rollingUpdate: {} } }), {
      message: "invalid patch format of retainKeys",
    });
  });

  it("refuses items without their key, and unknown directives", () => {
    assert.throws(() => run({ containers: [{ name: "a" }] }, { containers: [{ image: "x" }] }), {
      message: 'map: {"image":"x"} does not contain declared merge key: name',
    });
    assert.throws(() => run({ strategy: {} }, { strategy: { $patch: "shout" } }), { reason: "BadRequest" });
  });

  it("is a merge patch where the schema says nothing", () => {
    const plain = fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), withoutNulls);
    fc.assert(
      fc.property(plain, plain, (any, patch) => {
        assert.deepEqual(run({ any }, { any: patch }), { any: applyMergePatch(any, patch) });
      }),
    );
  });
});
