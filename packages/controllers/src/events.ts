import { createHash } from "node:crypto";
import { KeyedQueue, silentLogger, systemClock, timestamp, type Clock, type Logger } from "@skerry/base";
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
}

/** How many different events are remembered, so that a repeat becomes a count; the one not seen longest is forgotten. */
const MAX_SERIES = 2_000;

/**
 * Tells users what happened, as Event objects. The same thing happening again raises a count instead of making a new object.
 * Never in the way of the work: recording returns at once, repeats coalesce, and a failed write is tried a few times and given up.
 */
export class EventRecorder implements AsyncDisposable {
  readonly #client: Client;
  readonly #component: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #series = new Map<string, Series>();
  readonly #queue: KeyedQueue;
  #serial = 0;

  constructor(options: { client: Client; component: string; clock?: Clock; log?: Logger }) {
    this.#client = options.client;
    this.#component = options.component;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#queue = new KeyedQueue({
      clock: this.#clock,
      workers: 2,
      retry: { initialMs: 500, maxMs: 30_000 },
      run: (key, signal) => this.#write(key, signal),
      onError: (key, error, failures) => {
        if (failures < 6) return;
        this.#log.debug({ err: error }, "giving up on an event");
        this.#queue.forget(key);
      },
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
      this.#series.set(key, { reference, type, reason, message, count: 1, written: 0, first: now, last: now, name });
      for (const [oldest] of this.#series) {
        if (this.#series.size <= MAX_SERIES) break;
        this.#series.delete(oldest);
      }
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
    return `${name.slice(0, 232)}.${nanoseconds.toString(16).padStart(16, "0")}${hash}`;
  }

  /** Resolves when everything recorded has been written or given up. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]();
  }

  async #write(key: string, signal: AbortSignal): Promise<void> {
    const series = this.#series.get(key);
    if (!series || series.written === series.count) return;
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
    } catch (error) {
      if (isNotFound(error) && series.written > 0) {
        series.written = 0; // it expired meanwhile: begin anew
        throw error;
      }
      // A namespace that goes away takes no events, and one that exists already was written by the try before.
      if (isAlreadyExists(error)) series.written = 1;
      else if (isNotFound(error) || statusOf(error)?.reason === "Forbidden") series.written = count;
      else throw error;
    }
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
