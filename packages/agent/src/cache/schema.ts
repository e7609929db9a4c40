import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, existsSync } from "node:fs";
import path from "node:path";
import type { Clock, Logger } from "@skerry/base";
import { openDatabase, sqliteErrorOf, type Database } from "@skerry/base/sqlite";

/** Of the tables below. A database of a newer format is refused: an older agent would lose what it does not know. */
const FORMAT = 1;

const TABLES = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- What the cloud wants here, as projections.
CREATE TABLE objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  uid TEXT NOT NULL, hash TEXT NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)
) STRICT;
-- Pods that the cloud no longer wants, until everything of them is taken down.
CREATE TABLE leaving (uid TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
-- What must be remembered of each pod, as JSON.
CREATE TABLE facts (uid TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE reports (
  ord INTEGER PRIMARY KEY AUTOINCREMENT, object TEXT NOT NULL UNIQUE,
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
  gone INTEGER NOT NULL, bytes BLOB NOT NULL
) STRICT;
CREATE TABLE messages (
  ord INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, topic TEXT NOT NULL, slot TEXT,
  expires INTEGER NOT NULL, bytes BLOB NOT NULL
) STRICT;
CREATE INDEX messages_slot ON messages (slot) WHERE slot IS NOT NULL;
CREATE TABLE received (ord INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE inbox (
  ord INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, topic TEXT NOT NULL,
  expires INTEGER NOT NULL, bytes BLOB NOT NULL
) STRICT;
PRAGMA user_version = ${FORMAT};
`;

/**
 * Opens the cache's database, or makes it, and returns what `read` makes of it. One that is damaged, or that `read` cannot
 * read, is set aside under a name that says so, and an empty one takes its place: the cloud fills it again, and until then what
 * runs is left alone.
 */
export function openCacheDatabase<T>(file: string, clock: Clock, log: Logger, read: (database: Database) => T): T {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  try {
    return openChecked(file, read);
  } catch (error) {
    const kind = sqliteErrorOf(error);
    if (kind === "busy" || kind === "locked") {
      throw new Error(`Cannot use ${file}: another agent has it open; stop that one, or choose another data dir`, {
        cause: error,
      });
    }
    if (kind !== "corrupt" && kind !== "not-a-database" && !(error instanceof DamagedError)) throw error;
    const aside = setAside(file, clock);
    log.error({ file, aside, err: error }, "the edge's cache is damaged: set aside, to be rebuilt from the cloud");
    return openChecked(file, read);
  }
}

class DamagedError extends Error {
  override name = "DamagedError";
}

function openChecked<T>(file: string, read: (database: Database) => T): T {
  // It holds Secrets, and SQLite gives its other files the mode of this one.
  closeSync(openSync(file, "a", 0o600));
  const database = openDatabase(file, { cacheKiB: 512, busyTimeoutMs: 1000, exclusive: true });
  try {
    // Takes the lock, so that a second agent on the same data is refused.
    database.exec("BEGIN IMMEDIATE; COMMIT; PRAGMA wal_autocheckpoint = 256;");
    const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
    if (version > FORMAT) {
      throw new Error(
        `Cannot use ${file}: its format ${version} is newer than this agent's ${FORMAT}; run a newer agent`,
      );
    }
    const check = database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
    if (check !== "ok") throw new DamagedError(`The database is damaged: ${String(check)}`);
    if (version === 0) database.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
    return readAll(database, read);
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite knows no damage within a row, nor which tables there should be: reading it all shows that. */
function readAll<T>(database: Database, read: (database: Database) => T): T {
  try {
    return read(database);
  } catch (error) {
    const kind = sqliteErrorOf(error);
    if (kind !== undefined && kind !== "other") throw error;
    throw new DamagedError("What is remembered cannot be read", { cause: error });
  }
}

function setAside(file: string, clock: Clock): string {
  const aside = `${file}.damaged-${clock.now()}`;
  for (const suffix of ["-wal", "-shm", ""]) {
    if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix);
  }
  const folder = openSync(path.dirname(file), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  return aside;
}
