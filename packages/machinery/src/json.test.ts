import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { duplicateFields, getField, jsonEqual, MAX_JSON_DEPTH, parseJson, setField } from "./json.ts";
import type { Json } from "./object.ts";

const duplicates = (text: string): string[] => duplicateFields(text, parseJson(text));

describe("parseJson()", () => {
  it("reads JSON and refuses what isn't", () => {
    assert.deepEqual(parseJson('{"a":[1,"x",null]}'), { a: [1, "x", null] });
    assert.throws(() => parseJson('{"a":}'), SyntaxError);
  });

  it("refuses to nest too deeply, before anything recursive sees it", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    assert.ok(Array.isArray(parseJson(nested(MAX_JSON_DEPTH))));
    assert.throws(() => parseJson(nested(MAX_JSON_DEPTH + 1)), /exceeded max depth/);
    assert.throws(() => parseJson(nested(500_000)), /exceeded max depth/);
    assert.equal(parseJson(JSON.stringify("[".repeat(5000))), "[".repeat(5000));
  });
});

describe("duplicateFields()", () => {
  it("names each with its path", () => {
    const text = `{"spec":{"replicas":1,"replicas":2,"c":[{"n":"a"},{"n":"\\":{,","n":"b","n":"c"}]},"spec\\u002e":1,
      "x":{"k":[[{}, {"q":1,"q":1}]]}, "spec":{}}`;
    assert.deepEqual(duplicates(text), ["spec.replicas", "spec.c[1].n", "x.k[0][1].q", "spec"]);
  });

  it("sees through escapes", () => {
    assert.deepEqual(duplicates('{"a":1,"\\u0061":2}'), ["a"]);
    assert.deepEqual(duplicates('{"__proto__":1,"__proto__":2}'), ["__proto__"]);
  });

  it("finds none in what JSON.stringify wrote, and one that is put in", () => {
    const value = fc.jsonValue() as fc.Arbitrary<Json>;
    fc.assert(
      fc.property(value, (json) => {
        const text = JSON.stringify(json, null, 1);
        assert.deepEqual(duplicateFields(text, JSON.parse(text) as Json), []);
        assert.deepEqual(duplicates(`{"q":${text},"q":1}`).at(-1), "q");
      }),
    );
  });
});

describe("jsonEqual()", () => {
  it("compares values, whatever the order of fields", () => {
    assert.ok(jsonEqual({ a: 1, b: [null, { c: 2 }] }, { b: [null, { c: 2 }], a: 1 }));
    assert.ok(!jsonEqual({ a: 1 }, { a: 1, b: 2 }));
    assert.ok(!jsonEqual({ a: 1, b: 2 }, { a: 1 }));
    assert.ok(!jsonEqual([1, 2], [2, 1]));
    assert.ok(!jsonEqual([], {}));
    assert.ok(!jsonEqual(null, {}));
    assert.ok(!jsonEqual({ toString: 1 }, { a: 1 }));
  });
});

it("fields may have names that JavaScript knows", () => {
  const object: { [key: string]: Json } = {};
  assert.equal(getField(object, "constructor"), undefined);
  setField(object, "__proto__", 1);
  assert.equal(JSON.stringify(object), '{"__proto__":1}');
  assert.equal(getField(object, "__proto__"), 1);
});
