import type { Clock } from "@skerry/base";
import type { WatchEvent, WatchOptions } from "@skerry/client";
import { CompactedError, expired, WatcherTooSlowError, type Encoded } from "@skerry/machinery";
import type { StorageEvent, StorageWatch } from "../storage.ts";
import { resourceName, type Core } from "./core.ts";
import { FromBytes, withRevision } from "./encoding.ts";
import type { KindRow } from "./kind-row.ts";
import { selected } from "./list.ts";
import { newestRevision, parseRevision, waitForRevision } from "./revisions.ts";
import { filterOf, type Filter } from "./selection.ts";

/** How often a quiet watch tells its revision, so that it can be resumed from there, in milliseconds. */
const BOOKMARK_MS = 60_000;

/**
 * Yields the changes of the selected objects in the order of their revisions; an object that stops to match is DELETED for this
 * watcher, one that starts to is ADDED. Source: Kubernetes API concepts, "Efficient detection of changes"; KEP-956, KEP-3157.
 */
export async function* watchObjects(
  core: Core,
  row: KindRow,
  options: WatchOptions & { allowBookmarks?: boolean },
): AsyncGenerator<WatchEvent> {
  const { signal } = options;
  if (signal.aborted) return;
  const filter = filterOf(row, options);
  let since = parseRevision(options.resourceVersion);
  try {
    if (since !== undefined) await waitForRevision(core, row, since, signal);
    if (options.sendInitialEvents === true || (options.sendInitialEvents === undefined && since === undefined)) {
      const { revision, items } = selected(core, row, options);
      since = revision;
      for (const object of items) yield { type: "ADDED", object };
      if (options.sendInitialEvents && options.allowBookmarks !== false) {
        yield { type: "BOOKMARK", revision: String(revision), initialEventsEnd: true };
      }
    }
    since ??= newestRevision(core, row);
    await using live = new LiveChanges(core, row, filter, since, options);
    for (let event = await live.next(); event; event = await live.next()) yield event;
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof CompactedError)
      throw expired(`too old resource version: ${since} (${newestRevision(core, row)})`);
    if (error instanceof WatcherTooSlowError)
      throw expired("The watch was too slow to follow and was dropped; list again");
    throw error;
  }
}

/** The changes after a revision that a filter lets through, and bookmarks. A class, for each generator that an event passes costs every watcher. */
class LiveChanges implements AsyncDisposable {
  readonly #core: Core;
  readonly #filter: Filter;
  readonly #signal: AbortSignal;
  // A reader that stops in the middle must not wait for the next change.
  readonly #stop = new AbortController();
  readonly #onAbort = (): void => this.#stop.abort();
  readonly #source: StorageWatch;
  readonly #reader: TimedReader<StorageEvent>;
  /** The newest revision that the reader knows of. */
  #told: number;

  constructor(
    core: Core,
    row: KindRow,
    filter: Filter,
    since: number,
    { signal, allowBookmarks }: { signal: AbortSignal; allowBookmarks?: boolean },
  ) {
    this.#core = core;
    this.#filter = filter;
    this.#signal = signal;
    this.#told = since;
    const { namespace, name } = filter;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    this.#source = core.storage.watch(resourceName(row), {
      since,
      signal: this.#stop.signal,
      ...(namespace !== undefined && { namespace }),
      ...(name !== undefined && { name }),
    });
    this.#reader = new TimedReader(this.#source, core.clock, allowBookmarks ? BOOKMARK_MS : undefined);
  }

  /** The next event; undefined when there are no more. */
  async next(): Promise<WatchEvent | undefined> {
    for (;;) {
      const next = await this.#reader.next();
      if (next === "done") return undefined;
      if (next === "tick") {
        const { revision } = this.#source;
        if (revision <= this.#told) continue;
        this.#told = revision;
        return { type: "BOOKMARK", revision: String(revision), initialEventsEnd: false };
      }
      const event = eventOf(this.#core, next, this.#filter);
      if (!event) continue;
      this.#told = next.revision;
      return event;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#stop.abort();
    await this.#reader[Symbol.asyncDispose]();
  }
}

function eventOf(core: Core, change: StorageEvent, filter: Filter): WatchEvent | undefined {
  const { object, previous, deleted } = change;
  if (filter.all) return { type: deleted ? "DELETED" : previous ? "MODIFIED" : "ADDED", object };
  const matched = previous !== undefined && filter.matches(previous);
  if (deleted) return matched || (!previous && filter.matches(object)) ? { type: "DELETED", object } : undefined;
  const matches = filter.matches(object);
  if (matches) return { type: matched ? "MODIFIED" : "ADDED", object };
  return matched ? { type: "DELETED", object: departed(core, change, previous) } : undefined;
}

/** An object as it was when it last matched, with the revision at which it stopped to. One encoding for all who watch. */
function departed(core: Core, { revision, object }: StorageEvent, previous: Encoded): Encoded {
  let known = core.departed.get(object);
  if (!known) {
    known = new FromBytes(previous.key, revision, withRevision(previous, revision));
    core.departed.set(object, known);
  }
  return known;
}

/** Reads from an iterator, and is told when time has passed besides. One promise of the iterator is open at a time, however long it is quiet. */
class TimedReader<T> implements AsyncDisposable {
  readonly #iterator: AsyncIterator<T>;
  readonly #clock: Clock;
  readonly #everyMs: number | undefined;
  #cancel: (() => void) | undefined;
  #isAsked = false;
  #hasTicked = false;
  /** What came while nobody waited. */
  #outcome: { value: T | "done" } | { error: unknown } | undefined;
  #waiting: PromiseWithResolvers<T | "done" | "tick"> | undefined;

  constructor(source: AsyncIterable<T>, clock: Clock, everyMs: number | undefined) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#arm();
  }

  /** `tick`: another `everyMs` is over. */
  next(): Promise<T | "done" | "tick"> {
    if (this.#hasTicked) {
      this.#hasTicked = false;
      return Promise.resolve("tick");
    }
    const waiting = Promise.withResolvers<T | "done" | "tick">();
    this.#waiting = waiting;
    const outcome = this.#outcome;
    this.#outcome = undefined;
    if (outcome) this.#settle(outcome);
    else if (!this.#isAsked) {
      this.#isAsked = true;
      this.#iterator.next().then(
        (result) => this.#settle({ value: result.done ? "done" : result.value }),
        (error: unknown) => this.#settle({ error }),
      );
    }
    return waiting.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel?.();
    await this.#iterator.return?.();
  }

  #settle(outcome: { value: T | "done" } | { error: unknown }): void {
    this.#isAsked = false;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (!waiting) this.#outcome = outcome;
    else if ("error" in outcome) waiting.reject(outcome.error);
    else waiting.resolve(outcome.value);
  }

  #arm(): void {
    if (this.#everyMs === undefined) return;
    this.#cancel = this.#clock.after(this.#everyMs, () => {
      this.#arm();
      if (this.#waiting) this.#waiting.resolve("tick");
      else this.#hasTicked = true;
      this.#waiting = undefined;
    });
  }
}
