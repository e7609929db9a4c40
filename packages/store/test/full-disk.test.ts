import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { eventually } from "@skerry/base/testing";
import { StorageUnavailableError } from "@skerry/machinery";
import { SqliteLog, Store } from "../src/index.ts";

const run = promisify(execFile);
const PODS = "pods";

async function openStore({ file }: { file: string }): Promise<Store> {
  const store = new Store({ log: new SqliteLog({ file }) });
  await store.start();
  return store;
}

/** Mounts a disk of its own, which takes root: so it stands with the whole-system tests. */
describe("a full disk", () => {
  it("refuses writes, loses none that were acknowledged, and works again when there is room", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "skerry-disk-"));
    const disk = path.join(folder, "disk");
    const file = path.join(disk, "store.db");
    await run("mkdir", [disk]);
    await run("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]);
    try {
      writeFileSync(path.join(disk, "ballast"), Buffer.alloc(1 << 20));
      const store = await openStore({ file });
      let written = 0;
      const encode = (): Uint8Array => Buffer.alloc(20_000, 32);
      const write = async (): Promise<void> => {
        await store.write({ resource: PODS, key: { namespace: "a", name: `n${written}` }, expect: 0, encode });
        written++;
      };
      await assert.rejects(
        async () => {
          for (;;) await write();
        },
        (error: unknown) => {
          assert.ok(error instanceof StorageUnavailableError);
          assert.match(error.message, /free space/);
          return true;
        },
      );
      assert.ok(written > 5, `${written} writes fitted`);
      assert.equal(store.list(PODS).items.length, written);
      rmSync(path.join(disk, "ballast"));
      await eventually(() => write().then(() => true), { what: "a write after there was room again" });
      await store[Symbol.asyncDispose]();
      await using again = await openStore({ file });
      assert.equal(again.list(PODS).items.length, written);
    } finally {
      await run("umount", ["-l", disk]);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
