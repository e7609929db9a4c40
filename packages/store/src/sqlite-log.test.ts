import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";

import { openDatabase } from "@skerry/base/sqlite";
import { StorageUnavailableError } from "@skerry/machinery";

import { SqliteLog, Store, StoreOpenError, type SqliteLogOptions } from "./index.ts";
import { encodeThing, idsOf, PODS, put, valueOf } from "./things.ts";

const LEASES = "leases.coordination.k8s.io";

/** A folder that is gone when the test ends. */
function temporaryFolder(): Disposable & { folder: string; file: string } {
  const folder = mkdtempSync(path.join(tmpdir(), "skerry-store-"));
  return {
    folder,
    file: path.join(folder, "store.db"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function openStore(options: SqliteLogOptions): Promise<Store> {
  const store = new Store({ log: new SqliteLog(options), volatile: [LEASES] });
  await store.start();
  return store;
}

/** Opening fails, with a message that says what is meant. */
async function assertRefused(file: string, message: RegExp): Promise<void> {
  await assert.rejects(openStore({ file }), (error: unknown) => {
    assert.ok(error instanceof StoreOpenError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

describe("a disk that takes its time", () => {
  it("stalls neither the event loop nor volatile writes", async () => {
    using temporary = temporaryFolder();
    const { file } = temporary;
    await using store = await openStore({ file });
    await put(store, "a/pod", 0);
    await put(store, "a/lease", 0, LEASES);

    // Another connection holds the write lock, so that the thread really waits inside of its commit.
    using other = openDatabase(file);
    other.exec("BEGIN IMMEDIATE");
    const started = performance.now();
    let committedAfter = 0;
    const pod = put(store, "a/pod", 1).then(() => (committedAfter = performance.now() - started));
    let worstLag = 0;
    let renewals = 0;
    let last = performance.now();
    while (performance.now() - started < 200) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await put(store, "a/lease", ++renewals, LEASES);
      worstLag = Math.max(worstLag, performance.now() - last);
      last = performance.now();
    }
    assert.equal(valueOf(store.get(PODS, { namespace: "a", name: "pod" })), 0);
    other.exec("ROLLBACK");
    await pod;
    assert.ok(committedAfter >= 200, `committed after ${committedAfter} ms`);
    assert.ok(renewals > 5, `${renewals} renewals`);
    // If commits ran on this thread it would stand still for the 5 s that SQLite waits for a lock.
    assert.ok(worstLag < 1000, `the event loop stood still for ${worstLag} ms`);
  });
});

describe("a full disk", () => {
  it("is what a quota makes of a large one", async () => {
    using temporary = temporaryFolder();
    await using store = await openStore({ file: temporary.file, maxBytes: 300 << 10 });
    const encode = (): Uint8Array => Buffer.alloc(20_000, 32);
    await assert.rejects(async () => {
      for (let n = 0; n < 100; n++) {
        await store.write({ resource: PODS, key: { namespace: "a", name: `n${n}` }, expect: 0, encode });
      }
    }, /quota is full/);
  });
});

describe("the store's thread", () => {
  for (const [when, program] of [
    ["before", `port.on("message", die); await import(real);`],
    ["after", `await import(real); port.on("message", die);`],
  ] as const) {
    it(`may die ${when} a commit: what was acknowledged is there, and the next write starts it again`, async () => {
      using temporary = temporaryFolder();
      const real = new URL("./commit-worker.ts", import.meta.url).href;
      const wrapper = path.join(temporary.folder, "dying-worker.mjs");
      const died = path.join(temporary.folder, "died");
      writeFileSync(
        wrapper,
        `import { existsSync, writeFileSync } from "node:fs";
         import { parentPort as port } from "node:worker_threads";
         const real = ${JSON.stringify(real)}, died = ${JSON.stringify(died)};
         let commits = 0;
         const die = (request) => {
           if (request.do !== "commit" || ++commits < 5 || existsSync(died)) return;
           writeFileSync(died, "");
           process.exit(3);
         };
         ${program}`,
      );
      const { file } = temporary;
      const acknowledged: number[] = [];
      {
        await using store = await openStore({ file, workerUrl: new URL(`file://${wrapper}`) });
        let refused = 0;
        for (let value = 0; value < 12; value++) {
          try {
            await store.write({
              resource: PODS,
              key: { namespace: "a", name: `n${value}` },
              expect: 0,
              encode: encodeThing("a", `n${value}`, value),
            });
            acknowledged.push(value);
          } catch (error) {
            assert.ok(error instanceof StorageUnavailableError, String(error));
            assert.match(error.message, /thread died/);
            refused++;
          }
        }
        assert.ok(existsSync(died));
        assert.ok(refused <= 1, `${refused} writes were refused`);
        assert.equal(store.list(PODS).items.length, acknowledged.length);
      }
      await using again = await openStore({ file });
      assert.deepEqual(
        again
          .list(PODS)
          .items.map(valueOf)
          .toSorted((a, b) => Number(a) - Number(b)),
        acknowledged,
      );
    });
  }
});

describe("opening", () => {
  it("refuses a file that another process has open, and says which", async () => {
    using temporary = temporaryFolder();
    const { file } = temporary;
    const index = new URL("./index.ts", import.meta.url).href;
    const program = `import { SqliteLog, Store } from ${JSON.stringify(index)};
      const store = new Store({ log: new SqliteLog({ file: ${JSON.stringify(file)} }) });
      await store.start();
      process.stdout.write("open");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await once(child.stdout, "data");
      await assertRefused(file, new RegExp(`process ${child.pid} \\(.*\\) has it open; stop that first`));
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await using store = await openStore({ file });
    await put(store, "a/x", 1);
    await assertRefused(file, new RegExp(`process ${process.pid} `));
  });

  it("refuses a database of a newer format, one of another kind, and what is none", async () => {
    using temporary = temporaryFolder();
    const { file, folder } = temporary;
    await (await openStore({ file }))[Symbol.asyncDispose]();
    const newer = path.join(folder, "newer.db");
    copyFileSync(file, newer);
    {
      using database = openDatabase(newer);
      database.exec("PRAGMA user_version = 99");
    }
    await assertRefused(newer, /format 99, written by a newer Skerry, .* start the newer version/);

    const other = path.join(folder, "other.db");
    {
      using database = openDatabase(other);
      database.exec("CREATE TABLE bookmarks (url TEXT)");
    }
    await assertRefused(other, /not of Skerry; name another file/);

    const text = path.join(folder, "notes.txt");
    writeFileSync(text, "remember the milk. ".repeat(100));
    await assertRefused(text, /not a SQLite database/);
    assert.equal(statSync(text).size, 1900);
    await assertRefused(path.join(text, "store.db"), /Cannot open the store .*notes.txt/);
  });

  it("says that a file is damaged rather than serving less than there was", async () => {
    using temporary = temporaryFolder();
    const { file } = temporary;
    {
      await using store = await openStore({ file });
      for (let value = 0; value < 200; value++) await put(store, `a/n${value}`, value);
    }
    truncateSync(file, 8192);
    await assertRefused(file, /restore it from a backup/);
  });

  it("survives a torn tail: what a crash left half-written is not there, all before it is", async () => {
    using temporary = temporaryFolder();
    const { file, folder } = temporary;
    const copy = path.join(folder, "copy.db");
    const store = await openStore({ file });
    for (let value = 0; value < 50; value++) await put(store, `a/n${value}`, value);
    // The files as a power cut would leave them, with a commit in the middle of being written.
    copyFileSync(file, copy);
    copyFileSync(`${file}-wal`, `${copy}-wal`);
    await store[Symbol.asyncDispose]();
    appendFileSync(`${copy}-wal`, Buffer.alloc(3000, 0xa5));
    {
      await using again = await openStore({ file: copy });
      assert.equal(again.list(PODS).items.length, 50);
      await put(again, "a/n50", 50);
    }
    await using again = await openStore({ file: copy });
    assert.equal(again.list(PODS).items.length, 51);
  });

  it("lets nobody else read the objects, which hold secrets", async () => {
    using temporary = temporaryFolder();
    const { file } = temporary;
    await using store = await openStore({ file });
    await put(store, "a/x", 1);
    for (const suffix of ["", "-wal", "-shm"]) assert.equal(statSync(`${file}${suffix}`).mode & 0o077, 0, suffix);
    assert.deepEqual(idsOf(store.list(PODS).items), ["a/x"]);
  });
});
