import assert from "node:assert/strict";
import { it } from "node:test";

import fc from "fast-check";

import { MemoryLog, Store } from "./index.ts";
import { brief, PODS, put, remove, take, valueOf } from "./things.ts";

const IDS = ["a/x", "a/y", "b/x", "b/y", "b/z", "c/x"];

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("put" as const), id: fc.constantFrom(...IDS) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("remove" as const), id: fc.constantFrom(...IDS) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("compact" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
);

it("Every kept revision can be listed and watched from, whatever was compacted, dropped from memory or reopened", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 8 }), async (steps, events) => {
      const log = new MemoryLog();
      const open = async (): Promise<Store> => {
        const store = new Store({ log, history: { events, bytes: 1 << 20 } });
        await store.start();
        return store;
      };
      let store = await open();
      const now = new Map<string, number>();
      /** What lived at each revision, and what happened at it. */
      const states = [new Map(now)];
      const happened: object[] = [];
      let compacted = 0;
      let value = 0;
      for (const one of steps) {
        if (one.do === "put") {
          const previous = now.get(one.id);
          const revision = await put(store, one.id, ++value);
          now.set(one.id, value);
          happened.push({ revision, id: one.id, deleted: false, value, previous });
          states.push(new Map(now));
        } else if (one.do === "remove" && now.has(one.id)) {
          const previous = now.get(one.id);
          const revision = await remove(store, one.id);
          now.delete(one.id);
          happened.push({ revision, id: one.id, deleted: true, value: -1, previous });
          states.push(new Map(now));
        } else if (one.do === "compact") {
          compacted = Math.max(compacted, Math.floor(store.revision * one.share));
          await store.compact(compacted);
        } else if (one.do === "reopen") {
          await store[Symbol.asyncDispose]();
          store = await open();
        }
      }
      assert.equal(store.revision, states.length - 1);
      const { signal } = new AbortController();
      for (let at = compacted; at < states.length; at++) {
        const listed = store
          .list(PODS, { at })
          .items.map((item) => [`${item.key.namespace}/${item.key.name}`, valueOf(item)]);
        assert.deepEqual(
          listed,
          [...(states[at] ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)),
          `the list at ${at}`,
        );
        const watch = store.watch(PODS, { since: at, signal });
        assert.deepEqual(
          (await take(watch, happened.length - at)).map(brief),
          happened.slice(at),
          `the watch from ${at}`,
        );
      }
      await store[Symbol.asyncDispose]();
    }),
    { numRuns: 150 },
  );
});
