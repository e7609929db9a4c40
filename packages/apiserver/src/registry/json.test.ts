import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { copyJson, equalJson, equalOrEmpty } from "./json.ts";

describe("copyJson()", () => {
  it("copies any JSON, and shares none of it", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copy = copyJson(value);
        assert.deepEqual(copy, value);
        if (typeof value === "object" && value !== null) assert.notEqual(copy, value);
      }),
    );
  });

  it("keeps a key that assignments lose", () => {
    const labels = JSON.parse('{"__proto__":"x","a":"b"}') as object;
    assert.equal(JSON.stringify(copyJson(labels)), '{"__proto__":"x","a":"b"}');
  });
});

describe("equalJson()", () => {
  it("agrees with deep equality", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        assert.equal(equalJson(a, copyJson(a)), true);
        assert.equal(equalJson(a, b), equalJson(b, a));
      }),
    );
  });

  for (const [a, b, equal] of [
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    [{ a: 1, b: undefined }, { a: 1 }, true],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: 1, b: 2 }, { a: 1 }, false],
    [[1, 2], [2, 1], false],
    [[1], { 0: 1 }, false],
    [null, {}, false],
    ["1", 1, false],
  ] as const) {
    it(`finds ${JSON.stringify(a)} and ${JSON.stringify(b)} ${equal ? "equal" : "different"}`, () => {
      assert.equal(equalJson(a, b), equal);
    });
  }
});

it("equalOrEmpty() takes absent, null, {} and [] for the same", () => {
  for (const a of [undefined, null, {}, []]) for (const b of [undefined, null, {}, []]) assert.ok(equalOrEmpty(a, b));
  assert.equal(equalOrEmpty(undefined, { a: 1 }), false);
  assert.equal(equalOrEmpty([1], [1]), true);
});
