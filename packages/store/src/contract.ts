import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CompactedError, RevisionMismatchError, type Encoded } from "@skerry/machinery";

import type { ChangeEvent, ObjectStorage } from "./port.ts";
import { brief, encodeThing, idsOf, PODS, put, remove, take, valueOf, type Thing } from "./things.ts";

/** A storage made for one test, and what the test may do with it besides using it. */
export interface StorageUnderTest extends AsyncDisposable {
  storage: ObjectStorage;
  /** Forgets history up to a revision; absent where history cannot be forgotten on demand. */
  compact?(upTo: number): Promise<void>;
  /** Closes the storage and opens what it left on its medium; absent where nothing lasts. */
  reopen?(): Promise<ObjectStorage>;
}

/** What every storage of objects does, whatever keeps it. Each test gets a storage of its own from `make`. */
export function storageContract(name: string, make: () => Promise<StorageUnderTest>): void {
  describe(`${name} as a storage of objects`, () => {
    describe("write()", () => {
      it("resolves to what was written, under a revision that grows", async () => {
        await using test = await make();
        const { storage } = test;
        const first = await put(storage, "a/x", 1);
        const second = await put(storage, "b/y", 2);
        assert.ok(first > 0 && second > first, `${second} follows ${first}`);
        assert.equal(storage.revision, second);
        const object = storage.get(PODS, { namespace: "a", name: "x" }) as Encoded<Thing>;
        assert.equal(object.revision, String(first));
        assert.deepEqual(object.key, { namespace: "a", name: "x" });
        assert.equal(object.decode().metadata.resourceVersion, String(first));
        assert.equal(object.decode(), object.decode());
        assert.throws(() => void (object.decode().spec.value = 2), TypeError);
        assert.deepEqual(JSON.parse(Buffer.from(object.bytes).toString()), object.decode());
      });

      it("takes over the object that was encoded, frozen and under its revision", async () => {
        await using test = await make();
        const { storage } = test;
        const key = { namespace: "a", name: "x" };
        const object: Thing = { apiVersion: "v1", kind: "Thing", metadata: { ...key }, spec: { value: 1 } };
        const written = await storage.write({
          resource: PODS,
          key,
          expect: 0,
          encode: encodeThing("a", "x", 1),
          object,
        });
        assert.deepEqual(written.decode(), JSON.parse(Buffer.from(written.bytes).toString("utf8")));
        assert.equal(written.decode().metadata.resourceVersion, written.revision);
        assert.ok(Object.isFrozen((written.decode() as Thing).spec));
      });

      it("refuses what another write has overtaken, and says at which revision the object is", async () => {
        await using test = await make();
        const { storage } = test;
        const first = await put(storage, "a/x", 1);
        const encode = encodeThing("a", "x", 2);
        const key = { namespace: "a", name: "x" };
        for (const expect of [0, first - 1, first + 1]) {
          await assert.rejects(storage.write({ resource: PODS, key, expect, encode }), (error: unknown) => {
            assert.ok(error instanceof RevisionMismatchError, String(error));
            assert.equal(error.current, first);
            return true;
          });
        }
        assert.equal(valueOf(storage.get(PODS, key)), 1);
      });

      it("counts writes that are still on their way", async () => {
        await using test = await make();
        const { storage } = test;
        const key = { namespace: "a", name: "x" };
        const results = await Promise.allSettled(
          [1, 2, 3].map((value) =>
            storage.write({ resource: PODS, key, expect: 0, encode: encodeThing("a", "x", value) }),
          ),
        );
        assert.deepEqual(
          results.map(({ status }) => status),
          ["fulfilled", "rejected", "rejected"],
        );
        assert.equal(valueOf(storage.get(PODS, key)), 1);
      });

      it("lets a chain of writes of one object go out without waiting for each", async () => {
        await using test = await make();
        const { storage } = test;
        const key = { namespace: "a", name: "x" };
        const revisions: number[] = [];
        const writes: Promise<Encoded>[] = [];
        let expect = 0;
        for (let value = 0; value < 20; value++) {
          const encode = (revision: number): Uint8Array => {
            expect = revision;
            return encodeThing("a", "x", value)(revision);
          };
          writes.push(storage.write({ resource: PODS, key, expect, encode }));
        }
        for (const write of writes) revisions.push(Number((await write).revision));
        assert.deepEqual(
          revisions,
          revisions.toSorted((a, b) => a - b),
        );
        assert.equal(valueOf(storage.get(PODS, key)), 19);
      });

      it("deletes, and lets the name be used again", async () => {
        await using test = await make();
        const { storage } = test;
        await put(storage, "a/x", 1);
        const gone = await remove(storage, "a/x");
        assert.equal(storage.get(PODS, { namespace: "a", name: "x" }), undefined);
        assert.deepEqual(storage.list(PODS).items, []);
        const again = await put(storage, "a/x", 2);
        assert.ok(again > gone);
      });

      it("refuses to delete what does not exist", async () => {
        await using test = await make();
        const key = { namespace: "a", name: "x" };
        const encode = encodeThing("a", "x", 0);
        await assert.rejects(
          test.storage.write({ resource: PODS, key, expect: 0, encode, delete: true }),
          RevisionMismatchError,
        );
      });

      it("keeps resources apart", async () => {
        await using test = await make();
        await put(test.storage, "a/x", 1, "pods");
        await put(test.storage, "a/x", 2, "configmaps");
        assert.equal(valueOf(test.storage.get("pods", { namespace: "a", name: "x" })), 1);
        assert.equal(valueOf(test.storage.get("configmaps", { namespace: "a", name: "x" })), 2);
      });

      it("shows nobody a write before it resolves", async () => {
        await using test = await make();
        const { storage } = test;
        const before = storage.revision;
        const written = storage.write({
          resource: PODS,
          key: { namespace: "a", name: "x" },
          expect: 0,
          encode: encodeThing("a", "x", 1),
        });
        assert.equal(storage.get(PODS, { namespace: "a", name: "x" }), undefined);
        assert.equal(storage.list(PODS).revision, before);
        const { revision } = await written;
        assert.equal(storage.list(PODS).revision, Number(revision));
      });
    });

    describe("list()", () => {
      it("orders by namespace, then name", async () => {
        await using test = await make();
        for (const id of ["b/a", "a/c", "a-b/a", "a/a", "a/b"]) await put(test.storage, id);
        assert.deepEqual(idsOf(test.storage.list(PODS).items), ["a/a", "a/b", "a/c", "a-b/a", "b/a"]);
        assert.deepEqual(idsOf(test.storage.list(PODS, { namespace: "a" }).items), ["a/a", "a/b", "a/c"]);
        assert.deepEqual(idsOf(test.storage.list(PODS, { namespace: "none" }).items), []);
      });

      it("pages, and says how many remain", async () => {
        await using test = await make();
        const ids = ["a/a", "a/b", "a/c", "b/a", "b/b", "c/a"];
        for (const id of ids) await put(test.storage, id);
        for (const namespace of [undefined, "a", "b"]) {
          const within = ids.filter((id) => namespace === undefined || id.startsWith(`${namespace}/`));
          const seen: string[] = [];
          let after: { namespace: string; name: string } | undefined;
          for (;;) {
            const page = test.storage.list(PODS, {
              limit: 2,
              ...(after && { after }),
              ...(namespace !== undefined && { namespace }),
            });
            seen.push(...idsOf(page.items));
            assert.equal(page.remaining, within.length - seen.length);
            if (page.remaining === 0) break;
            after = page.items.at(-1)?.key;
          }
          assert.deepEqual(seen, within);
        }
      });

      it("shows the state at an earlier revision, page by page", async () => {
        await using test = await make();
        const { storage } = test;
        for (const id of ["a/a", "a/b", "b/a", "b/b"]) await put(storage, id, 1);
        const at = storage.revision;
        await put(storage, "a/b", 2);
        await put(storage, "a/b", 3);
        await remove(storage, "b/a");
        await put(storage, "a/aa", 4);
        await remove(storage, "b/b");
        await put(storage, "b/b", 5);

        const first = storage.list(PODS, { at, limit: 3 });
        assert.deepEqual(idsOf(first.items), ["a/a", "a/b", "b/a"]);
        assert.deepEqual(first.items.map(valueOf), [1, 1, 1]);
        assert.equal(first.remaining, 1);
        assert.equal(first.revision, at);
        const second = storage.list(PODS, { at, limit: 3, after: { namespace: "b", name: "a" } });
        assert.deepEqual(idsOf(second.items), ["b/b"]);
        assert.deepEqual(second.items.map(valueOf), [1]);
        assert.equal(second.remaining, 0);
        assert.deepEqual(idsOf(storage.list(PODS, { at, namespace: "b" }).items), ["b/a", "b/b"]);
        assert.deepEqual(idsOf(storage.list(PODS).items), ["a/a", "a/aa", "a/b", "b/b"]);
      });
    });

    describe("watch()", () => {
      it("yields changes since a revision, then those to come, in order and with what they replaced", async () => {
        await using test = await make();
        const { storage } = test;
        const stop = new AbortController();
        const r1 = await put(storage, "a/x", 1);
        const r2 = await put(storage, "a/x", 2);
        const r3 = await put(storage, "a/y", 3);
        const watch = storage.watch(PODS, { since: r1, signal: stop.signal });
        const early = await take(watch, 2);
        const late = take(watch, 3);
        const r4 = await remove(storage, "a/x");
        await put(storage, "a/x", 4, "configmaps");
        const r5 = await put(storage, "a/x", 5);
        const r6 = await put(storage, "a/x", 6);
        assert.deepEqual([...early, ...(await late)].map(brief), [
          { revision: r2, id: "a/x", deleted: false, value: 2, previous: 1 },
          { revision: r3, id: "a/y", deleted: false, value: 3, previous: undefined },
          { revision: r4, id: "a/x", deleted: true, value: -1, previous: 2 },
          { revision: r5, id: "a/x", deleted: false, value: 5, previous: undefined },
          { revision: r6, id: "a/x", deleted: false, value: 6, previous: 5 },
        ]);
        stop.abort();
      });

      it("yields only what a namespace or a name selects", async () => {
        await using test = await make();
        const { storage } = test;
        const { signal } = new AbortController();
        const since = storage.revision;
        await put(storage, "a/x");
        const watches = [
          storage.watch(PODS, { since, signal, namespace: "b" }),
          storage.watch(PODS, { since, signal, name: "x" }),
          storage.watch(PODS, { since, signal, namespace: "b", name: "x" }),
        ];
        const taken = watches.map((watch, at) => take(watch, [3, 3, 2][at] ?? 0));
        for (const id of ["b/y", "a/y", "b/x", "b/x"]) await put(storage, id);
        const [namespace, byName, both] = await Promise.all(taken);
        const ids = (events: ChangeEvent[] = []): string[] => events.map(({ key }) => `${key.namespace}/${key.name}`);
        assert.deepEqual(ids(namespace), ["b/y", "b/x", "b/x"]);
        assert.deepEqual(ids(byName), ["a/x", "b/x", "b/x"]);
        assert.deepEqual(ids(both), ["b/x", "b/x"]);
      });

      it("loses and repeats nothing while writes go on and watchers start", async () => {
        await using test = await make();
        const { storage } = test;
        const { signal } = new AbortController();
        const total = 400;
        const start = storage.revision;
        const watches: { since: number; events: Promise<ChangeEvent[]> }[] = [];
        for (let value = 0; value < total; value++) {
          const written = put(storage, `a/n${value % 7}`, value);
          if (value % 20 === 0) {
            const since = storage.revision;
            const watch = storage.watch(PODS, { since, signal });
            // How many are to come is only known from how many there were: one at a time here.
            watches.push({ since, events: take(watch, total - value) });
          }
          await written;
        }
        const all = (await (watches[0] as (typeof watches)[0]).events).map(({ revision }) => revision);
        assert.equal(new Set(all).size, total);
        assert.ok(all.every((revision) => revision > start));
        for (const { since, events } of watches) {
          assert.deepEqual(
            (await events).map(({ revision }) => revision),
            all.filter((revision) => revision > since),
          );
        }
      });

      it("waits for a revision that is yet to come", async () => {
        await using test = await make();
        const { storage } = test;
        const { signal } = new AbortController();
        const since = storage.revision + 2;
        const taken = take(storage.watch(PODS, { since, signal }), 1);
        for (const id of ["a/x", "a/y", "a/z"]) await put(storage, id);
        assert.ok(((await taken)[0]?.revision ?? 0) > since);
      });

      it("says up to which revision its reader has been told everything", async () => {
        await using test = await make();
        const { storage } = test;
        const { signal } = new AbortController();
        const since = storage.revision;
        const watch = storage.watch(PODS, { since, signal });
        assert.equal(watch.revision, since);
        const taken = take(watch, 1);
        const first = await put(storage, "a/x");
        await taken;
        assert.equal(watch.revision, first);
        const elsewhere = await put(storage, "a/x", 0, "configmaps");
        assert.equal(watch.revision, elsewhere);
        await put(storage, "a/y");
        assert.ok(watch.revision < storage.revision, "an event that waits is not told");
      });

      it("ends without error when its signal aborts, also while it waits", async () => {
        await using test = await make();
        const { storage } = test;
        const stop = new AbortController();
        const waiting = take(storage.watch(PODS, { since: storage.revision, signal: stop.signal }), 1);
        await put(storage, "a/x", 0, "configmaps");
        stop.abort();
        assert.deepEqual(await waiting, []);
        assert.deepEqual(await take(storage.watch(PODS, { since: 0, signal: stop.signal }), 1), []);
      });

      it("shares one object among all who watch", async () => {
        await using test = await make();
        const { storage } = test;
        const { signal } = new AbortController();
        const since = storage.revision;
        const taken = [1, 2].map(() => take(storage.watch(PODS, { since, signal }), 1));
        await put(storage, "a/x");
        const [[one] = [], [other] = []] = await Promise.all(taken);
        assert.equal(one?.object, other?.object);
        assert.equal(one?.object, storage.get(PODS, { namespace: "a", name: "x" }));
      });
    });

    describe("reached()", () => {
      it("resolves once reads include the revision", async () => {
        await using test = await make();
        const { storage } = test;
        const { signal } = new AbortController();
        await storage.reached(PODS, storage.revision, signal);
        const waiting = storage.reached(PODS, storage.revision + 1, signal);
        const written = await put(storage, "a/x");
        await waiting;
        assert.ok(storage.list(PODS).revision >= written);
      });

      it("rejects when its signal aborts", async () => {
        await using test = await make();
        const stop = new AbortController();
        const waiting = test.storage.reached(PODS, test.storage.revision + 1, stop.signal);
        stop.abort(new Error("enough"));
        await assert.rejects(waiting, /enough/);
      });
    });

    describe("forgetting history", () => {
      it("refuses what is older, and tells what is newer", async (context) => {
        await using test = await make();
        const { storage } = test;
        if (!test.compact) {
          context.skip("this storage forgets by itself only");
          return;
        }
        const { signal } = new AbortController();
        await put(storage, "a/x", 1);
        await put(storage, "a/y", 1);
        const gone = await remove(storage, "a/y");
        const upTo = await put(storage, "a/x", 2);
        const changed = await put(storage, "a/x", 3);
        await put(storage, "b/z", 1);
        await test.compact(upTo);
        await assert.rejects(take(storage.watch(PODS, { since: gone, signal }), 1), CompactedError);
        assert.throws(() => storage.list(PODS, { at: gone }), CompactedError);
        const [event] = await take(storage.watch(PODS, { since: upTo, signal }), 1);
        assert.deepEqual(brief(event as ChangeEvent), {
          revision: changed,
          id: "a/x",
          deleted: false,
          value: 3,
          previous: 2,
        });
        assert.deepEqual(storage.list(PODS, { at: upTo }).items.map(valueOf), [2]);
      });
    });

    describe("opened again", () => {
      it("has everything, and goes on counting", async (context) => {
        await using test = await make();
        let { storage } = test;
        if (!test.reopen) {
          context.skip("this storage lasts as long as its process");
          return;
        }
        const { signal } = new AbortController();
        const since = await put(storage, "a/x", 1);
        const changed = await put(storage, "a/x", 2);
        const other = await put(storage, "b/y", 3);
        const gone = await remove(storage, "b/y");
        storage = await test.reopen();
        assert.equal(storage.revision, gone);
        assert.deepEqual(idsOf(storage.list(PODS).items), ["a/x"]);
        assert.equal(valueOf(storage.get(PODS, { namespace: "a", name: "x" })), 2);
        assert.deepEqual((await take(storage.watch(PODS, { since, signal }), 3)).map(brief), [
          { revision: changed, id: "a/x", deleted: false, value: 2, previous: 1 },
          { revision: other, id: "b/y", deleted: false, value: 3, previous: undefined },
          { revision: gone, id: "b/y", deleted: true, value: -1, previous: 3 },
        ]);
        assert.deepEqual(idsOf(storage.list(PODS, { at: other }).items), ["a/x", "b/y"]);
        assert.ok((await put(storage, "a/x", 4)) > gone);
      });
    });
  });
}
