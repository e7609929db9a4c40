import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { FakeClock } from "@skerry/base/testing";
import {
  CompactedError,
  StorageBusyError,
  StorageUnavailableError,
  WatcherTooSlowError,
  type Encoded,
} from "@skerry/machinery";

import { FaultyLog } from "./faulty-log.ts";
import { MemoryLog, Store, type StoreOptions } from "./index.ts";
import { encodeThing, idsOf, PODS, put, remove, take, valueOf } from "./things.ts";

const LEASES = "leases.coordination.k8s.io";

async function openStore(options: Partial<StoreOptions> = {}): Promise<Store> {
  const store = new Store({ log: new MemoryLog(), volatile: [LEASES], ...options });
  await store.start();
  return store;
}

const writeNew = (store: Store, name: string, resource = PODS): Promise<Encoded> =>
  store.write({ resource, key: { namespace: "a", name }, expect: 0, encode: encodeThing("a", name, 0) });

describe("a commit that fails", () => {
  it("rejects its writes and those behind it, publishes nothing, and lets later writes work", async () => {
    const log = new FaultyLog(new MemoryLog());
    await using store = await openStore({ log });
    await put(store, "a/kept", 1);
    const { signal } = new AbortController();
    const since = store.revision;
    const watch = store.watch(PODS, { since, signal });
    const told = take(watch, 1);

    log.beforeCommit = async () => {
      await new Promise(setImmediate);
      throw new Error("the medium is on fire");
    };
    const first = put(store, "a/kept", 2);
    await Promise.resolve();
    await Promise.resolve();
    const second = writeNew(store, "new");
    await assert.rejects(first, StorageUnavailableError);
    await assert.rejects(second, StorageUnavailableError);
    assert.equal(valueOf(store.get(PODS, { namespace: "a", name: "kept" })), 1);
    assert.deepEqual(idsOf(store.list(PODS).items), ["a/kept"]);

    log.beforeCommit = () => {};
    const revision = await put(store, "a/kept", 3);
    const [event] = await told;
    assert.equal(event?.revision, revision);
    assert.equal(valueOf(event?.previous), 1);
    assert.ok(revision > since + 1, "a revision that was given out is not given out again");
  });

  it("shows no revision that another write would have after a kill", async () => {
    const medium = new MemoryLog();
    const log = new FaultyLog(medium);
    const lost = await openStore({ log, volatile: [] });
    await put(lost, "a/kept", 1);
    log.beforeCommit = () => {
      throw new Error("the medium is full");
    };
    for (let i = 0; i < 3; i++) await assert.rejects(put(lost, "a/kept", 2), StorageUnavailableError);
    const { revision: shown } = lost.list(PODS);
    // Not disposed: as after kill -9.
    await using store = await openStore({ log: medium, volatile: [] });
    const { signal } = new AbortController();
    const told = take(store.watch(PODS, { since: shown, signal }), 1);
    const written = await put(store, "a/kept", 3);
    assert.ok(written > shown, `${written} was shown already: ${shown}`);
    assert.equal((await told)[0]?.revision, written);
  });

  it("counts as done when it reached the medium after all", async () => {
    const log = new FaultyLog(new MemoryLog());
    await using store = await openStore({ log });
    await writeNew(store, "before");
    log.afterCommit = () => {
      throw new Error("the thread died before it could say so");
    };
    const { revision } = await writeNew(store, "x");
    assert.equal(store.get(PODS, { namespace: "a", name: "x" })?.revision, revision);
  });

  it("keeps writes away for as long as nobody can tell whether it took place", async () => {
    const log = new FaultyLog(new MemoryLog());
    const clock = new FakeClock();
    await using store = await openStore({ log, clock });
    await writeNew(store, "before");
    log.afterCommit = () => {
      throw new Error("no answer");
    };
    log.hasError = new Error("no answer either");
    const doubtful = writeNew(store, "x");
    await new Promise(setImmediate);
    await assert.rejects(writeNew(store, "y"), StorageUnavailableError);
    log.hasError = undefined;
    log.afterCommit = () => {};
    clock.advance(1000);
    await doubtful;
    await writeNew(store, "y");
    assert.deepEqual(idsOf(store.list(PODS).items), ["a/before", "a/x", "a/y"]);
  });

  it("is what a full medium does, until there is room again", async () => {
    const log = new MemoryLog({ maxBytes: 200 << 10 });
    await using store = await openStore({ log });
    let written = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        const name = `n${written}`;
        const encode = (): Uint8Array => Buffer.alloc(4000, 32);
        await store.write({ resource: PODS, key: { namespace: "a", name }, expect: 0, encode });
        written++;
      }
    };
    await assert.rejects(fill(), (error: unknown) => {
      assert.ok(error instanceof StorageUnavailableError);
      assert.match(error.message, /full; free space, and writes work again by themselves/);
      return true;
    });
    assert.ok(written > 10);
    assert.equal(store.list(PODS).items.length, written);
    log.setMaxBytes(400 << 10);
    await writeNew(store, "fits-again");
  });
});

describe("writes that wait", () => {
  it("are bounded in number: one too many is refused, and told to come again", async () => {
    const log = new FaultyLog(new MemoryLog());
    await using store = await openStore({ log, queue: { writes: 3, bytes: 1 << 20 } });
    const { promise, resolve } = Promise.withResolvers<void>();
    await new Promise(setImmediate);
    log.beforeCommit = () => promise;
    const writes = ["x", "y", "z"].map((name) => writeNew(store, name));
    await assert.rejects(writeNew(store, "one-too-many"), StorageBusyError);
    resolve();
    await Promise.all(writes);
    await writeNew(store, "now");
  });

  it("are bounded in bytes", async () => {
    const log = new FaultyLog(new MemoryLog());
    await using store = await openStore({ log, queue: { writes: 100, bytes: 10 } });
    const { promise, resolve } = Promise.withResolvers<void>();
    log.beforeCommit = () => promise;
    const first = writeNew(store, "x");
    await assert.rejects(writeNew(store, "y"), StorageBusyError);
    resolve();
    await first;
  });

  it("are finished before the store is closed, and new ones are refused", async () => {
    const log = new MemoryLog();
    const store = await openStore({ log });
    const writes = Array.from({ length: 50 }, (_, at) => writeNew(store, `n${at}`));
    const closed = store[Symbol.asyncDispose]();
    await assert.rejects(writeNew(store, "late"), StorageUnavailableError);
    await Promise.all(writes);
    await closed;
    await using again = await openStore({ log });
    assert.equal(again.list(PODS).items.length, 50);
  });
});

describe("a volatile resource", () => {
  it("is written and watched while a durable commit is stuck, and neither lists nor watches of others lose by it", async () => {
    const log = new FaultyLog(new MemoryLog());
    await using store = await openStore({ log });
    await put(store, "a/lease", 0, LEASES);
    const { signal } = new AbortController();
    const leases = store.watch(LEASES, { since: store.list(LEASES).revision, signal });
    const stuck = Promise.withResolvers<void>();
    log.beforeCommit = () => stuck.promise;
    const pod = writeNew(store, "pod");
    await Promise.resolve();

    const renewed: number[] = [];
    for (let value = 1; value <= 100; value++) renewed.push(await put(store, "a/lease", value, LEASES));
    assert.deepEqual(
      (await take(leases, 100)).map(({ revision }) => revision),
      renewed,
    );
    assert.equal(leases.revision, renewed.at(-1));

    // The list of pods was made before the stuck pod's revision: a watch from it must yield that pod.
    const list = store.list(PODS);
    assert.deepEqual(list.items, []);
    const pods = take(store.watch(PODS, { since: list.revision, signal }), 1);
    stuck.resolve();
    const { revision } = await pod;
    assert.ok(list.revision < Number(revision));
    assert.deepEqual(
      (await pods).map((event) => String(event.revision)),
      [revision],
    );
  });

  it("reaches the medium in batches, without history", async () => {
    const clock = new FakeClock();
    const inner = new MemoryLog();
    const log = new FaultyLog(inner);
    const store = await openStore({ log, clock });
    await put(store, "a/lease", 0, LEASES);
    const batches: number[] = [];
    log.beforeCommit = ({ rows }) => void batches.push(rows.length);
    for (let value = 1; value <= 500; value++) await put(store, `a/lease${value % 5}`, value, LEASES);
    assert.deepEqual(batches, []);
    clock.advance(5000);
    await new Promise(setImmediate);
    assert.deepEqual(batches, [6]);
    await put(store, "a/lease", 1, LEASES);
    await remove(store, "a/lease1", LEASES);
    const since = store.revision;
    await store[Symbol.asyncDispose]();

    await using again = await openStore({ log: inner });
    assert.equal(again.revision, since);
    assert.deepEqual(idsOf(again.list(LEASES).items), ["a/lease", "a/lease0", "a/lease2", "a/lease3", "a/lease4"]);
    assert.equal(valueOf(again.get(LEASES, { namespace: "a", name: "lease4" })), 499);
    const { signal } = new AbortController();
    await assert.rejects(take(again.watch(LEASES, { since: since - 1, signal }), 1), CompactedError);
    const next = take(again.watch(LEASES, { since, signal }), 1);
    const renewed = await put(again, "a/lease0", 7, LEASES);
    assert.equal((await next)[0]?.revision, renewed);
  });

  it("never lets a revision be used twice, though the store ends without being closed", async () => {
    const log = new MemoryLog();
    const lost = await openStore({ log });
    await put(lost, "a/x", 1);
    let seen = 0;
    for (let value = 0; value < 25_000; value++) seen = await put(lost, "a/lease", value, LEASES);
    // Not disposed: as after kill -9, what was not committed is gone.
    await using store = await openStore({ log });
    assert.ok(store.revision >= seen, `${store.revision} is not below ${seen}`);
    assert.ok((await put(store, "a/x", 2)) > seen);
    const { signal } = new AbortController();
    await assert.rejects(take(store.watch(LEASES, { since: seen, signal }), 1), CompactedError);
  });

  it("keeps what could not be written, and writes it when that works again", async () => {
    const clock = new FakeClock();
    const inner = new MemoryLog();
    const log = new FaultyLog(inner);
    const store = await openStore({ log, clock });
    await put(store, "a/lease", 0, LEASES);
    log.beforeCommit = () => {
      throw new Error("not now");
    };
    clock.advance(5000);
    await new Promise(setImmediate);
    await put(store, "a/lease", 1, LEASES);
    log.beforeCommit = () => {};
    clock.advance(5000);
    await new Promise(setImmediate);
    // Not disposed: it has to be on the medium already.
    await using again = await openStore({ log: inner });
    assert.equal(valueOf(again.get(LEASES, { namespace: "a", name: "lease" })), 1);
  });

  it("that becomes durable, or the reverse, makes everybody list again", async () => {
    const log = new MemoryLog();
    const first = await openStore({ log });
    const since = await put(first, "a/x", 1);
    await put(first, "a/x", 2);
    await first[Symbol.asyncDispose]();
    await using store = await openStore({ log, volatile: [] });
    const { signal } = new AbortController();
    await assert.rejects(take(store.watch(PODS, { since, signal }), 1), CompactedError);
    assert.equal(valueOf(store.get(PODS, { namespace: "a", name: "x" })), 2);
  });
});

describe("a watcher", () => {
  it("that starts behind what memory holds reads the log first, and misses nothing", async () => {
    await using store = await openStore({ history: { events: 50, bytes: 1 << 20 } });
    const revisions: number[] = [];
    for (let value = 0; value < 1700; value++) {
      const revision = await put(store, value % 3 === 0 ? "a/x" : "b/y", value);
      if (value % 3 === 0) revisions.push(revision);
    }
    const { signal } = new AbortController();
    const watch = store.watch(PODS, { since: 0, signal, name: "x" });
    const events = await take(watch, revisions.length);
    assert.deepEqual(
      events.map(({ revision }) => revision),
      revisions,
    );
    assert.deepEqual(
      events.slice(1).map(({ previous }) => Number(previous?.revision)),
      revisions.slice(0, -1),
    );
    const next = take(watch, 1);
    const written = await put(store, "a/x", -5);
    assert.equal((await next)[0]?.revision, written);
  });

  it("that falls behind its buffer goes on from memory while that reaches back far enough", async () => {
    await using store = await openStore();
    const { signal } = new AbortController();
    const watch = store.watch(PODS, { since: 0, signal });
    const first = take(watch, 1);
    const revisions = [await put(store, "a/x", 0)];
    await first;
    // Live from its second read on, which this one write answers.
    const second = take(watch, 1);
    revisions.push(await put(store, "a/x", 1));
    await second;
    for (let value = 2; value < 3000; value++) revisions.push(await put(store, "a/x", value));
    const rest = await take(watch, revisions.length - 2);
    assert.deepEqual(
      rest.map(({ revision }) => revision),
      revisions.slice(2),
    );
  });

  it("that falls behind what memory holds is dropped with a reason", async () => {
    await using store = await openStore({ history: { events: 100, bytes: 1 << 20 } });
    const { signal } = new AbortController();
    const watch = store.watch(PODS, { since: 0, signal });
    const live = take(watch, 1);
    await new Promise(setImmediate);
    await put(store, "a/x", 0);
    await live;
    for (let value = 1; value < 1500; value++) await put(store, "a/x", value);
    await assert.rejects(take(watch, 2000), WatcherTooSlowError);
    assert.equal(store.stats.watchers, 0);
  });

  it("is forgotten when its reader leaves", async () => {
    await using store = await openStore();
    const { signal } = new AbortController();
    await put(store, "a/x");
    for await (const event of store.watch(PODS, { since: 0, signal })) {
      assert.equal(event.key.name, "x");
      break;
    }
    assert.equal(store.stats.watchers, 0);
  });

  it("ends when the store is closed", async () => {
    const store = await openStore();
    const { signal } = new AbortController();
    const waiting = take(store.watch(PODS, { since: 0, signal }), 1);
    await new Promise(setImmediate);
    await store[Symbol.asyncDispose]();
    assert.deepEqual(await waiting, []);
  });
});

describe("compaction", () => {
  it("keeps five minutes and ten thousand revisions, and forgets the rest by itself", async () => {
    const clock = new FakeClock();
    const log = new MemoryLog();
    await using store = await openStore({ clock, log, retention: { ms: 300_000, revisions: 100 } });
    for (let value = 0; value < 500; value++) await put(store, `a/n${value % 10}`, value);
    const minutes = async (count: number): Promise<void> => {
      for (let minute = 0; minute < count; minute++) {
        clock.advance(60_000);
        for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      }
    };
    await minutes(4);
    assert.equal(store.stats.compacted, 0, "young history is kept");
    await minutes(6);
    assert.equal(store.stats.compacted, 400, "so are the newest revisions");
    assert.equal(log.countRows(), 110, "a row for each live object, and history");
    for (let value = 0; value < 500; value++) await put(store, `a/n${value % 10}`, value);
    await minutes(10);
    assert.equal(store.stats.compacted, 900);
    assert.equal(log.countRows(), 110);
  });

  it("disturbs neither pages of a list nor a watch at revisions that are kept", async () => {
    const log = new FaultyLog(new MemoryLog());
    await using store = await openStore({ log, history: { events: 10, bytes: 1 << 20 } });
    for (let value = 0; value < 300; value++) await put(store, `a/n${String(value % 30).padStart(2, "0")}`, value);
    const at = store.revision;
    const expected = store.list(PODS).items.map((item) => item.revision);
    for (let value = 300; value < 600; value++) await put(store, `a/n${String(value % 30).padStart(2, "0")}`, value);
    await remove(store, "a/n05");

    const { signal } = new AbortController();
    const watch = store.watch(PODS, { since: at, signal });
    const compacting = store.compact(at);
    const seen: string[] = [];
    let chunks = 0;
    log.beforeCompact = () => void chunks++;
    let after: { namespace: string; name: string } | undefined;
    for (;;) {
      const page = store.list(PODS, { at, limit: 7, ...(after && { after }) });
      seen.push(...page.items.map((item) => item.revision));
      after = page.items.at(-1)?.key;
      if (page.remaining === 0) break;
      await new Promise(setImmediate);
    }
    assert.deepEqual(seen, expected);
    const events = await take(watch, 301);
    await compacting;
    assert.deepEqual(
      events.map(({ revision }) => revision),
      Array.from({ length: 301 }, (_, index) => at + 1 + index),
    );
    assert.ok(events.every(({ previous }) => previous !== undefined));
    assert.throws(() => store.list(PODS, { at: at - 1 }), CompactedError);
  });

  it("lets writes through between its chunks", async () => {
    const log = new FaultyLog(new MemoryLog());
    await using store = await openStore({ log });
    for (let value = 0; value < 2000; value++) await put(store, "a/x", value);
    let during = 0;
    let chunks = 0;
    log.beforeCompact = async () => {
      chunks++;
      await put(store, "a/x", 0);
      during++;
    };
    await store.compact(2000);
    assert.ok(chunks > 1);
    assert.equal(during, chunks);
  });
});

describe("listing", () => {
  it("refuses a revision that is yet to come", async () => {
    await using store = await openStore();
    assert.throws(() => store.list(PODS, { at: store.revision + 1 }), RangeError);
  });
});
