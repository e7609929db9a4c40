import type { Clock, Logger } from "@skerry/base";
import {
  MalformedFrameError,
  AckTracker,
  OutboxSender,
  Session,
  digestOf,
  PROTOCOL_VERSION,
  type FrameTransport,
  type Message,
  type Report,
  type SessionEnd,
  type StateChange,
  type StreamHandler,
} from "@skerry/wire";
import type { LinkCache } from "./ports.ts";

export interface EdgeSessionOptions {
  transport: FrameTransport;
  cache: LinkCache;
  node: string;
  version: string;
  epoch: number;
  instance: string;
  serve: StreamHandler;
  clock: Clock;
  log: Logger;
  /** The greeting was accepted: the link is up. */
  onOpened: (session: Session) => void;
  /** The cloud wants every status again, be it reported already. */
  onResend: () => void;
  /** Everything that the cloud wants here is committed. */
  onSynced: () => void;
}

/** The hub keeps to a window of 256; one that sends more than this is not ours. */
const MAX_PENDING = 1024;

/** A change with its number; without a change it marks that everything was sent. */
interface Numbered {
  seq: number;
  change: StateChange | undefined;
}

/**
 * One life of the link at the edge. Changes are committed in batches, whatever came while the last batch was being written, and acknowledged
 * after; outboxes are emptied as the cloud acknowledges.
 */
export class EdgeSession {
  readonly #options: EdgeSessionOptions;
  readonly #session: Session;
  readonly #reports: OutboxSender<Report>;
  readonly #outgoing: OutboxSender<Message>;
  readonly #arrivals = new AckTracker();
  readonly #messageArrivals = new AckTracker();
  #changes: Numbered[] = [];
  #messages: { seq: number; message: Message }[] = [];
  #committing: Promise<void> | undefined;
  #receiving: Promise<void> | undefined;

  constructor(options: EdgeSessionOptions) {
    this.#options = options;
    const { cache, log, serve, transport, clock } = options;
    const onError = (error: unknown): void => this.#failed(error);
    this.#session = new Session({
      transport,
      side: "edge",
      clock,
      log,
      handlers: {
        change: (seq, change) => this.#arrived(seq, change),
        synced: (seq) => this.#arrived(seq, undefined),
        reportAck: (seq) => this.#reports.acknowledged(seq),
        resend: () => this.#options.onResend(),
        refused: (seq, reason) => log.warn({ seq, reason }, "the cloud refused a report"),
        message: (seq, message) => this.#messageArrived(seq, message),
        messageAck: (seq) => this.#outgoing.acknowledged(seq),
        request: serve,
      },
    });
    this.#reports = new OutboxSender({
      outbox: cache.reports,
      send: (seq, report) => this.#session.report(seq, report),
      sizeOf: ({ bytes }) => bytes.length,
      onError,
    });
    this.#outgoing = new OutboxSender({
      outbox: cache.messages,
      send: (seq, message) => this.#session.message(seq, message),
      sizeOf: ({ bytes }) => bytes.length,
      onError,
    });
  }

  /** Greets, serves until the session ends or the signal aborts, and resolves with why once nothing is being written any more. */
  async run(signal: AbortSignal): Promise<SessionEnd> {
    const { cache, node, version, epoch, instance, log, onOpened } = this.#options;
    const onAbort = (): void => this.#session.close({ reason: "shutdown", message: "The agent stops" });
    signal.addEventListener("abort", onAbort, { once: true });
    this.#session.start({
      protocol: PROTOCOL_VERSION,
      version,
      capabilities: [],
      node,
      epoch,
      instance,
      digest: digestOf(cache.held()),
    });
    if (signal.aborted) onAbort();
    this.#session.opened.then(
      ({ inSync }) => {
        log.info({ epoch, inSync }, "link opened");
        if (!inSync) this.#session.sendHeld(cache.held());
        this.#reports.start();
        this.#outgoing.start();
        onOpened(this.#session);
      },
      () => {},
    );
    const end = await this.#session.ended;
    signal.removeEventListener("abort", onAbort);
    this.#reports.stop();
    this.#outgoing.stop();
    // The next session's digest must be of what this one has written.
    await this.#committing;
    await this.#receiving;
    return end;
  }

  #arrived(seq: number, change: StateChange | undefined): void {
    this.#arrivals.arrived(seq);
    this.#changes.push({ seq, change });
    if (this.#changes.length > MAX_PENDING) throw new MalformedFrameError("More changes than the window allows");
    this.#committing ??= this.#commit();
  }

  async #commit(): Promise<void> {
    try {
      while (this.#changes.length > 0 && this.#session.isOpen) {
        // What came in the same turn of the event loop goes into the same transaction.
        await new Promise(setImmediate);
        const batch = this.#changes;
        this.#changes = [];
        const changes = batch.map(({ change }) => change).filter((change) => change !== undefined);
        if (changes.length > 0) await this.#options.cache.commit(changes);
        const isSynced = batch.some(({ change }) => change === undefined);
        if (isSynced) await this.#options.cache.inSync();
        for (const { seq } of batch) this.#arrivals.done(seq);
        this.#session.acknowledgeState(batch.at(-1)?.seq ?? 0);
        if (isSynced) this.#options.onSynced();
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#committing = undefined;
    }
  }

  #messageArrived(seq: number, message: Message): void {
    this.#messageArrivals.arrived(seq);
    this.#messages.push({ seq, message });
    if (this.#messages.length > MAX_PENDING) throw new MalformedFrameError("More messages than the window allows");
    this.#receiving ??= this.#receive();
  }

  async #receive(): Promise<void> {
    try {
      while (this.#messages.length > 0 && this.#session.isOpen) {
        const batch = this.#messages;
        this.#messages = [];
        await this.#options.cache.receive(batch.map(({ message }) => message));
        for (const { seq } of batch) this.#messageArrivals.done(seq);
        this.#session.acknowledgeMessages(batch.at(-1)?.seq ?? 0);
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#receiving = undefined;
    }
  }

  /** The cache does not take what came: without it the cloud would be told a lie. The next session begins with what is really there. */
  #failed(error: unknown): void {
    this.#options.log.error({ err: error }, "cache could not be written");
    this.#session.close({ reason: "failed", message: "The edge cannot write its cache" });
  }
}
