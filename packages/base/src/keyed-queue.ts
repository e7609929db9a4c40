import { systemClock, type Clock } from "./clock.ts";

/** What a run of the work says about its key: nothing more to do, or look again after a while. */
export interface Requeue {
  requeueAfterMs?: number;
}

export interface KeyedQueueOptions {
  /** Does the work of one key. A throw is tried again after a growing wait, unless `isTerminal` says that this cannot help. */
  run: (key: string, signal: AbortSignal) => Promise<Requeue | void>;
  /** How many keys are worked on at once. */
  workers?: number;
  clock?: Clock;
  /** A source of uniform numbers in [0, 1), for the jitter of retries. */
  random?: () => number;
  /** The first and the longest wait before a failed key is tried again, in milliseconds. */
  retry?: { initialMs: number; maxMs: number };
  isTerminal?: (error: unknown) => boolean;
  /** Told of each failure; `failures` counts those in a row, this one included. */
  onError?: (key: string, error: unknown, failures: number) => void;
}

/**
 * A work queue of keys, where a key that is added again while it waits is still one, and a key is never worked on twice at
 * once: added meanwhile, it runs once more afterwards. Bounded by the number of distinct keys.
 */
export class KeyedQueue implements AsyncDisposable {
  readonly #run: KeyedQueueOptions["run"];
  readonly #workers: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #retry: { initialMs: number; maxMs: number };
  readonly #isTerminal: (error: unknown) => boolean;
  readonly #onError: NonNullable<KeyedQueueOptions["onError"]>;
  readonly #stop = new AbortController();

  /** Ready to run, in order of arrival. */
  readonly #ready = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  /** Added while running: to run once more. */
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, { at: number; cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  #started = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: KeyedQueueOptions) {
    this.#run = options.run;
    this.#workers = options.workers ?? 1;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#retry = options.retry ?? { initialMs: 10, maxMs: 60_000 };
    this.#isTerminal = options.isTerminal ?? (() => false);
    this.#onError = options.onError ?? (() => {});
  }

  /** Begins to work. Keys added before wait until now. */
  start(): void {
    this.#started = true;
    this.#pump();
  }

  /** Wants the key worked on, as soon as there is a worker. A wait set by `addAfter` or a failure ends. */
  add(key: string): void {
    if (this.#stop.signal.aborted) return;
    this.#cancelDelay(key);
    if (this.#running.has(key)) this.#again.add(key);
    else this.#ready.add(key);
    this.#pump();
  }

  /** Wants the key worked on after `ms`, or sooner when it already waits for an earlier time. */
  addAfter(key: string, ms: number): void {
    if (this.#stop.signal.aborted) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.monotonic() + ms;
    const waiting = this.#delayed.get(key);
    if (waiting && waiting.at <= at) return;
    waiting?.cancel();
    const cancel = this.#clock.after(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { at, cancel });
  }

  /** Drops what is known of a key that no longer exists: its wait and its count of failures. */
  forget(key: string): void {
    this.#cancelDelay(key);
    this.#failures.delete(key);
  }

  /** How many keys wait for a worker now; those that wait for a time do not count. */
  get depth(): number {
    return this.#ready.size + this.#again.size;
  }

  /** Resolves when nothing is ready and nothing runs; keys that wait for a time do not count. */
  idle(): Promise<void> {
    if (this.#ready.size === 0 && this.#running.size === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }

  /** Aborts what runs, drops what waits, and resolves when the last run has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The queue is closed"));
    this.#ready.clear();
    this.#again.clear();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    await Promise.all(this.#running.values());
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }

  #pump(): void {
    if (!this.#started) return;
    for (const key of this.#ready) {
      if (this.#running.size >= this.#workers) return;
      this.#ready.delete(key);
      this.#running.set(key, this.#work(key));
    }
    if (this.#running.size === 0) {
      this.#idle?.resolve();
      this.#idle = undefined;
    }
  }

  async #work(key: string): Promise<void> {
    // The caller of add() never runs the work itself: what it is in the middle of comes first.
    await Promise.resolve();
    try {
      const result = await this.#run(key, this.#stop.signal);
      this.#failures.delete(key);
      if (result?.requeueAfterMs !== undefined) this.addAfter(key, result.requeueAfterMs);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failed(key, error);
    } finally {
      this.#running.delete(key);
      if (this.#again.delete(key)) this.#ready.add(key);
      this.#pump();
    }
  }

  #failed(key: string, error: unknown): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.#onError(key, error, failures);
    if (this.#isTerminal(error)) return;
    const wait = Math.min(this.#retry.maxMs, this.#retry.initialMs * 2 ** (failures - 1));
    // Half fixed, half random: failures of many keys at once do not come back at once.
    this.addAfter(key, wait * (0.5 + this.#random() / 2));
  }
}
