import type { Clock } from "@skerry/base";
import type { WatchEvent, WatchOptions } from "@skerry/client";
import { CompactedError, expired, WatcherTooSlowError, type Encoded } from "@skerry/machinery";
import type { StorageEvent } from "../storage.ts";
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
    yield* changes(core, row, filter, since, options);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof CompactedError)
      throw expired(`too old resource version: ${since} (${newestRevision(core, row)})`);
    if (error instanceof WatcherTooSlowError)
      throw expired("The watch was too slow to follow and was dropped; list again");
    throw error;
  }
}

async function* changes(
  core: Core,
  row: KindRow,
  filter: Filter,
  since: number,
  options: { signal: AbortSignal; allowBookmarks?: boolean },
): AsyncGenerator<WatchEvent> {
  const { namespace, name } = filter;
  // A reader that stops in the middle must not wait for the next change.
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  options.signal.addEventListener("abort", onAbort, { once: true });
  const source = core.storage.watch(resourceName(row), {
    since,
    signal: stop.signal,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
  });
  const reader = new TimedReader(source, core.clock);
  let told = since;
  let bookmarkAt = options.allowBookmarks ? core.clock.monotonic() + BOOKMARK_MS : Infinity;
  try {
    for (;;) {
      const next = await reader.next(bookmarkAt - core.clock.monotonic());
      if (next === "done") return;
      const seen = next === "late" ? source.revision : next.revision;
      const event = next === "late" ? undefined : eventOf(core, next, filter);
      if (event) {
        told = seen;
        yield event;
      }
      if (core.clock.monotonic() < bookmarkAt) continue;
      bookmarkAt = core.clock.monotonic() + BOOKMARK_MS;
      if (seen > told) yield { type: "BOOKMARK", revision: String(seen), initialEventsEnd: false };
      told = seen;
    }
  } finally {
    options.signal.removeEventListener("abort", onAbort);
    stop.abort();
    await reader[Symbol.asyncDispose]();
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

/** Reads from an iterator, and doesn't wait longer than it is told. One promise is open at a time, however long it is quiet. */
class TimedReader<T> implements AsyncDisposable {
  readonly #iterator: AsyncIterator<T>;
  readonly #clock: Clock;
  #outcome: { value: T | "done" } | { error: unknown } | undefined;
  #asked = false;
  #wake: (() => void) | undefined;

  constructor(source: AsyncIterable<T>, clock: Clock) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#clock = clock;
  }

  /** `late`: nothing came for `waitMs`. */
  async next(waitMs: number): Promise<T | "done" | "late"> {
    if (!this.#asked) {
      this.#asked = true;
      this.#iterator.next().then(
        (result) => this.#settle({ value: result.done ? "done" : result.value }),
        (error: unknown) => this.#settle({ error }),
      );
    }
    if (!this.#outcome) {
      await new Promise<void>((resolve) => {
        const cancel = waitMs === Infinity ? undefined : this.#clock.after(waitMs, resolve);
        this.#wake = () => {
          cancel?.();
          resolve();
        };
      });
      this.#wake = undefined;
    }
    const outcome = this.#outcome;
    if (!outcome) return "late";
    this.#outcome = undefined;
    this.#asked = false;
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#wake?.();
    await this.#iterator.return?.();
  }

  #settle(outcome: { value: T | "done" } | { error: unknown }): void {
    this.#outcome = outcome;
    this.#wake?.();
  }
}
