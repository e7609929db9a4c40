import { silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import { resourceOf, RevisionMismatchError, type Encoded } from "@skerry/machinery";
import { kindRows } from "../kinds/rows.ts";
import type { Storage } from "../storage.ts";
import { withRevision } from "./encoding.ts";
import type { KindRow } from "./kind-row.ts";

export interface ExpiryOptions {
  storage: Storage;
  rows?: readonly KindRow[];
  clock?: Clock;
  log?: Logger;
}

const SWEEP_MS = 60_000;
/** How many deletions are on their way at once. */
const WIDTH = 100;

/** What the newest revision was at a time. */
interface Sample {
  atMs: number;
  revision: number;
}

/**
 * Removes objects of kinds with a time to live (events) that were not written for so long. Revisions grow with time, so one note of
 * the newest revision each minute tells the age of everything, and nothing is decoded. Time spent stopped doesn't count.
 */
export class Expiry implements AsyncDisposable {
  readonly #storage: Storage;
  readonly #rows: readonly KindRow[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #samples: Sample[] = [];
  #running: Promise<void> | undefined;

  constructor(options: ExpiryOptions) {
    this.#storage = options.storage;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#rows = (options.rows ?? kindRows(() => this.#clock.now())).filter(({ ttlMs }) => ttlMs !== undefined);
  }

  start(): void {
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.sweep();
      } catch (error) {
        // The next round finds the same objects.
        this.#log.warn({ err: error }, "removing expired objects failed");
      }
      await this.#clock.sleep(SWEEP_MS, signal).catch(() => undefined);
    }
  }

  /** One round: notes the revision, and removes what is too old by now. */
  async sweep(): Promise<void> {
    const now = this.#clock.monotonic();
    this.#samples.push({ atMs: now, revision: this.#storage.revision });
    const longest = Math.max(0, ...this.#rows.map(({ ttlMs }) => ttlMs ?? 0));
    while ((this.#samples[1]?.atMs ?? Infinity) <= now - longest) this.#samples.shift();
    for (const row of this.#rows) {
      const limit = this.#samples.findLast(({ atMs }) => atMs <= now - (row.ttlMs ?? Infinity));
      if (limit) await this.#remove(resourceOf(row.kind), limit.revision);
    }
  }

  async #remove(resource: string, upTo: number): Promise<void> {
    const expired = this.#storage.list(resource).items.filter(({ revision }) => Number(revision) <= upTo);
    for (let i = 0; i < expired.length && !this.#stop.signal.aborted; i += WIDTH) {
      // One that was written meanwhile is alive again; failures of the storage are told by the round.
      await Promise.all(expired.slice(i, i + WIDTH).map((object) => this.#delete(resource, object)));
    }
  }

  async #delete(resource: string, object: Encoded): Promise<void> {
    try {
      await this.#storage.write({
        resource,
        key: object.key,
        expect: Number(object.revision),
        encode: (revision) => withRevision(object, revision),
        delete: true,
      });
    } catch (error) {
      // It was written meanwhile, and so is alive again.
      if (!(error instanceof RevisionMismatchError)) throw error;
    }
  }
}
