/** For tests of storages, and of what stands on one. */
export { storageContract, type StorageUnderTest } from "./contract.ts";
export { FaultyLog } from "./faulty-log.ts";
export { StrictStore } from "./strict-store.ts";
