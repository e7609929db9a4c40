import type { Clock, Logger } from "@skerry/base";

import type { CommitLog } from "./commit-log.ts";

/** What history is kept at least: both bounds hold. */
export interface Retention {
  ms: number;
  revisions: number;
}

export interface CompactorOptions {
  log: CommitLog;
  clock: Clock;
  logger: Logger;
  retention: Retention;
  compacted: number;
  /** The newest published revision. */
  newest: () => number;
}

const EVERY_MS = 60_000;

/** A chunk is cut so that it takes about this long: writes wait behind one chunk at most. */
const CHUNK_MS = 5;
const FIRST_CHUNK_ROWS = 200;
const MOST_CHUNK_ROWS = 2000;

/** Forgets old history, a chunk at a time, so that the log does not grow for ever. */
export class Compactor {
  readonly #log: CommitLog;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #retention: Retention;
  readonly #newest: () => number;
  /** What was newest when; the oldest mark is the newest that has reached the age to forget. */
  readonly #marks: { at: number; revision: number }[] = [];
  #compacted: number;
  #rows = FIRST_CHUNK_ROWS;
  #cancelTimer: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: CompactorOptions) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#retention = options.retention;
    this.#newest = options.newest;
    this.#compacted = options.compacted;
  }

  /** History after this revision is whole. Raised before anything is forgotten. */
  get compacted(): number {
    return this.#compacted;
  }

  start(): void {
    this.#mark();
    this.#schedule();
  }

  /** Forgets history up to a published revision, whatever its age. Resolves when the medium has forgotten it. */
  compact(upTo: number): Promise<void> {
    const done = this.#running.then(() => this.#compactTo(upTo));
    this.#running = done.catch(() => {});
    return done;
  }

  /** Ends after the chunk under way. What is left is forgotten after the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#running;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#clock.after(EVERY_MS, () => {
      const target = Math.min(this.#mark(), this.#newest() - this.#retention.revisions);
      this.compact(target)
        .catch((error: unknown) => this.#logger.warn({ err: error }, "cannot compact the log"))
        .finally(() => this.#schedule());
    });
  }

  /** Notes the newest revision, and returns the newest of those noted that are old enough to be forgotten. */
  #mark(): number {
    const now = this.#clock.monotonic();
    this.#marks.push({ at: now, revision: this.#newest() });
    while ((this.#marks[1]?.at ?? Infinity) <= now - this.#retention.ms) this.#marks.shift();
    const [oldest] = this.#marks;
    return oldest && oldest.at <= now - this.#retention.ms ? oldest.revision : 0;
  }

  async #compactTo(target: number): Promise<void> {
    const upTo = Math.min(target, this.#newest());
    if (upTo <= this.#compacted) return;
    this.#compacted = upTo;
    for (;;) {
      if (this.#stopped) return;
      const { compacted, tookMs } = await this.#log.compact(upTo, this.#rows);
      if (compacted >= upTo) return;
      const factor = Math.min(2, Math.max(0.25, CHUNK_MS / Math.max(tookMs, 0.1)));
      this.#rows = Math.max(10, Math.min(MOST_CHUNK_ROWS, Math.round(this.#rows * factor)));
    }
  }
}
