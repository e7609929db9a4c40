import { createHash } from "node:crypto";
import { KeyedQueue, silentLogger, systemClock, timestamp, type Clock, type Logger, type Requeue } from "@skerry/base";
import type { Client } from "@skerry/client";
import {
  apiVersionOf,
  isAlreadyExists,
  isNotFound,
  kinds,
  statusOf,
  type Kind,
  type KubeObject,
} from "@skerry/machinery";
import type { Event, ObjectReference } from "@skerry/machinery/types";

/** What an event is about, from the object's kind and metadata. */
export function referenceTo(kind: Kind, object: KubeObject): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    ...(name !== undefined && { name }),
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

interface Series {
  reference: ObjectReference;
  type: "Normal" | "Warning";
  reason: string;
  message: string;
  /** How often it happened, and how often the API knows that it did. */
  count: number;
  written: number;
  first: string;
  last: string;
  name: string;
  /** How many tries to write it have failed in a row. */
  failures: number;
}

/** How often an event is tried to be written. */
const MAX_TRIES = 6;
/** How many events one object may have written at once, and after how long it may one more, in milliseconds: a loop that fails tells no more than that. */
const BURST = 25;
const REFILL_MS = 300_000;

/** How many different events are remembered, so that a repeat becomes a count; the one not seen longest is forgotten. */
const MAX_SERIES = 2_000;

export interface EventRecorderOptions {
  client: Client;
  /** Who tells, as `kubectl get events` shows it: `default-scheduler`. */
  component: string;
  clock?: Clock;
  /** A source of uniform numbers in [0, 1), for the jitter of retries. */
  random?: () => number;
  log?: Logger;
}

/**
 * Tells users what happened, as Event objects. The same thing happening again raises a count instead of making a new object.
 * Never in the way of the work: recording returns at once, repeats coalesce, a failed write is tried a few times and given up, and what one object has
 * written is bounded: of more, counts are written later, and what is new is dropped.
 */
export class EventRecorder implements AsyncDisposable {
  readonly #client: Client;
  readonly #component: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #series = new Map<string, Series>();
  /** How much of its burst each object has left, and when that was so. As many objects as there are series. */
  readonly #allowances = new Map<string, { left: number; at: number }>();
  readonly #queue: KeyedQueue;
  #serial = 0;

  constructor(options: EventRecorderOptions) {
    this.#client = options.client;
    this.#component = options.component;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#queue = new KeyedQueue({
      clock: this.#clock,
      workers: 2,
      retry: { initialMs: 500, maxMs: 30_000 },
      run: (key, signal) => this.#write(key, signal),
      isTerminal: (error) => error instanceof GivenUpError,
      onError: (key, error) => {
        if (error instanceof GivenUpError) this.#queue.forget(key);
      },
      ...(options.random && { random: options.random }),
    });
    this.#queue.start();
  }

  record(reference: ObjectReference, type: "Normal" | "Warning", reason: string, message: string): void {
    const key = createHash("sha256")
      .update([reference.kind, reference.namespace, reference.name, reference.uid, type, reason, message].join("\0"))
      .digest("base64url");
    const now = timestamp(this.#clock.now());
    const series = this.#series.get(key);
    if (series) {
      series.count += 1;
      series.last = now;
      this.#series.delete(key);
      this.#series.set(key, series);
    } else {
      const name = this.#nameOf(reference, key);
      this.#series.set(key, {
        reference,
        type,
        reason,
        message,
        count: 1,
        written: 0,
        first: now,
        last: now,
        name,
        failures: 0,
      });
      forgetOldest(this.#series);
    }
    this.#queue.add(key);
  }

  /**
   * The object's name, sixteen hex digits of the time in nanoseconds, and four of what happened. Times of events are whole seconds: clients that
   * sort by them leave what has the same one in the order of names, which so is the order in which things happened.
   */
  #nameOf({ name = "" }: ObjectReference, key: string): string {
    const nanoseconds = BigInt(Math.trunc(this.#clock.now())) * 1_000_000n + BigInt(this.#serial++ % 1_000_000);
    const hash = createHash("sha256").update(key).digest("hex").slice(0, 4);
    // Names of some kinds, roles for one, have letters that an event's name may not have.
    const stem = name.toLowerCase().replaceAll(/[^a-z0-9.-]/g, "-");
    return `${stem.slice(0, 232)}.${nanoseconds.toString(16).padStart(16, "0")}${hash}`;
  }

  /** Resolves when everything recorded has been written or given up. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]();
  }

  async #write(key: string, signal: AbortSignal): Promise<Requeue | void> {
    const series = this.#series.get(key);
    if (!series || series.written === series.count) return;
    const waitMs = series.failures > 0 ? 0 : this.#takeAllowance(series.reference);
    if (waitMs > 0) {
      if (series.written > 0) return { requeueAfterMs: waitMs };
      this.#series.delete(key);
      this.#log.debug({ object: series.reference.name, reason: series.reason }, "too many events of one object");
      return;
    }
    const { count, last, name, reference } = series;
    const namespace = reference.namespace || "default";
    try {
      if (series.written > 0) {
        const body = { count, lastTimestamp: last };
        await this.#client.patch(kinds.Event, { namespace, name }, { type: "merge-patch+json", body }, { signal });
      } else {
        await this.#client.create(kinds.Event, this.#event(series, namespace), { signal });
      }
      series.written = count;
      series.failures = 0;
    } catch (error) {
      signal.throwIfAborted();
      series.failures += 1;
      if (isNotFound(error) && series.written > 0) {
        series.written = 0; // it expired meanwhile: begin anew
        throw error;
      }
      // A namespace that goes away takes no events, and one that exists already was written by the try before.
      if (isAlreadyExists(error)) series.written = 1;
      else if (isNotFound(error) || statusOf(error)?.reason === "Forbidden") series.written = count;
      else if (series.failures < MAX_TRIES && statusOf(error)?.reason !== "Invalid") throw error;
      else {
        this.#log.debug({ object: reference.name, reason: series.reason, err: error }, "giving up on an event");
        this.#series.delete(key);
        throw new GivenUpError("The event was not written", { cause: error });
      }
    }
  }

  /** Takes one from what an object may have written; returns how long to wait for it, in milliseconds. */
  #takeAllowance({ kind, namespace, name, uid }: ObjectReference): number {
    const id = [kind, namespace, name, uid].join("/");
    const now = this.#clock.monotonic();
    const before = this.#allowances.get(id) ?? { left: BURST, at: now };
    const left = Math.min(BURST, before.left + (now - before.at) / REFILL_MS);
    this.#allowances.delete(id);
    this.#allowances.set(id, { left: left >= 1 ? left - 1 : left, at: now });
    forgetOldest(this.#allowances);
    return left >= 1 ? 0 : Math.ceil((1 - left) * REFILL_MS);
  }

  #event({ reference, type, reason, message, count, first, last, name }: Series, namespace: string): Event {
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace },
      involvedObject: reference,
      type,
      reason,
      message: message.length > 1024 ? `${message.slice(0, 1021)}...` : message,
      source: { component: this.#component },
      reportingComponent: this.#component,
      reportingInstance: "",
      firstTimestamp: first,
      lastTimestamp: last,
      count,
    };
  }
}

class GivenUpError extends Error {
  override name = "GivenUpError";
}

/** Maps keep the order in which keys were set, so the first is the one not seen longest. */
function forgetOldest(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    if (map.size <= MAX_SERIES) return;
    map.delete(oldest);
  }
}
