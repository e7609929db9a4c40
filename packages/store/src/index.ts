/** Objects under revisions: in memory to be read, in SQLite to last, with watches that miss nothing. */
export {
  StoreOpenError,
  type Batch,
  type BatchRow,
  type BeforeRow,
  type ChangeRow,
  type ChangesQuery,
  type CommitLog,
  type LoadedRow,
  type LogFacts,
} from "./commit-log.ts";
export type { QueueBounds } from "./commit-queue.ts";
export type { Retention } from "./compactor.ts";
export type { HistoryBounds } from "./history.ts";
export { MemoryLog } from "./memory-log.ts";
export type { ChangeEvent, ListOptions, ObjectList, ObjectStorage, Watch, WatchOptions, Write } from "./port.ts";
export { SqliteLog, type SqliteLogOptions } from "./sqlite-log.ts";
export { Store, type StoreOptions, type StoreStats } from "./store.ts";
