import type { Clock, Logger } from "@skerry/base";
import { StorageBusyError, StorageUnavailableError } from "@skerry/machinery";

import type { PendingWrite } from "./collection.ts";
import type { Batch, BatchRow, CommitLog } from "./commit-log.ts";
import { VolatileRows } from "./volatile-rows.ts";

/** How many writes, and bytes of them, may wait for their commit. */
export interface QueueBounds {
  writes: number;
  bytes: number;
}

export interface CommitQueueOptions {
  log: CommitLog;
  clock: Clock;
  logger: Logger;
  bounds: QueueBounds;
  /** The highest revision that may be used without another commit. */
  ceiling: number;
  /** Keeps revisions in reserve for volatile writes with every commit, so that these need not wait for one. */
  reserve: boolean;
  /** To be recorded with the first commit. */
  marker: Batch["volatile"];
  /** The newest revision given out. */
  newest: () => number;
  /** Makes durable writes visible, in this order, all in one turn of the event loop. */
  publish: (writes: readonly PendingWrite[]) => void;
}

/** What one commit takes at most, so that it stays short. */
const BATCH_WRITES = 1000;
const BATCH_BYTES = 8 << 20;
const BATCH_VOLATILE = 250;

/** Revisions reserved at once for volatile writes. */
const RESERVE = 10_000;

/** How long to wait before asking again whether a commit in doubt took place. */
const DOUBT_RETRY_MS = 250;

/**
 * Group commit: one batch is under way, and what arrives meanwhile is the next. A batch that fails takes with it what waits
 * behind it, because that was written on top of it; memory stays as it was, and the next write tries anew.
 */
export class CommitQueue {
  readonly #log: CommitLog;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #bounds: QueueBounds;
  readonly #keepsReserve: boolean;
  readonly #newest: () => number;
  readonly #publish: (writes: readonly PendingWrite[]) => void;
  readonly #volatile = new VolatileRows();
  #waiting: PendingWrite[] = [];
  #inFlight: PendingWrite[] = [];
  #bytes = 0;
  #ceiling: number;
  /** The newest durable write that is on the medium. */
  #committed = 0;
  #reservation: PromiseWithResolvers<void> | undefined;
  #reservationsWaiting = 0;
  #flush: { left: number; done: PromiseWithResolvers<void> } | undefined;
  /** Told with the first commit: which resources are volatile, when that has changed. */
  #marker: Batch["volatile"];
  #inDoubt = false;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: CommitQueueOptions) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#bounds = options.bounds;
    this.#ceiling = options.ceiling;
    this.#marker = options.marker;
    this.#keepsReserve = options.reserve;
    this.#newest = options.newest;
    this.#publish = options.publish;
  }

  /** The revision of the oldest durable write that is not published. */
  get oldest(): number | undefined {
    return (this.#inFlight[0] ?? this.#waiting[0])?.entry.at;
  }

  get depth(): number {
    return this.#inFlight.length + this.#waiting.length + this.#reservationsWaiting;
  }

  get ceiling(): number {
    return this.#ceiling;
  }

  /** The newest revision that is given to nobody else whenever this process ends: a start goes on above it. */
  get lasting(): number {
    return Math.max(this.#ceiling, this.#committed);
  }

  /** Throws when a write cannot be taken now. */
  check(): void {
    if (this.#inDoubt) {
      throw new StorageUnavailableError(
        "Cannot write to the store: it is finding out whether its last commit took place; try again in a moment",
      );
    }
    if (this.depth >= this.#bounds.writes || this.#bytes >= this.#bounds.bytes) {
      throw new StorageBusyError(
        `Cannot write to the store: ${this.depth} writes (${this.#bytes} bytes) already wait for the disk; try again in a moment`,
      );
    }
  }

  add(write: PendingWrite): void {
    this.#waiting.push(write);
    this.#bytes += write.entry.bytes.byteLength;
    this.#run();
  }

  /** Remembers the newest state of a volatile object, for the next flush. */
  addVolatile(row: BatchRow): void {
    this.#volatile.put(row);
    if (this.#newest() + RESERVE / 2 > this.#ceiling && !this.#reservation) {
      // Whoever has to wait for it hears of a failure; this is only to be early.
      this.#reserve().catch(() => {});
    }
  }

  /** Raises the ceiling; resolves when that is durable. */
  async reserve(): Promise<void> {
    this.check();
    this.#reservationsWaiting++;
    try {
      await this.#reserve();
    } finally {
      this.#reservationsWaiting--;
    }
  }

  /** Writes what is known of volatile objects now; rejects when it could not be written, and then it is kept for later. */
  async flush(): Promise<void> {
    if (this.#volatile.size === 0) return;
    this.#flush ??= { left: 0, done: Promise.withResolvers<void>() };
    this.#flush.left = this.#volatile.size;
    this.#run();
    await this.#flush.done.promise;
  }

  get hasVolatile(): boolean {
    return this.#volatile.size > 0;
  }

  /** Resolves when nothing waits any more; a commit in doubt counts as failed. Nothing may be added from now on. */
  async drain(): Promise<void> {
    this.#closing.abort();
    while (this.#running) await this.#running;
  }

  #reserve(): Promise<void> {
    this.#reservation ??= Promise.withResolvers<void>();
    this.#run();
    return this.#reservation.promise;
  }

  #run(): void {
    this.#running ??= this.#commitAll().finally(() => {
      this.#running = undefined;
      if (this.#hasWork()) this.#run();
    });
  }

  #hasWork(): boolean {
    return this.#waiting.length > 0 || this.#reservation !== undefined || this.#flush !== undefined;
  }

  async #commitAll(): Promise<void> {
    // Writes of the same turn of the event loop share the first commit.
    await Promise.resolve();
    while (this.#hasWork()) await this.#commitOnce();
  }

  async #commitOnce(): Promise<void> {
    const writes = this.#takeWrites();
    const flush = this.#flush;
    const volatile = flush ? this.#volatile.take(Math.min(flush.left, BATCH_VOLATILE)) : [];
    const reservation = this.#reservation;
    const raise = reservation !== undefined || (this.#keepsReserve && this.#newest() + RESERVE / 2 > this.#ceiling);
    const ceiling = raise ? this.#newest() + RESERVE : undefined;
    const marker = this.#marker;
    this.#inFlight = writes;
    try {
      const rows = [...writes.map(rowOf), ...volatile];
      await this.#log.commit({ rows, ...(ceiling !== undefined && { ceiling }), ...(marker && { volatile: marker }) });
    } catch (error) {
      if (!(await this.#tookPlace(writes))) {
        this.#volatile.giveBack(volatile);
        this.#fail(asUnavailable(error));
        return;
      }
    }
    this.#marker = undefined;
    if (ceiling !== undefined) this.#ceiling = Math.max(this.#ceiling, ceiling);
    this.#inFlight = [];
    for (const write of writes) this.#bytes -= write.entry.bytes.byteLength;
    this.#committed = writes.at(-1)?.entry.at ?? this.#committed;
    this.#publish(writes);
    if (reservation) {
      this.#reservation = undefined;
      reservation.resolve();
    }
    if (flush) this.#flushed(flush, volatile.length);
  }

  #flushed(flush: { left: number; done: PromiseWithResolvers<void> }, rows: number): void {
    flush.left -= rows;
    if (flush.left > 0 && rows > 0) return;
    this.#flush = undefined;
    flush.done.resolve();
  }

  #takeWrites(): PendingWrite[] {
    if (this.#waiting.length <= 1) return this.#waiting.splice(0);
    let count = 0;
    let bytes = 0;
    for (const { entry } of this.#waiting) {
      if (count >= BATCH_WRITES || bytes >= BATCH_BYTES) break;
      count++;
      bytes += entry.bytes.byteLength;
    }
    return this.#waiting.splice(0, count);
  }

  /**
   * Whether a batch whose commit failed is on the medium after all, as when the thread died after the flush. Writes are
   * refused until that is known, or later ones would build on a state that may not be the medium's.
   */
  async #tookPlace(writes: readonly PendingWrite[]): Promise<boolean> {
    const last = writes.at(-1);
    if (!last) return false;
    this.#inDoubt = true;
    try {
      for (;;) {
        try {
          return this.#log.has(last.entry.at);
        } catch (error) {
          this.#logger.error({ err: error, revision: last.entry.at }, "cannot tell whether a commit took place");
          if (this.#closing.signal.aborted) return false;
          await this.#clock.sleep(DOUBT_RETRY_MS, this.#closing.signal).catch(() => {});
        }
      }
    } finally {
      this.#inDoubt = false;
    }
  }

  #fail(error: StorageUnavailableError): void {
    const failed = [...this.#inFlight, ...this.#waiting];
    this.#logger.error({ err: error, writes: failed.length }, "cannot commit");
    this.#inFlight = [];
    this.#waiting = [];
    this.#bytes = 0;
    for (const write of failed) write.collection.forgetHead(write);
    for (const write of failed) write.settled.reject(error);
    this.#reservation?.reject(error);
    this.#reservation = undefined;
    this.#flush?.done.reject(error);
    this.#flush = undefined;
  }
}

const rowOf = ({ collection, entry, deleted, previous }: PendingWrite): BatchRow => ({
  revision: entry.at,
  resource: collection.resource,
  namespace: entry.key.namespace,
  name: entry.key.name,
  deleted,
  previous,
  bytes: entry.bytes,
  volatile: false,
});

const asUnavailable = (error: unknown): StorageUnavailableError =>
  error instanceof StorageUnavailableError
    ? error
    : new StorageUnavailableError("Cannot write to the store", { cause: error });
