import { DatabaseSync, type StatementSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite";

/**
 * SQLite as the rest of the system sees it: the one place that imports `node:sqlite`.
 * Everything here is synchronous; what writes and flushes a lot belongs on a thread of its own.
 */
export type Database = DatabaseSync;
export type Statement = StatementSync;
/** What a parameter of a statement may be. */
export type SqlInput = SQLInputValue;
/** What a column of a row may be. Blobs are `Uint8Array`s that own their memory. */
export type SqlOutput = SQLOutputValue;

export interface DatabaseOptions {
  /** How long a statement waits for another connection's lock, in milliseconds. */
  busyTimeoutMs?: number;
  /** The most memory that cached pages take, in KiB. SQLite's own default is 2000. */
  cacheKiB?: number;
  /**
   * No other connection uses the file while this one does: it needs no shared memory beside it, and opens on a disk that is full.
   * Whoever comes second gets `busy`.
   */
  exclusive?: boolean;
  /** Looks at the database before anything in it is changed; a throw closes it again. */
  accept?: (database: Database) => void;
}

/**
 * Opens a file for durable use, or `:memory:`: write-ahead log, and a flush to the medium in each commit (`synchronous=FULL`),
 * so that what was committed survives a power cut. Throws SQLite's error, see `sqliteErrorOf`.
 */
export function openDatabase(file: string, options: DatabaseOptions = {}): Database {
  const { busyTimeoutMs = 5000, cacheKiB = 2000, exclusive = false, accept } = options;
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
  try {
    // Before the log is used for the first time: shared memory is not given back.
    if (exclusive) database.exec("PRAGMA locking_mode = EXCLUSIVE");
    accept?.(database);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
    database.exec(`PRAGMA cache_size = -${Math.trunc(cacheKiB)};`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Runs `work` in one transaction that takes the write lock at its start: committed when it returns, rolled back when it
 * throws. A failed commit throws too and leaves the database as it was.
 */
export function transaction<T>(database: Database, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    // Some errors, a full disk among them, have rolled back already.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/**
 * Takes a lock that one holder on this machine can have at a time, and that the kernel drops when its process dies, however it
 * dies. Returns `undefined` when somebody else holds it. The file at `file` belongs to the lock: nothing else may open it,
 * because closing any descriptor of it would let the lock go (POSIX `fcntl`).
 */
export function takeFileLock(file: string): Disposable | undefined {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (sqliteErrorOf(error) === "busy") return undefined;
    throw error;
  }
  return {
    [Symbol.dispose]: () => {
      if (database.isOpen) database.close();
    },
  };
}

/** The primary result codes that callers tell apart. Source: https://sqlite.org/rescode.html */
const RESULT_CODES = {
  5: "busy",
  6: "locked",
  8: "readonly",
  10: "io",
  11: "corrupt",
  13: "full",
  14: "cannot-open",
  26: "not-a-database",
} as const;

export type SqliteErrorKind = (typeof RESULT_CODES)[keyof typeof RESULT_CODES] | "other";

/** What kind of failure of SQLite an error is, or `undefined` for an error from elsewhere. */
export function sqliteErrorOf(error: unknown): SqliteErrorKind | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return (RESULT_CODES as Record<number, SqliteErrorKind>)[error.errcode & 0xff] ?? "other";
}
