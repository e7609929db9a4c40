import { silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import {
  CompactedError,
  RevisionMismatchError,
  StorageUnavailableError,
  WatcherTooSlowError,
  type Encoded,
  type ObjectKey,
} from "@skerry/machinery";

import { Collection, type PendingWrite } from "./collection.ts";
import type { ChangeRow, CommitLog } from "./commit-log.ts";
import { CommitQueue, type QueueBounds } from "./commit-queue.ts";
import { Compactor, type Retention } from "./compactor.ts";
import { Entry, ownBytes } from "./entry.ts";
import { History, type HistoryBounds } from "./history.ts";
import { listAt } from "./list-at.ts";
import type { ChangeEvent, ListOptions, ObjectList, ObjectStorage, Watch, WatchOptions, Write } from "./port.ts";
import { Watcher, type WatchSource } from "./watcher.ts";

export interface StoreOptions {
  log: CommitLog;
  /**
   * Resources that are acknowledged from memory and written in batches: of their changes a crash may lose the last few
   * seconds, and watches of them resume from memory only. For leases, which are many, small and soon renewed.
   */
  volatile?: readonly string[];
  clock?: Clock;
  logger?: Logger;
  /** How much may wait for its commit before writes are refused. */
  queue?: QueueBounds;
  /** How much history stays in memory for durable resources, and half as much for volatile ones. */
  history?: HistoryBounds;
  /** How much history the log keeps at least. */
  retention?: Retention;
  /** How long a volatile write waits for the medium, in milliseconds. */
  flushEveryMs?: number;
}

/** How the store is doing, for metrics. */
export interface StoreStats {
  revision: number;
  compacted: number;
  objects: number;
  watchers: number;
  /** Writes that wait for their commit. */
  pending: number;
  historyEvents: number;
  historyBytes: number;
}

/** Changes that one step of a watcher's catching up hands over. */
const STEP_EVENTS = 500;
/** Objects loaded between two turns of the event loop. */
const LOAD_STEP = 1000;

/**
 * Objects under revisions: live ones in memory, every change in a log that is durable before anybody sees the change.
 * One counter of revisions runs through all resources; it never goes back and gives no revision out twice, crashes included.
 */
export class Store implements ObjectStorage, AsyncDisposable {
  readonly #log: CommitLog;
  readonly #volatile: readonly string[];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #queueBounds: QueueBounds;
  readonly #retention: Retention;
  readonly #flushEveryMs: number;
  readonly #history: { durable: History; volatile: History };
  readonly #collections = new Map<string, Collection>();
  readonly #watchers = new Set<Watcher>();
  readonly #reaching = new Set<{ collection: Collection; revision: number; resolve: () => void }>();
  #queue: CommitQueue | undefined;
  #compactor: Compactor | undefined;
  /** The newest revision given out. */
  #newest = 0;
  /** The newest revision when the store was opened. */
  #openedAt = 0;
  #cancelFlush: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: StoreOptions) {
    this.#log = options.log;
    this.#volatile = [...(options.volatile ?? [])].sort();
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#queueBounds = options.queue ?? { writes: 10_000, bytes: 64 << 20 };
    this.#retention = options.retention ?? { ms: 5 * 60_000, revisions: 10_000 };
    this.#flushEveryMs = options.flushEveryMs ?? 5000;
    const bounds = options.history ?? { events: 20_000, bytes: 16 << 20 };
    const half = { events: Math.ceil(bounds.events / 2), bytes: Math.ceil(bounds.bytes / 2) };
    this.#history = { durable: new History(bounds), volatile: new History(half) };
  }

  /** Opens the log and loads every live object. Throws `StoreOpenError`. */
  async start(): Promise<void> {
    const facts = await this.#log.open();
    this.#newest = facts.revision;
    this.#openedAt = facts.revision;
    try {
      let loaded = 0;
      for (const { resource, namespace, name, revision, bytes } of this.#log.load()) {
        this.#collection(resource).objects.set(new Entry({ namespace, name }, revision, bytes));
        if (++loaded % LOAD_STEP === 0) await new Promise(setImmediate);
      }
    } catch (error) {
      await this.#log.close();
      throw error;
    }
    // A resource's history has holes where it was volatile, so none of what is there is history any more.
    const changed = facts.volatile.join(" ") !== this.#volatile.join(" ");
    const compacted = changed ? facts.revision : facts.compacted;
    this.#compactor = new Compactor({
      log: this.#log,
      clock: this.#clock,
      logger: this.#logger,
      retention: this.#retention,
      compacted,
      newest: () => this.revision,
    });
    this.#queue = new CommitQueue({
      log: this.#log,
      clock: this.#clock,
      logger: this.#logger,
      bounds: this.#queueBounds,
      ceiling: facts.revision,
      reserve: this.#volatile.length > 0,
      marker: changed ? { resources: [...this.#volatile], compacted } : undefined,
      newest: () => this.#newest,
      publish: (writes) => this.#publish(writes),
    });
    this.#compactor.start();
    // Early, so that no volatile write has to wait for a commit.
    if (this.#volatile.length > 0) {
      this.#queue.reserve().catch((error: unknown) => this.#logger.warn({ err: error }, "cannot reserve revisions"));
    }
  }

  get revision(): number {
    if (!this.#queue) return this.#newest;
    const { lasting, oldest } = this.#queue;
    // Those of writes that failed are shown to nobody before something above them is on the medium.
    return Math.min(oldest === undefined ? this.#newest : oldest - 1, lasting);
  }

  get stats(): StoreStats {
    let objects = 0;
    for (const collection of this.#collections.values()) objects += collection.objects.size;
    const { durable, volatile } = this.#history;
    return {
      revision: this.revision,
      compacted: this.#compactor?.compacted ?? 0,
      objects,
      watchers: this.#watchers.size,
      pending: this.#queue?.depth ?? 0,
      historyEvents: durable.events + volatile.events,
      historyBytes: durable.bytes + volatile.bytes,
    };
  }

  get(resource: string, key: ObjectKey): Encoded | undefined {
    return this.#collections.get(resource)?.objects.get(key);
  }

  list(resource: string, options: ListOptions = {}): ObjectList {
    const { namespace, after, at, limit = Infinity } = options;
    const collection = this.#collection(resource);
    const revision = this.#revisionOf(collection);
    if (at !== undefined && at > revision) {
      throw new RangeError(`Cannot list ${resource} at revision ${at}: the newest is ${revision}`);
    }
    const range = { namespace, after };
    const { compacted } = this.#started.compactor;
    // What has not changed since is as it is now, as long as its revision is kept at all.
    const same = at === undefined || (at >= Math.max(collection.changed, this.#openedAt) && at >= compacted);
    if (!same) return listAt(collection, this.#log, at, { range, limit, compacted });
    return { revision: at ?? revision, ...collection.objects.page(range, limit) };
  }

  async write(write: Write): Promise<Encoded> {
    const { queue } = this.#started;
    const collection = this.#collection(write.resource);
    if (collection.volatile) return this.#writeVolatile(collection, write);
    queue.check();
    const previous = this.#expect(collection, write);
    const entry = this.#encode(collection, write);
    const settled = Promise.withResolvers<Entry>();
    const pending: PendingWrite = { collection, entry, deleted: write.delete === true, previous, settled };
    collection.expectHead(pending);
    queue.add(pending);
    return settled.promise;
  }

  watch(resource: string, options: WatchOptions): Watch {
    const { compactor } = this.#started;
    const collection = this.#collection(resource);
    const source: WatchSource = {
      revision: () => this.#revisionOf(collection),
      read: (watcher, after, lagging) => this.#read(collection, watcher, after, lagging, compactor.compacted),
      join: (watcher) => collection.watchers.add(watcher),
      leave: (watcher) => collection.watchers.delete(watcher),
    };
    const watcher = new Watcher(source, options, () => this.#watchers.delete(watcher));
    if (!options.signal.aborted) this.#watchers.add(watcher);
    return watcher;
  }

  reached(resource: string, revision: number, signal: AbortSignal): Promise<void> {
    const collection = this.#collection(resource);
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#revisionOf(collection) >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiting = {
        collection,
        revision,
        resolve: (): void => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.#reaching.delete(waiting);
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#reaching.add(waiting);
    });
  }

  /** Forgets history up to a revision now. Done by itself as `retention` says; for tools and tests. */
  async compact(upTo: number): Promise<void> {
    await this.#started.compactor.compact(upTo);
  }

  /** Refuses new writes, finishes those that wait, writes what is volatile, ends all watches and lets go of the log. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const queue = this.#queue;
    if (!queue) return;
    this.#cancelFlush?.();
    await this.#compactor?.stop();
    await queue.drain();
    try {
      await queue.flush();
      // Nothing above it was used, so the next start goes on from here.
      if (queue.ceiling > this.#newest) await this.#log.commit({ rows: [], ceiling: this.#newest });
    } catch (error) {
      this.#logger.error({ err: error }, "cannot write volatile objects while closing");
    }
    for (const watcher of this.#watchers) watcher.close();
    await this.#log.close();
  }

  get #started(): { queue: CommitQueue; compactor: Compactor } {
    if (this.#closed) throw new StorageUnavailableError("Cannot use the store: it is closed");
    if (!this.#queue || !this.#compactor) throw new StorageUnavailableError("Cannot use the store: it is not started");
    return { queue: this.#queue, compactor: this.#compactor };
  }

  #collection(resource: string): Collection {
    let collection = this.#collections.get(resource);
    if (!collection) {
      collection = new Collection(resource, this.#volatile.includes(resource), this.#openedAt);
      this.#collections.set(resource, collection);
    }
    return collection;
  }

  /** Every change of the collection up to this revision is published. Volatile changes do not wait for durable ones before them. */
  #revisionOf(collection: Collection): number {
    return Math.max(this.revision, collection.changed);
  }

  #expect(collection: Collection, { key, expect, ...write }: Write): number {
    const head = collection.headRevision(key);
    if (head === expect && !(write.delete && head === 0)) return head;
    const is = head === 0 ? "it does not exist" : `it is at revision ${head}`;
    const expected = expect === 0 ? "expected not to exist" : `expected at revision ${expect}`;
    throw new RevisionMismatchError(
      `Cannot write ${collection.resource} ${key.namespace}/${key.name}, ${expected}: ${is}`,
      head,
    );
  }

  #encode(collection: Collection, write: Write): Entry {
    const { key } = write;
    const revision = ++this.#newest;
    const bytes = ownBytes(write.encode(revision));
    // One key object for all versions of an object.
    const known = collection.objects.get(key)?.key;
    return new Entry(known ?? { namespace: key.namespace, name: key.name }, revision, bytes, write.object);
  }

  async #writeVolatile(collection: Collection, write: Write): Promise<Encoded> {
    const { queue } = this.#started;
    while (this.#newest >= queue.ceiling) await queue.reserve();
    // The store may have been closed during the wait.
    void this.#started;
    const previous = this.#expect(collection, write);
    const entry = this.#encode(collection, write);
    const deleted = write.delete === true;
    this.#apply(collection, entry, deleted);
    const { namespace, name } = entry.key;
    const { resource } = collection;
    const { at: revision, bytes } = entry;
    queue.addVolatile({ revision, resource, namespace, name, deleted, previous, bytes, volatile: true });
    this.#scheduleFlush();
    this.#tellReached();
    return entry;
  }

  #scheduleFlush(): void {
    this.#cancelFlush ??= this.#clock.after(this.#flushEveryMs, () => {
      this.#queue
        ?.flush()
        .catch((error: unknown) => this.#logger.warn({ err: error }, "cannot write volatile objects yet"))
        .finally(() => {
          this.#cancelFlush = undefined;
          if (!this.#closed && this.#queue?.hasVolatile) this.#scheduleFlush();
        });
    });
  }

  #publish(writes: readonly PendingWrite[]): void {
    for (const write of writes) {
      write.collection.forgetHead(write);
      this.#apply(write.collection, write.entry, write.deleted);
    }
    for (const write of writes) write.settled.resolve(write.entry);
    this.#tellReached();
  }

  #apply(collection: Collection, entry: Entry, deleted: boolean): void {
    const { objects, ring } = collection;
    const previous = objects.get(entry.key);
    if (deleted) objects.delete(entry.key);
    else objects.set(entry);
    collection.changed = entry.at;
    const event: ChangeEvent = { revision: entry.at, key: entry.key, object: entry, deleted, previous };
    (collection.volatile ? this.#history.volatile : this.#history.durable).push(ring, event);
    collection.watchers.publish(event);
  }

  #tellReached(): void {
    for (const waiting of this.#reaching) {
      if (this.#revisionOf(waiting.collection) < waiting.revision) continue;
      this.#reaching.delete(waiting);
      waiting.resolve();
    }
  }

  /** One step of a watcher's catching up: from memory where that reaches back far enough, otherwise from the log. */
  #read(
    collection: Collection,
    watcher: Watcher,
    after: number,
    lagging: boolean,
    compacted: number,
  ): { events: ChangeEvent[]; upTo: number } {
    const { resource, ring, volatile } = collection;
    const oldest = volatile ? ring.floor : compacted;
    if (!lagging && after < oldest) {
      throw new CompactedError(
        `Cannot watch ${resource} after revision ${after}: history is kept from revision ${oldest}`,
        oldest,
      );
    }
    if (after >= ring.floor) {
      const events: ChangeEvent[] = [];
      for (const event of ring.after(after)) {
        if (events.length >= STEP_EVENTS) return { events, upTo: (events.at(-1) as ChangeEvent).revision };
        if (watcher.wants(event)) events.push(event);
      }
      return { events, upTo: this.#revisionOf(collection) };
    }
    if (lagging) {
      throw new WatcherTooSlowError(
        `Cannot go on watching ${resource} after revision ${after}: the reader is too slow, memory holds changes after ${ring.floor}`,
      );
    }
    const { namespace, name } = watcher;
    const found = this.#log.changes({ resource, after, upTo: this.revision, namespace, name });
    return { events: found.rows.map(eventOf), upTo: found.upTo };
  }
}

function eventOf(row: ChangeRow): ChangeEvent {
  const key = { namespace: row.namespace, name: row.name };
  return {
    revision: row.revision,
    key,
    object: new Entry(key, row.revision, row.bytes),
    deleted: row.deleted,
    previous: row.previousBytes && new Entry(key, row.previous, row.previousBytes),
  };
}
