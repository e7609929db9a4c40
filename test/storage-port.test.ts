import { it } from "node:test";

import type { Storage, StorageEvent, StorageListOptions, StorageWatchOptions, StorageWrite } from "@skerry/apiserver";
import type { ChangeEvent, ListOptions, ObjectStorage, WatchOptions, Write } from "@skerry/store";

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

it("The store's words for the storage port are the API server's: the compiler says so", () => {
  true satisfies Same<Storage, ObjectStorage>;
  true satisfies Same<StorageListOptions, ListOptions>;
  true satisfies Same<StorageWatchOptions, WatchOptions>;
  true satisfies Same<StorageWrite, Write>;
  true satisfies Same<StorageEvent, ChangeEvent>;
});
