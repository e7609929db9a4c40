import { Deque } from "./deque.ts";
import type { ChangeEvent, Watch, WatchOptions } from "./port.ts";

/** Where a watcher reads changes that it was not told of when they happened. */
export interface WatchSource {
  /** Everything that is published of the resource lies at or below this revision. */
  revision(): number;
  /**
   * Changes after a revision, as many as one step may cost, and how far that step looked. `lagging` readers get what memory
   * holds and no more. Throws `CompactedError` or `WatcherTooSlowError`.
   */
  read(watcher: Watcher, after: number, lagging: boolean): { events: ChangeEvent[]; upTo: number };
  /** From now on `offer` is called with each change that concerns the watcher, as it is published. */
  join(watcher: Watcher): void;
  leave(watcher: Watcher): void;
}

/** Changes that may wait for a reader before it has to fetch them from the history itself. */
const BUFFER_EVENTS = 1000;

/**
 * One watch of one resource. It catches up from the history step by step, pulled by its reader and holding nothing;
 * when a step finds no more, it joins the live changes in the same turn of the event loop, so that none can fall
 * between. A reader that lets its live buffer fill up loses the buffer and catches up again from its place, and fails only
 * when history in memory no longer reaches there: a slow reader costs a number, not memory.
 */
export class Watcher implements Watch, AsyncIterator<ChangeEvent> {
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly #source: WatchSource;
  readonly #since: number;
  readonly #signal: AbortSignal;
  readonly #onClose: () => void;
  readonly #buffer = new Deque<ChangeEvent>();
  #mode: "behind" | "live" | "closed" = "behind";
  /** It was live and fell behind. */
  #lagging = false;
  /** Looked at up to here; the buffer holds what of it was not handed over yet. */
  #cursor: number;
  /** The newest revision handed over. */
  #handed: number;
  #waiting: PromiseWithResolvers<IteratorResult<ChangeEvent>> | undefined;

  constructor(source: WatchSource, { since, namespace, name, signal }: WatchOptions, onClose: () => void) {
    this.#source = source;
    this.#onClose = onClose;
    this.#since = since;
    this.#cursor = since;
    this.#handed = since;
    this.namespace = namespace;
    this.name = name;
    this.#signal = signal;
    if (signal.aborted) this.#mode = "closed";
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get revision(): number {
    if (this.#buffer.length > 0) return this.#handed;
    return Math.max(this.#handed, this.#mode === "live" ? this.#source.revision() : this.#cursor);
  }

  wants({ key }: Pick<ChangeEvent, "key">): boolean {
    return (
      (this.name === undefined || key.name === this.name) &&
      (this.namespace === undefined || key.namespace === this.namespace)
    );
  }

  /** Takes a change that was just published and that this watcher `wants`. */
  offer(event: ChangeEvent): void {
    if (event.revision <= this.#since) return;
    if (this.#waiting) {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting.resolve(this.#hand(event));
    } else if (this.#buffer.length < BUFFER_EVENTS) {
      this.#buffer.push(event);
    } else {
      this.#source.leave(this);
      this.#buffer.clear();
      this.#mode = "behind";
      this.#lagging = true;
      this.#cursor = this.#handed;
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<ChangeEvent> {
    return this;
  }

  next(): Promise<IteratorResult<ChangeEvent>> {
    const event = this.#buffer.shift();
    if (event) return Promise.resolve(this.#hand(event));
    if (this.#waiting) return Promise.reject(new Error("Cannot read a watch twice at once"));
    if (this.#mode === "live") {
      this.#waiting = Promise.withResolvers();
      return this.#waiting.promise;
    }
    return this.#mode === "closed" ? Promise.resolve({ done: true, value: undefined }) : this.#catchUp();
  }

  return(): Promise<IteratorResult<ChangeEvent>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends the watch for its reader, without error. */
  close(): void {
    if (this.#mode === "closed") return;
    if (this.#mode === "live") this.#source.leave(this);
    this.#mode = "closed";
    this.#buffer.clear();
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
    this.#onClose();
  }

  readonly #onAbort = (): void => this.close();

  #hand(event: ChangeEvent): IteratorResult<ChangeEvent> {
    this.#handed = event.revision;
    return { done: false, value: event };
  }

  async #catchUp(): Promise<IteratorResult<ChangeEvent>> {
    try {
      // A method call, because the mode changes under the loop's eyes: others close the watch while it gives way.
      while (!this.#isClosed()) {
        const { events, upTo } = this.#source.read(this, this.#cursor, this.#lagging);
        this.#cursor = Math.max(this.#cursor, upTo);
        for (const event of events) this.#buffer.push(event);
        const first = this.#buffer.shift();
        if (first) return this.#hand(first);
        if (this.#cursor >= this.#source.revision()) {
          this.#mode = "live";
          this.#lagging = false;
          this.#source.join(this);
          return await this.next();
        }
        // Steps that find nothing for this watcher must not hold up everybody else.
        await new Promise(setImmediate);
      }
      return { done: true, value: undefined };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #isClosed(): boolean {
    return this.#mode === "closed";
  }
}
