/**
 * What a storage of objects fails with: declared below both the API server, which catches these, and the stores that throw them.
 */

/** The object is not at the revision that the writer expected. */
export class RevisionMismatchError extends Error {
  override name = "RevisionMismatchError";
  /** The revision of the newest accepted write, pending ones included; 0 when there is no such object. */
  readonly current: number;

  constructor(message: string, current: number) {
    super(message);
    this.current = current;
  }
}

/** The history that was asked for is no longer kept: list again. */
export class CompactedError extends Error {
  override name = "CompactedError";
  /** The oldest revision from which history is still whole. */
  readonly oldest: number;

  constructor(message: string, oldest: number) {
    super(message);
    this.oldest = oldest;
  }
}

/** A watcher's reader fell behind its bound, and changes that it has not read were dropped: list again. */
export class WatcherTooSlowError extends Error {
  override name = "WatcherTooSlowError";
}

/** Nothing was written and nothing will be, because the storage cannot write now. Trying again later can help. */
export class StorageUnavailableError extends Error {
  override name: string = "StorageUnavailableError";
}

/** The storage works, but more writes wait than it is willing to hold. Nothing was written; try again in a moment. */
export class StorageBusyError extends StorageUnavailableError {
  override name = "StorageBusyError";
}
