import type { Encoded, KubeObject, ObjectKey } from "@skerry/machinery";

/**
 * Where the API server keeps objects: the port that the cloud's SQLite store and the edge's cache implement.
 * One counter of revisions runs through all resources. Reads see what is committed and never wait.
 * The errors named here are those of `@skerry/machinery`.
 */
export interface Storage {
  /** Everything up to this revision is committed and published. */
  readonly revision: number;
  get(resource: string, key: ObjectKey): Encoded | undefined;
  /** Objects in the order of their namespaces, then of their names, by code units. */
  list(resource: string, options?: StorageListOptions): StorageList;
  /**
   * Puts or deletes one object. Resolves once the write is durable and has been published to watchers; until then nobody sees it.
   * Rejects with `RevisionMismatchError` when the object is not at the revision that `expect` names, pending writes included;
   * with `StorageBusyError` when too many writes wait, and with `StorageUnavailableError` when it cannot be made durable.
   */
  write(write: StorageWrite): Promise<Encoded>;
  /**
   * Every change after `since`, in order, none twice. Rejects (from the iterator) with `CompactedError` when `since` is no longer kept,
   * and with `WatcherTooSlowError` when the reader fell behind its bound. Ends without error when the signal aborts.
   */
  watch(resource: string, options: StorageWatchOptions): StorageWatch;
  /**
   * Resolves once reads of `resource` include everything up to `revision`: for clients that ask for a state not older than
   * one that they have seen. Rejects with the signal's reason when it aborts first.
   */
  reached(resource: string, revision: number, signal: AbortSignal): Promise<void>;
}

/** A watch, to be read once. */
export interface StorageWatch extends AsyncIterable<StorageEvent> {
  /** Every event up to this revision has been handed to the reader: what a bookmark may say. */
  readonly revision: number;
}

export interface StorageListOptions {
  namespace?: string;
  /** The state at this revision instead of now; `CompactedError` when it is no longer kept. */
  at?: number;
  /** Only objects after this one, in order. */
  after?: ObjectKey;
  limit?: number;
}

export interface StorageList {
  /** The revision of the snapshot. */
  revision: number;
  items: Encoded[];
  /** How many more there are after the last item: more than zero only when `limit` cut the list. */
  remaining: number;
}

export interface StorageWrite {
  resource: string;
  key: ObjectKey;
  /** The revision that the object must be at; 0: it must not exist. */
  expect: number;
  /** Makes the object's bytes once the revision is known, synchronously. For a delete: the last state, with the revision of the delete. */
  encode(revision: number): Uint8Array;
  /**
   * What `encode` encodes, where it is at hand as plain JSON. The storage takes it over, sets its revision and freezes it, so that those who look at
   * the object soon after need not decode it again.
   */
  object?: KubeObject;
  delete?: boolean;
}

export interface StorageWatchOptions {
  since: number;
  namespace?: string;
  name?: string;
  signal: AbortSignal;
}

/** A committed change. `previous` is what it replaced, for selectors that stop or start to match. */
export interface StorageEvent {
  revision: number;
  key: ObjectKey;
  /** After a delete: the last state, with the revision of the delete. */
  object: Encoded;
  deleted: boolean;
  previous: Encoded | undefined;
}
