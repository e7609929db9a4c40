import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { silentLogger } from "@skerry/base";
import { openDatabase } from "@skerry/base/sqlite";
import { FakeClock } from "@skerry/base/testing";
import { projectionHash, type Report, type StateChange } from "@skerry/wire";
import { newFacts } from "../pods/facts.ts";
import { EdgeCache } from "./edge-cache.ts";

class Store implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly folder: string;
  /** What was logged as an error, as JSON. */
  readonly said: string[] = [];
  #open: EdgeCache[] = [];
  constructor(folder: string) {
    this.folder = folder;
  }
  static async create(): Promise<Store> {
    return new Store(await mkdtemp(path.join(tmpdir(), "skerry-cache-")));
  }
  get file(): string {
    return path.join(this.folder, "cache.db");
  }
  open(): EdgeCache {
    const log = { ...silentLogger, error: (...args: unknown[]) => void this.said.push(JSON.stringify(args)) };
    const cache = EdgeCache.open(this.file, { clock: this.clock, log });
    this.#open.push(cache);
    return cache;
  }
  /** Closes what is open and opens it again. */
  async reopen(): Promise<EdgeCache> {
    for (const cache of this.#open.splice(0)) await cache[Symbol.asyncDispose]();
    return this.open();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    for (const cache of this.#open) await cache[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function execute(file: string, sql: string): void {
  const database = openDatabase(file);
  database.exec(sql);
  database.close();
}

function put(resource: string, name: string, uid: string, more: object = {}): StateChange {
  const bytes = Buffer.from(JSON.stringify({ metadata: { namespace: "default", name, uid }, ...more }));
  return { op: "put", object: { resource, namespace: "default", name, uid, hash: projectionHash(bytes) }, bytes };
}

const drop = (resource: string, name: string, uid: string): StateChange => ({
  op: "delete",
  object: { resource, namespace: "default", name, uid, hash: "" },
});

const report = (name: string, text: string, uid = "u1"): Report => ({
  resource: "pods",
  namespace: "default",
  name,
  uid,
  gone: false,
  bytes: Buffer.from(text),
});

const message = (id: string, ttlMs = 0) => ({ id, topic: "events", ttlMs, bytes: Buffer.from(id) });

const uids = (cache: EdgeCache): string[] => [...cache.pods()].map(([uid]) => uid).toSorted();

describe("EdgeCache", () => {
  it("gives back what was committed, after a restart too", async () => {
    await using store = await Store.create();
    let cache = store.open();
    await cache.commit([put("pods", "web", "u1"), put("configmaps", "settings", "c1", { data: { a: "1" } })]);
    for (let life = 0; life < 2; life++) {
      assert.equal(cache.podNamed("default", "web")?.pod.metadata.uid, "u1");
      assert.deepEqual(cache.configMap("default", "settings")?.data, { a: "1" });
      assert.equal(cache.held().length, 2);
      cache = await store.reopen();
    }
  });

  it("keeps a pod that the cloud dropped or replaced until it is forgotten here", async () => {
    await using store = await Store.create();
    let cache = store.open();
    await cache.commit([put("pods", "web", "u1"), put("pods", "job", "u2")]);
    await cache.commit([put("pods", "web", "u3"), drop("pods", "job", "u2")]);
    for (let life = 0; life < 2; life++) {
      assert.deepEqual(uids(cache), ["u1", "u2", "u3"]);
      assert.equal(cache.pod("u1")?.leaving, true);
      assert.equal(cache.pod("u2")?.leaving, true);
      assert.equal(cache.podNamed("default", "web")?.pod.metadata.uid, "u3");
      cache = await store.reopen();
    }
    await cache.forgetPod("u1");
    await cache.commit([put("pods", "job", "u2")]);
    assert.equal(cache.pod("u2")?.leaving, false);
    cache = await store.reopen();
    assert.deepEqual(uids(cache), ["u2", "u3"]);
  });

  it("changes nothing when a commit fails, and tells nobody", async () => {
    await using store = await Store.create();
    const cache = store.open();
    await cache.commit([put("pods", "web", "u1")]);
    let told = 0;
    cache.onChange(() => told++);
    const broken = put("pods", "job", "u2");
    if (broken.op === "put") broken.bytes = null as unknown as Uint8Array;
    await assert.rejects(cache.commit([put("pods", "other", "u4"), broken]));
    assert.deepEqual(uids(cache), ["u1"]);
    assert.equal(told, 0);
    assert.deepEqual(uids(await store.reopen()), ["u1"]);
  });

  it("lets a bad write fail alone", async () => {
    await using store = await Store.create();
    const cache = store.open();
    const broken = put("pods", "job", "u2");
    if (broken.op === "put") broken.bytes = null as unknown as Uint8Array;
    const results = await Promise.allSettled([cache.commit([broken]), cache.commit([put("pods", "web", "u1")])]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "fulfilled"],
    );
    assert.deepEqual(uids(cache), ["u1"]);
  });

  it("counts epochs up for ever, and past what the cloud has seen", async () => {
    await using store = await Store.create();
    const first = await store.open().nextEpoch(1);
    const cache = await store.reopen();
    assert.equal(await cache.nextEpoch(1), first + 1);
    assert.equal(await cache.nextEpoch(40), 40);
    assert.equal(await cache.nextEpoch(1), 41);
  });

  it("is complete once in sync, for good", async () => {
    await using store = await Store.create();
    const cache = store.open();
    assert.equal(cache.complete, false);
    await cache.inSync();
    assert.equal((await store.reopen()).complete, true);
  });

  const damages: [what: string, damage: (file: string) => void | Promise<void>][] = [
    ["that is none", (file) => writeFile(file, "this is no database, and it is long enough to be told so".repeat(100))],
    ["with a pod that cannot be read", (file) => execute(file, "UPDATE objects SET bytes = x'7b22'")],
    ["with facts that cannot be read", (file) => execute(file, "UPDATE facts SET json = substr(json, 1, 20)")],
    ["that lacks a table", (file) => execute(file, "DROP TABLE reports")],
  ];
  for (const [what, damage] of damages) {
    it(`sets a database ${what} aside, says so, and begins anew, not complete`, async () => {
      await using store = await Store.create();
      const cache = store.open();
      await cache.commit([put("pods", "web", "u1")]);
      await cache.saveFacts(newFacts({ metadata: { uid: "u1" } }, { wallMs: 0, monotonicMs: 0, bootId: "boot-1" }));
      await cache.inSync();
      await cache[Symbol.asyncDispose]();
      await damage(store.file);
      const next = await store.reopen();
      assert.deepEqual(uids(next), []);
      assert.deepEqual(next.rememberedUids(), []);
      assert.equal(next.complete, false);
      const aside = (await readdir(store.folder)).find((name) => name.includes(".damaged-"));
      assert.ok(aside);
      assert.ok(store.said.some((line) => line.includes("damaged") && line.includes(aside)));
      await next.commit([put("pods", "web", "u1")]);
      assert.deepEqual(uids(await store.reopen()), ["u1"]);
    });
  }

  it("keeps the newest report of an object under a new order, so that acknowledging the older leaves it", async () => {
    await using store = await Store.create();
    const cache = store.open();
    await cache.saveFacts(
      newFacts({ metadata: { uid: "u1" } }, { wallMs: 0, monotonicMs: 0, bootId: "boot-1" }),
      report("web", "old"),
    );
    const [old] = cache.reports.after(0, 10);
    await cache.report(report("web", "new"));
    await cache.report(report("web", "of another of this name", "u2"));
    await cache.reports.acknowledge(old?.order ?? 0);
    const texts = (of: EdgeCache): string[] =>
      of.reports.after(0, 10).map(({ item }) => Buffer.from(item.bytes).toString());
    assert.deepEqual(texts(cache), ["new", "of another of this name"]);
    const next = await store.reopen();
    assert.deepEqual(texts(next), ["new", "of another of this name"]);
    assert.equal(next.facts("u1")?.uid, "u1");
    const last = next.reports.after(0, 10).at(-1)?.order ?? 0;
    await next.reports.acknowledge(last);
    await next.report(report("web", "newer"));
    assert.ok((next.reports.after(0, 10)[0]?.order ?? 0) > last, "an order is never used again");
  });

  it("keeps messages in order, replaces those of a slot, leaves out expired ones, and drops the oldest when full", async () => {
    await using store = await Store.create();
    const cache = store.open();
    let added = 0;
    cache.messages.onAdded(() => added++);
    await cache.send(message("a"), "slot");
    await cache.send(message("b", 1000));
    await cache.send(message("c"), "slot");
    assert.equal(added, 3);
    const ids = (of: EdgeCache): string[] => of.messages.after(0, 5000).map(({ item }) => item.id);
    assert.deepEqual(ids(cache), ["b", "c"]);
    store.clock.advance(1000);
    assert.deepEqual(ids(cache), ["c"]);
    await Promise.all(Array.from({ length: 2500 }, (_, index) => cache.send(message(`m${index}`))));
    const next = await store.reopen();
    assert.equal(ids(next).length, 2000);
    assert.equal(ids(next).at(-1), "m2499");
  });

  it("takes a message of the cloud once", async () => {
    await using store = await Store.create();
    const cache = store.open();
    await cache.receive([message("a"), message("a"), message("b")]);
    await (await store.reopen()).receive([message("a")]);
  });
});
