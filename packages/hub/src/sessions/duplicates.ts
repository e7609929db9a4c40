import { createHash } from "node:crypto";
import { KeyedQueue, type Clock, type Logger } from "@skerry/base";
import type { Client } from "@skerry/client";
import { isAlreadyExists, isConflict, isNotFound, kinds } from "@skerry/machinery";
import type { Event, Node, NodeCondition } from "@skerry/machinery/types";
import { mergeConditions } from "../sync/conditions.ts";

/** The Node condition that says that two devices use one identity. */
const CONDITION = "DuplicateIdentity";
/** Without another sign of it for this long the condition is taken back. */
const CLEAR_AFTER_MS = 10 * 60_000;

const MESSAGE =
  "Two devices are using this node's certificate, probably because a disk or SD card was copied. " +
  "Remove the instance on one of them (./skerry down -v) and join it under a name of its own (--node-name)";

/** Tells users on the Node, by a condition and an Event, that its identity is used twice. */
export class Duplicates implements AsyncDisposable {
  readonly #client: Client;
  readonly #clock: Clock;
  /** When each node was last seen twice, in monotonic milliseconds. */
  readonly #seen = new Map<string, number>();
  readonly #queue: KeyedQueue;

  constructor({ client, clock, random, log }: { client: Client; clock: Clock; random: () => number; log: Logger }) {
    this.#client = client;
    this.#clock = clock;
    this.#queue = new KeyedQueue({
      clock,
      random,
      run: (node, signal) => this.#run(node, signal),
      onError: (node, err) => log.warn({ node, err }, "duplicate identity could not be reported"),
    });
  }

  start(): void {
    this.#queue.start();
  }

  report(node: string): void {
    this.#seen.set(node, this.#clock.monotonic());
    this.#queue.add(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]();
  }

  async #run(name: string, signal: AbortSignal): Promise<{ requeueAfterMs?: number } | void> {
    const seen = this.#seen.get(name);
    if (seen === undefined) return;
    const left = seen + CLEAR_AFTER_MS - this.#clock.monotonic();
    try {
      const node = (await this.#client.get<Node>(kinds.Node, { namespace: "", name }, { signal })).decode();
      await this.#setCondition(node, left > 0, signal);
      if (left > 0) await this.#tell(node, signal);
    } catch (error) {
      if (isConflict(error)) return { requeueAfterMs: 100 };
      if (!isNotFound(error)) throw error;
      this.#seen.delete(name);
      return;
    }
    if (left > 0) return { requeueAfterMs: left };
    this.#seen.delete(name);
  }

  async #setCondition(node: Node, isTrue: boolean, signal: AbortSignal): Promise<void> {
    const status = isTrue ? "True" : "False";
    const current = node.status?.conditions?.find(({ type }) => type === CONDITION);
    if (current ? current.status === status : !isTrue) return;
    const now = this.#now();
    const condition: NodeCondition = {
      type: CONDITION,
      status,
      reason: isTrue ? "TwoDevices" : "OneDevice",
      message: isTrue ? MESSAGE : "",
      lastHeartbeatTime: now,
      lastTransitionTime: now,
    };
    const conditions = mergeConditions(node.status?.conditions, [condition]);
    const changed: Node = { ...node, status: { ...node.status, conditions } };
    await this.#client.update<Node>(kinds.Node, changed, { subresource: "status", fieldManager: "skerry-hub", signal });
  }

  async #tell(node: Node, signal: AbortSignal): Promise<void> {
    const { name = "", uid = "" } = node.metadata;
    const hash = createHash("sha256").update(`${uid}\0${CONDITION}`).digest("hex").slice(0, 16);
    const now = this.#now();
    const event: Event = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name}.${hash}`, namespace: "default" },
      involvedObject: { apiVersion: "v1", kind: "Node", name, uid },
      type: "Warning",
      reason: CONDITION,
      message: MESSAGE,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      source: { component: "skerry-hub" },
      reportingComponent: "skerry-hub",
      reportingInstance: "",
    };
    try {
      await this.#client.create<Event>(kinds.Event, event, { signal });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
  }
}
