/**
 * Where committed changes are kept: the seam between the store in memory and the medium. The store has one batch under
 * way at a time. Reading is synchronous and sees what is committed, whether or not the store has published it yet.
 */
export interface CommitLog {
  /** Opens the medium, creating what is missing, and keeps other processes away from it. Throws `StoreOpenError`. */
  open(): Promise<LogFacts>;
  /** Every live object, ordered by resource, namespace and name. Before the first commit only. */
  load(): Iterable<LoadedRow>;
  /** Makes the batch durable, whole or not at all. Rejects with `StorageUnavailableError`, which says what to do. */
  commit(batch: Batch): Promise<void>;
  /** Forgets history up to `upTo`, at most `rows` rows of it, and says how far it came and how long it took. */
  compact(upTo: number, rows: number): Promise<{ compacted: number; tookMs: number }>;
  /** Whether the change with this revision is committed; settles what a failed commit left open. */
  has(revision: number): boolean;
  /** Changes of a resource after one revision, in order, from a bounded number of the log's rows, none above `upTo`. */
  changes(query: ChangesQuery): { rows: ChangeRow[]; upTo: number };
  /** The keys of a resource that changed in (`after`, `upTo`], each with the revision it was at before; 0: it did not exist. */
  keysBefore(resource: string, after: number, upTo: number): BeforeRow[];
  /** The bytes of the object as written at a revision that is still kept. */
  bytes(revision: number): Uint8Array | undefined;
  /** Waits for what is under way and lets go of the medium. */
  close(): Promise<void>;
}

export interface LogFacts {
  /** The newest revision that may have been used. */
  revision: number;
  /** History after this revision is whole. */
  compacted: number;
  /** The resources that were volatile when the medium was last written. */
  volatile: string[];
}

/** What one commit makes durable. */
export interface Batch {
  rows: readonly BatchRow[];
  /** No revision above this one is used before another batch has raised it. */
  ceiling?: number;
  /** The volatile resources, when they changed, and the revision to which that compacts history. */
  volatile?: { resources: string[]; compacted: number };
}

export interface BatchRow {
  revision: number;
  resource: string;
  namespace: string;
  name: string;
  deleted: boolean;
  /** The revision of what it replaces; 0 for none. */
  previous: number;
  bytes: Uint8Array;
  /** Keeps the newest state only, without history. */
  volatile: boolean;
}

export interface LoadedRow {
  revision: number;
  resource: string;
  namespace: string;
  name: string;
  bytes: Uint8Array;
}

export interface ChangesQuery {
  resource: string;
  after: number;
  upTo: number;
  namespace?: string | undefined;
  name?: string | undefined;
}

export interface ChangeRow {
  revision: number;
  namespace: string;
  name: string;
  deleted: boolean;
  bytes: Uint8Array;
  previous: number;
  previousBytes: Uint8Array | undefined;
}

export interface BeforeRow {
  namespace: string;
  name: string;
  revision: number;
}

/** The store cannot be opened. The message says why, and how to mend it. */
export class StoreOpenError extends Error {
  override name = "StoreOpenError";
}
