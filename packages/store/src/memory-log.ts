import { openDatabase, sqliteErrorOf, type Database } from "@skerry/base/sqlite";
import { StorageUnavailableError } from "@skerry/machinery";

import type { Batch, BeforeRow, ChangeRow, ChangesQuery, CommitLog, LoadedRow, LogFacts } from "./commit-log.ts";
import { LogReader } from "./log-reader.ts";
import { LogWriter } from "./log-writer.ts";
import { createSchema } from "./schema.ts";
import { commitError } from "./sqlite-log.ts";

/** The same log in memory, on this thread: for tests and for a control plane that may forget. It lives until it is dropped. */
export class MemoryLog implements CommitLog {
  readonly #database: Database;
  readonly #reader: LogReader;
  readonly #writer: LogWriter;
  #open = false;

  constructor({ maxBytes }: { maxBytes?: number } = {}) {
    this.#database = openDatabase(":memory:");
    createSchema(this.#database);
    if (maxBytes !== undefined) this.setMaxBytes(maxBytes);
    this.#reader = new LogReader(this.#database);
    this.#writer = new LogWriter(this.#database);
  }

  /** The most it may hold from now on; writes beyond it fail like those on a full disk. */
  setMaxBytes(maxBytes: number): void {
    this.#database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.trunc(maxBytes / 4096))}`);
  }

  /** How many changes are kept. */
  countRows(): number {
    return (this.#database.prepare("SELECT count(*) AS rows FROM log").get() as { rows: number }).rows;
  }

  async open(): Promise<LogFacts> {
    this.#open = true;
    return this.#reader.facts();
  }

  load(): Iterable<LoadedRow> {
    return this.#reader.load();
  }

  async commit(batch: Batch): Promise<void> {
    this.#write(() => this.#writer.commit(batch));
  }

  async compact(upTo: number, rows: number): Promise<{ compacted: number; tookMs: number }> {
    const started = performance.now();
    return { ...this.#write(() => this.#writer.compact(upTo, rows)), tookMs: performance.now() - started };
  }

  has(revision: number): boolean {
    return this.#reader.has(revision);
  }

  changes(query: ChangesQuery): { rows: ChangeRow[]; upTo: number } {
    return this.#reader.changes(query);
  }

  keysBefore(resource: string, after: number, upTo: number): BeforeRow[] {
    return this.#reader.keysBefore(resource, after, upTo);
  }

  bytes(revision: number): Uint8Array | undefined {
    return this.#reader.bytes(revision);
  }

  /** What was committed stays, so that the log can be opened again, as a file can. */
  async close(): Promise<void> {
    this.#open = false;
  }

  #write<T>(work: () => T): T {
    if (!this.#open) throw new StorageUnavailableError("Cannot write to the store in memory: it is not open");
    try {
      return work();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw commitError("in memory", sqliteErrorOf(error) ?? "other", message);
    }
  }
}
