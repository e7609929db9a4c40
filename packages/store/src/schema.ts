import { sqliteErrorOf, transaction, type Database } from "@skerry/base/sqlite";

import { StoreOpenError } from "./commit-log.ts";

/** Marks a SQLite file as a store of ours: "Skry" in ASCII. */
const APPLICATION_ID = 0x536b7279;

/** Raised when an older Skerry could not read what this one writes. */
const FORMAT = 1;

/**
 * `log` holds each change once, by revision; `current` says which revision each live object is at, whose bytes are those of
 * its row in `log`; so a write stores its bytes once. Compaction never takes the row of a live object.
 */
const SCHEMA = `
  CREATE TABLE log (
    rev INTEGER PRIMARY KEY,
    op INTEGER NOT NULL,
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    prev_rev INTEGER NOT NULL,
    value BLOB NOT NULL
  ) STRICT;
  CREATE TABLE current (
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    rev INTEGER NOT NULL,
    PRIMARY KEY (resource, namespace, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
`;

/** What a row of `log` did, in its column `op`. */
export const PUT = 0;
export const DELETE = 1;

const pragma = (database: Database, name: string): number =>
  Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0] ?? 0);

const isEmpty = (database: Database): boolean =>
  database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;

/** Throws `StoreOpenError` when the file is not a store, or one that this version cannot read. Changes nothing. */
export function checkFormat(database: Database, file: string): void {
  try {
    if (isEmpty(database)) return;
    if (pragma(database, "application_id") !== APPLICATION_ID) {
      throw new StoreOpenError(
        `Cannot open the store ${file}: it is a SQLite database, but not of Skerry; name another file or move this one away`,
      );
    }
    const format = pragma(database, "user_version");
    if (format > FORMAT) {
      throw new StoreOpenError(
        `Cannot open the store ${file}: it has format ${format}, written by a newer Skerry, and this one knows formats up to ${FORMAT}; ` +
          "start the newer version, or restore a backup made before it",
      );
    }
  } catch (error) {
    throw openError(file, error);
  }
}

/** Makes the tables of a new store. */
export function createSchema(database: Database): void {
  if (!isEmpty(database)) return;
  transaction(database, () => {
    database.exec(SCHEMA);
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT};`);
  });
}

/** Says for a person why opening failed, and what can be done. */
export function openError(file: string, error: unknown): StoreOpenError {
  if (error instanceof StoreOpenError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const advice = {
    "not-a-database": "it is not a SQLite database; name another file or move this one away",
    corrupt: "the file is damaged; restore it from a backup",
    full: "the disk is full; free space on it and start again",
    "cannot-open": "check that its folder exists and may be written",
    readonly: "the file or its disk is read-only; make it writable",
  } as Record<string, string>;
  const known = advice[sqliteErrorOf(error) ?? ""];
  const why = known === undefined ? reason : `${known} (${reason})`;
  return new StoreOpenError(`Cannot open the store ${file}: ${why}`, { cause: error });
}
