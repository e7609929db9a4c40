import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { storageContract, type StorageUnderTest } from "./contract.ts";
import { MemoryLog, SqliteLog, Store, type CommitLog } from "./index.ts";

async function underTest(log: () => CommitLog, clean = async (): Promise<void> => {}): Promise<StorageUnderTest> {
  const open = async (): Promise<Store> => {
    const store = new Store({ log: log(), volatile: ["leases.coordination.k8s.io"] });
    await store.start();
    return store;
  };
  let store = await open();
  return {
    storage: store,
    compact: (upTo) => store.compact(upTo),
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      store = await open();
      return store;
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await clean();
    },
  };
}

storageContract("Store over SQLite", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "skerry-store-"));
  const file = path.join(folder, "store.db");
  return underTest(
    () => new SqliteLog({ file }),
    () => rm(folder, { recursive: true }),
  );
});

storageContract("Store in memory", () => {
  const log = new MemoryLog();
  return underTest(() => log);
});
