import type { Batch, BeforeRow, ChangeRow, ChangesQuery, CommitLog, LoadedRow, LogFacts } from "./commit-log.ts";

/** A log whose commits wait, or fail, as a test says; everything else is the log behind it. */
export class FaultyLog implements CommitLog {
  readonly #log: CommitLog;
  /** Awaited before each commit reaches the log behind; a rejection fails the commit. */
  beforeCommit: (batch: Batch) => Promise<void> | void = () => {};
  /** Awaited after the log behind has committed; a rejection reports a commit as failed that took place. */
  afterCommit: (batch: Batch) => Promise<void> | void = () => {};
  /** Awaited before each chunk of a compaction. */
  beforeCompact: () => Promise<void> | void = () => {};
  /** Thrown, when set, by `has()`. */
  hasError: Error | undefined;

  constructor(log: CommitLog) {
    this.#log = log;
  }

  open(): Promise<LogFacts> {
    return this.#log.open();
  }

  load(): Iterable<LoadedRow> {
    return this.#log.load();
  }

  async commit(batch: Batch): Promise<void> {
    await this.beforeCommit(batch);
    await this.#log.commit(batch);
    await this.afterCommit(batch);
  }

  async compact(upTo: number, rows: number): Promise<{ compacted: number; tookMs: number }> {
    await this.beforeCompact();
    return this.#log.compact(upTo, rows);
  }

  has(revision: number): boolean {
    if (this.hasError) throw this.hasError;
    return this.#log.has(revision);
  }

  changes(query: ChangesQuery): { rows: ChangeRow[]; upTo: number } {
    return this.#log.changes(query);
  }

  keysBefore(resource: string, after: number, upTo: number): BeforeRow[] {
    return this.#log.keysBefore(resource, after, upTo);
  }

  bytes(revision: number): Uint8Array | undefined {
    return this.#log.bytes(revision);
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}
