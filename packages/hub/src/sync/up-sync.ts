import { backoff, type Clock, type Logger } from "@skerry/base";
import type { Client, Informer, Informers } from "@skerry/client";
import { isConflict, isNotFound, kinds, statusOf, type Encoded, type Kind, type KubeObject } from "@skerry/machinery";
import type { Node, Pod } from "@skerry/machinery/types";
import { AckTracker, MalformedFrameError, objectId, type Message, type Report } from "@skerry/wire";
import type { NodeIdentity } from "../identity.ts";
import type { BoundPods } from "./bound-pods.ts";
import { applyEventMessage, EVENTS_TOPIC } from "./event-message.ts";
import type { MessageRate } from "./message-rate.ts";
import { applyNodeReport } from "./node-report.ts";
import { applyPodReport } from "./pod-report.ts";
import { RefusedReportError } from "./report-error.ts";

export interface UpSyncOptions {
  client: Client;
  informers: Informers;
  bound: BoundPods;
  rate: MessageRate;
  identity: NodeIdentity;
  acknowledge: { reports: (seq: number) => void; messages: (seq: number) => void };
  refuse: (seq: number, reason: string) => void;
  clock: Clock;
  random: () => number;
  log: Logger;
  signal: AbortSignal;
}

/** An edge keeps to 64 on the way; one that sends more than this is not ours. */
const MAX_OPEN = 256;

/**
 * Brings what one edge says, over one session, into the API. Reports of different objects are written beside each other, those of one object in
 * their order and only the newest; messages strictly one after the other, at the rate that a node has. What is acknowledged the API has committed, or refused for good.
 * When the API does not answer, reports wait and the acknowledgement with them.
 */
export class UpSync {
  readonly #options: UpSyncOptions;
  readonly #nodes: Informer<Node>;
  readonly #pods: Informer<Pod>;
  readonly #reports = new AckTracker();
  readonly #messages = new AckTracker();
  /** The newest report of each object that waits for the one before it, with the numbers that it stands for. */
  readonly #waiting = new Map<string, { report: Report; seqs: number[] } | undefined>();
  #lastMessage: Promise<void> = Promise.resolve();

  constructor(options: UpSyncOptions) {
    this.#options = options;
    this.#nodes = options.informers.of(kinds.Node);
    this.#pods = options.informers.of(kinds.Pod);
  }

  report(seq: number, report: Report): void {
    this.#reports.arrived(seq);
    if (this.#reports.open > MAX_OPEN) throw new MalformedFrameError(`More than ${MAX_OPEN} reports are open`);
    // Another of the same name is another object.
    const id = `${objectId(report)}/${report.uid}`;
    if (this.#waiting.has(id)) {
      const seqs = this.#waiting.get(id)?.seqs ?? [];
      this.#waiting.set(id, { report, seqs: [...seqs, seq] });
      return;
    }
    this.#waiting.set(id, undefined);
    void this.#runReports(id, { report, seqs: [seq] });
  }

  message(seq: number, message: Message): void {
    this.#messages.arrived(seq);
    if (this.#messages.open > MAX_OPEN) throw new MalformedFrameError(`More than ${MAX_OPEN} messages are open`);
    this.#lastMessage = this.#lastMessage.then(() => this.#runMessage(seq, message));
  }

  async #runReports(id: string, first: { report: Report; seqs: number[] }): Promise<void> {
    for (let next: { report: Report; seqs: number[] } | undefined = first; next;) {
      const { report, seqs } = next;
      const newest = seqs.at(-1) ?? 0;
      const isDone = await this.#persist(
        (attempt) => this.#applyReport(report, attempt),
        (reason) => this.#options.refuse(newest, reason),
        { object: id },
      );
      if (!isDone) return;
      for (const seq of seqs) {
        const upTo = this.#reports.done(seq);
        if (upTo !== undefined) this.#options.acknowledge.reports(upTo);
      }
      next = this.#waiting.get(id);
      if (next) this.#waiting.set(id, undefined);
      else this.#waiting.delete(id);
    }
  }

  async #runMessage(seq: number, message: Message): Promise<void> {
    const { client, bound, rate, identity, signal } = this.#options;
    if (!rate.admits(identity.node)) return this.#messageDone(seq);
    const isDone = await this.#persist(
      () => {
        if (message.topic !== EVENTS_TOPIC)
          throw new RefusedReportError(`Nobody takes messages of topic ${message.topic}`);
        return applyEventMessage(client, bound, identity, message, signal);
      },
      (reason) => this.#options.log.warn({ id: message.id, reason }, "message refused"),
      { message: message.id },
    );
    if (isDone) this.#messageDone(seq);
  }

  #messageDone(seq: number): void {
    const upTo = this.#messages.done(seq);
    if (upTo !== undefined) this.#options.acknowledge.messages(upTo);
  }

  /** Tries until it is done or refused for good (true), or the session is over (false). */
  async #persist(
    run: (attempt: number) => Promise<void>,
    refuse: (reason: string) => void,
    fields: object,
  ): Promise<boolean> {
    const { clock, random, log, signal } = this.#options;
    const waits = backoff({ initialMs: 100, maxMs: 30_000, random });
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await run(attempt);
        return !signal.aborted;
      } catch (error) {
        if (signal.aborted) return false;
        const reason = refusalOf(error, attempt);
        if (reason !== undefined) {
          log.warn({ ...fields, reason }, "report refused");
          refuse(reason);
          return true;
        }
        // The first conflict is only a live copy that lags.
        if (isConflict(error) && attempt === 0) continue;
        log.warn({ ...fields, err: error }, "report could not be written, trying again");
        await clock.sleep(waits.next().value, signal).catch(() => {});
      }
    }
    return false;
  }

  async #applyReport(report: Report, attempt: number): Promise<void> {
    const { client, identity, signal } = this.#options;
    // The live copy first: it is nearly always right, and costs nothing.
    if (report.resource === "nodes") {
      const current = await this.#read(kinds.Node, this.#nodes, { ...report, namespace: "" }, attempt);
      if (current) await applyNodeReport(client, current, identity, report, signal);
      else throw new RefusedReportError(`Node ${report.name} does not exist any more`);
    } else if (report.resource === "pods") {
      const current = await this.#read(kinds.Pod, this.#pods, report, attempt);
      if (current) await applyPodReport(client, current, identity, report, signal);
    } else throw new RefusedReportError(`Nobody takes reports of ${report.resource}`);
  }

  /** The object from the live copy; asked of the API itself when it is not there, is another one, or turned out to be old. */
  async #read<T extends KubeObject>(
    kind: Kind<T>,
    informer: Informer<T>,
    { namespace, name, uid }: Report,
    attempt: number,
  ): Promise<Encoded<T> | undefined> {
    const key = { namespace, name };
    const cached = attempt === 0 ? informer.get(key) : undefined;
    if (cached && (uid === "" || cached.decode().metadata.uid === uid)) return cached;
    try {
      return await this.#options.client.get(kind, key, { signal: this.#options.signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

/** What the API says of a write that will never be right. */
const FINAL: ReadonlySet<string> = new Set(["Invalid", "BadRequest", "NotFound", "RequestEntityTooLarge"]);
/** How often a write that breaks the API itself is tried: one that it cannot digest must not hold up all that come after it. */
const MAX_INTERNAL_ERRORS = 10;

/** Why trying again cannot help; undefined when it can. */
function refusalOf(error: unknown, attempt: number): string | undefined {
  if (error instanceof RefusedReportError) return error.message;
  const status = statusOf(error);
  if (!status) return undefined;
  if (status.reason === "InternalError" && attempt + 1 >= MAX_INTERNAL_ERRORS) return status.message;
  // Forbidden for good is a namespace that ends; what our own roles lack for the moment is worth waiting for.
  const isEnding = status.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating") ?? false;
  return FINAL.has(status.reason) || isEnding ? status.message : undefined;
}
