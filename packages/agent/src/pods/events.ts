import { createHash } from "node:crypto";
import type { Clock, Logger } from "@skerry/base";
import type { Event } from "@skerry/machinery/types";
import type { Message } from "@skerry/wire";
import { apiTime } from "./status.ts";

/** What an event is about. */
export interface EventObject {
  kind: "Pod" | "Node";
  namespace: string;
  name: string;
  uid: string;
}

export interface EventText {
  type: "Normal" | "Warning";
  /** One word, in upper camel case, that programs act on. */
  reason: string;
  message: string;
  /** The container that it is about. */
  container?: string | undefined;
}

export interface EventRecorderOptions {
  clock: Clock;
  log: Logger;
  nodeName: string;
  /** Queues a message for the cloud in place of one that still waits under the same slot. */
  send: (message: Message, slot: string) => Promise<void>;
  /** Tells this life of the agent from others, so that ids never repeat. */
  lifeId: string;
}

/** How many different events are counted up; the least recent are forgotten and begin anew. */
const MAX_SERIES = 500;
/** An object may say this much at once, and then one thing every five minutes: what fails in a loop must not fill the link. */
const BURST = 25;
const REFILL_MS = 300_000;
/** How long an event is worth delivering. The cloud keeps it for an hour once it has it. */
const TTL_MS = 24 * 3_600_000;

interface Series {
  name: string;
  count: number;
  firstMs: number;
}

/** Makes Kubernetes Events of what happens here. The same event again counts up the one before instead of making another. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  readonly #tokens = new Map<string, { tokens: number; at: number }>();
  #serial = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Records an event. Never throws and needs no waiting for: an event that is lost is only that. */
  record(object: EventObject, text: EventText): void {
    if (!this.#takeToken(object.uid)) return;
    const { clock, log, send, lifeId } = this.#options;
    const event = this.#event(object, text, clock.now());
    const id = `${event.metadata.name ?? ""}.${lifeId}.${this.#serial++}`;
    const bytes = Buffer.from(JSON.stringify(event));
    const slot = `${object.namespace}/${event.metadata.name ?? ""}`;
    send({ id: shortId(id), topic: "events", ttlMs: TTL_MS, bytes }, slot).catch((error: unknown) => {
      log.warn({ err: error, reason: text.reason, object }, "cannot keep an event for the cloud");
    });
  }

  #event(object: EventObject, { type, reason, message, container }: EventText, nowMs: number): Event {
    const { nodeName } = this.#options;
    const series = this.#count(`${object.uid}\0${type}\0${reason}\0${container ?? ""}\0${message}`, object, nowMs);
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: series.name, namespace: object.namespace === "" ? "default" : object.namespace },
      involvedObject: {
        apiVersion: "v1",
        kind: object.kind,
        ...(object.namespace !== "" && { namespace: object.namespace }),
        name: object.name,
        uid: object.uid,
        ...(container !== undefined && { fieldPath: `spec.containers{${container}}` }),
      },
      type,
      reason,
      message: message.slice(0, 1024), // the API's bound
      source: { component: "kubelet", host: nodeName },
      firstTimestamp: apiTime(series.firstMs),
      lastTimestamp: apiTime(nowMs),
      count: series.count,
      reportingComponent: "kubelet",
      reportingInstance: nodeName,
    };
  }

  #count(key: string, object: EventObject, nowMs: number): Series {
    const known = this.#series.get(key);
    const series = known
      ? { ...known, count: known.count + 1 }
      : { name: eventName(object.name, key, nowMs, this.#serial), count: 1, firstMs: nowMs };
    this.#series.delete(key);
    this.#series.set(key, series);
    const [oldest] = this.#series.keys();
    if (this.#series.size > MAX_SERIES && oldest !== undefined) this.#series.delete(oldest);
    return series;
  }

  #takeToken(uid: string): boolean {
    const now = this.#options.clock.monotonic();
    const bucket = this.#tokens.get(uid) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL_MS);
    if (tokens < 1) return false;
    this.#tokens.delete(uid);
    this.#tokens.set(uid, { tokens: tokens - 1, at: now });
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size > MAX_SERIES && oldest !== undefined) this.#tokens.delete(oldest);
    return true;
  }
}

/**
 * `pod.`, sixteen hex digits of the time in nanoseconds, and four of what it is about. Times of events are whole seconds: clients that sort by them
 * leave what has the same one in the order of names, which so is the order in which things happened.
 */
function eventName(objectName: string, key: string, nowMs: number, serial: number): string {
  const time = (BigInt(Math.trunc(nowMs)) * 1_000_000n + BigInt(serial % 1_000_000)).toString(16).padStart(16, "0");
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 4);
  return `${objectName.slice(0, 232)}.${time}${hash}`;
}

/** An id within the link's bound of 128 bytes. */
const shortId = (id: string): string =>
  Buffer.byteLength(id) <= 128 ? id : createHash("sha256").update(id).digest("base64url");
