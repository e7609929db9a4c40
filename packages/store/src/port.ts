import type { Encoded, KubeObject, ObjectKey } from "@skerry/machinery";

/**
 * The words of the API server's storage port, as this package fills it. They are declared on both sides because the port
 * lies above; a test at the root holds them equal.
 */

export interface ListOptions {
  namespace?: string;
  /** The state at this revision instead of now; `CompactedError` when it is no longer kept. */
  at?: number;
  /** Only objects after this one, in order. */
  after?: ObjectKey;
  limit?: number;
}

export interface ObjectList {
  /** The revision of the snapshot. */
  revision: number;
  items: Encoded[];
  /** How many more there are after the last item: more than zero only when `limit` cut the list. */
  remaining: number;
}

export interface Write {
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

export interface WatchOptions {
  since: number;
  namespace?: string;
  name?: string;
  signal: AbortSignal;
}

/** A committed change. `previous` is what it replaced. One event is shared by all who watch it. */
export interface ChangeEvent {
  readonly revision: number;
  readonly key: ObjectKey;
  /** After a delete: the last state, with the revision of the delete. */
  readonly object: Encoded;
  readonly deleted: boolean;
  readonly previous: Encoded | undefined;
}

/** A watch, to be read once. */
export interface Watch extends AsyncIterable<ChangeEvent> {
  /** Every event up to this revision has been handed to the reader: what a bookmark may say. */
  readonly revision: number;
}

/** A keeper of objects under one counter of revisions: see the API server's `Storage`. */
export interface ObjectStorage {
  readonly revision: number;
  get(resource: string, key: ObjectKey): Encoded | undefined;
  list(resource: string, options?: ListOptions): ObjectList;
  write(write: Write): Promise<Encoded>;
  watch(resource: string, options: WatchOptions): Watch;
  reached(resource: string, revision: number, signal: AbortSignal): Promise<void>;
}
