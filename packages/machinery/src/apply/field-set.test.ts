import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  difference,
  forEachPath,
  intersection,
  parseFields,
  recursiveDifference,
  sortedFields,
  union,
  type FieldSet,
} from "./field-set.ts";

/** A set as the list of its paths, which is what sets of fields are compared by. */
const paths = (set: FieldSet): string[] => {
  const out: string[] = [];
  forEachPath(set, (path) => out.push(path));
  return out.toSorted();
};

const element = fc.constantFrom("f:a", "f:b", 'k:{"name":"x"}', 'v:"y"');
const fieldSet: fc.Arbitrary<FieldSet> = fc
  .array(fc.array(element, { minLength: 1, maxLength: 4 }), { maxLength: 8 })
  .map((list) => {
    let set: FieldSet;
    for (const path of list) {
      const chain = path.reduceRight<Record<string, object>>((child, name) => ({ [name]: child }), {});
      set = union(set, parseFields(chain));
    }
    return set;
  });

describe("FieldSet", () => {
  it("union, intersection and difference are those of their paths", () => {
    fc.assert(
      fc.property(fieldSet, fieldSet, (a, b) => {
        const [inA, inB] = [new Set(paths(a)), new Set(paths(b))];
        assert.deepEqual(paths(union(a, b)), [...inA.union(inB)].toSorted());
        assert.deepEqual(paths(intersection(a, b)), [...inA.intersection(inB)].toSorted());
        assert.deepEqual(paths(difference(a, b)), [...inA.difference(inB)].toSorted());
        const below = [...inA].filter((path) => ![...inB].some((other) => path.startsWith(other)));
        assert.deepEqual(paths(recursiveDifference(a, b)), below.toSorted());
      }),
    );
  });

  it("reading and sorting lose nothing", () => {
    fc.assert(
      fc.property(fieldSet, (set) => {
        assert.deepEqual(parseFields(set ?? {}), set);
        if (set !== undefined) assert.deepEqual(sortedFields(set), set);
      }),
    );
    assert.equal(
      JSON.stringify(sortedFields({ "v:1": {}, "f:b": { "f:z": {}, ".": {} }, "f:a": {} })),
      '{"f:a":{},"f:b":{".":{},"f:z":{}},"v:1":{}}',
    );
  });

  it("results share with their arguments what they don't change", () => {
    const kept = { "f:x": { "f:y": {} } };
    const rest = difference({ "f:keep": kept, "f:go": {} }, { "f:go": {} });
    assert.equal(rest?.["f:keep"], kept);
    assert.equal(difference(kept, { "f:other": {} }), kept);
  });

  it("refuses malformed path elements", () => {
    for (const wrong of [{ x: {} }, { "k:{": {} }, { "k:1": {} }, { "f:a": 1 }, []]) {
      assert.throws(() => parseFields(wrong), SyntaxError);
    }
  });
});
