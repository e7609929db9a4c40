import { transaction, type Database, type Statement } from "@skerry/base/sqlite";

import type { Batch, BatchRow } from "./commit-log.ts";
import { DELETE, PUT } from "./schema.ts";

/** The writing half of the log on one SQLite connection. Synchronous: it belongs on the thread that may wait for the disk. */
export class LogWriter {
  readonly #database: Database;
  readonly #insert: Statement;
  readonly #upsert: Statement;
  readonly #remove: Statement;
  readonly #dropVolatile: Statement;
  readonly #setMeta: Statement;
  readonly #compacted: Statement;
  readonly #chunkEnd: Statement;
  readonly #dropSuperseded: Statement;
  readonly #dropDeletes: Statement;
  readonly #checkpoint: Statement;
  readonly #walPages: Statement;

  constructor(database: Database) {
    this.#database = database;
    // Checkpoints happen between commits, by checkpoint(), not inside of one.
    database.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 16777216;");
    this.#insert = database.prepare(
      "INSERT INTO log (rev, op, resource, namespace, name, prev_rev, value) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#upsert = database.prepare(
      "INSERT INTO current (resource, namespace, name, rev) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET rev = excluded.rev",
    );
    this.#remove = database.prepare("DELETE FROM current WHERE resource = ? AND namespace = ? AND name = ?");
    this.#dropVolatile = database.prepare(
      "DELETE FROM log WHERE rev = (SELECT rev FROM current WHERE resource = ? AND namespace = ? AND name = ?)",
    );
    this.#setMeta = database.prepare(
      "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
    );
    this.#compacted = database.prepare("SELECT value FROM meta WHERE key = 'compacted'", { returnArrays: true });
    this.#chunkEnd = database.prepare(
      "SELECT max(rev), count(*) FROM (SELECT rev FROM log WHERE rev > ? AND rev <= ? ORDER BY rev LIMIT ?)",
      { returnArrays: true },
    );
    this.#dropSuperseded = database.prepare(
      "DELETE FROM log WHERE rev IN (SELECT prev_rev FROM log WHERE rev > ? AND rev <= ? AND prev_rev > 0)",
    );
    this.#dropDeletes = database.prepare(`DELETE FROM log WHERE rev > ? AND rev <= ? AND op = ${DELETE}`);
    this.#checkpoint = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
    this.#walPages = database.prepare("PRAGMA wal_checkpoint(NOOP)");
  }

  /** Writes and flushes a batch, whole or not at all; throws SQLite's error. */
  commit(batch: Batch): void {
    transaction(this.#database, () => {
      for (const row of batch.rows) this.#write(row);
      if (batch.ceiling !== undefined) this.#setMeta.run("ceiling", batch.ceiling);
      if (batch.volatile !== undefined) {
        this.#setMeta.run("volatile", batch.volatile.resources.join(" "));
        this.#setMeta.run("compacted", batch.volatile.compacted);
      }
    });
  }

  #write(row: BatchRow): void {
    const { revision, resource, namespace, name } = row;
    if (row.volatile) this.#dropVolatile.run(resource, namespace, name);
    if (!row.volatile || !row.deleted) {
      const previous = row.volatile ? 0 : row.previous;
      this.#insert.run(revision, row.deleted ? DELETE : PUT, resource, namespace, name, previous, row.bytes);
    }
    if (row.deleted) this.#remove.run(resource, namespace, name);
    else this.#upsert.run(resource, namespace, name, revision);
  }

  /**
   * Forgets what was superseded or deleted at or below `upTo`, looking at no more than `rows` rows. What is kept of each live
   * object is its newest row at or below `upTo`, from which later changes and lists at later revisions are told.
   */
  compact(upTo: number, rows: number): { compacted: number } {
    const from = Number((this.#compacted.get() as unknown as [number] | undefined)?.[0] ?? 0);
    if (from >= upTo) return { compacted: from };
    const [last, count] = this.#chunkEnd.get(from, upTo, rows) as unknown as [number | null, number];
    const end = count < rows || last === null ? upTo : last;
    transaction(this.#database, () => {
      this.#dropSuperseded.run(from, end);
      this.#dropDeletes.run(from, end);
      this.#setMeta.run("compacted", end);
    });
    return { compacted: end };
  }

  /** Moves the write-ahead log into the database once it holds more than `pages` pages that are not there yet. */
  checkpoint(pages: number): boolean {
    const { log, checkpointed } = this.#walPages.get() as { log: number; checkpointed: number };
    if (log - checkpointed <= pages) return false;
    this.#checkpoint.get();
    return true;
  }
}
