import assert from "node:assert/strict";
import { it } from "node:test";

import fc from "fast-check";

import { Entry } from "./entry.ts";
import { Objects } from "./objects.ts";

const part = fc.stringMatching(/^[a-c.-]{1,3}$/);
const key = fc.record({ namespace: fc.oneof(fc.constant(""), part), name: part });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("set" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("read" as const), key }) },
);

it("Objects give the pages that a sorted list of all of them gives", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.option(key, { nil: undefined }),
      fc.option(part, { nil: undefined }),
      fc.nat(10),
      (steps, after, namespace, limit) => {
        const objects = new Objects();
        const model = new Map<string, Entry>();
        let at = 0;
        for (const one of steps) {
          const id = `${one.key.namespace}/${one.key.name}`;
          const entry = new Entry(one.key, ++at, new Uint8Array());
          if (one.do === "set") {
            objects.set(entry);
            model.set(id, entry);
          } else if (one.do === "delete") {
            objects.delete(one.key);
            model.delete(id);
          } else {
            objects.page({});
          }
        }
        const order = (a: Entry["key"], b: Entry["key"]): number => {
          const [x, y] = a.namespace === b.namespace ? [a.name, b.name] : [a.namespace, b.namespace];
          return x < y ? -1 : x > y ? 1 : 0;
        };
        const expected = [...model.values()]
          .sort((a, b) => order(a.key, b.key))
          .filter((entry) => namespace === undefined || entry.key.namespace === namespace)
          .filter((entry) => !after || order(entry.key, after) > 0);
        assert.equal(objects.size, model.size);
        const { items, remaining } = objects.page({ namespace, after }, limit);
        assert.deepEqual(
          items.map((entry) => entry.at),
          expected.slice(0, limit).map((entry) => entry.at),
        );
        assert.equal(remaining, Math.max(0, expected.length - limit));
      },
    ),
    { numRuns: 500 },
  );
});
