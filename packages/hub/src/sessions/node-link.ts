import type { Clock, Logger } from "@skerry/base";
import type { Client, Informers } from "@skerry/client";
import {
  digestOf,
  MAX_HELD_OBJECTS,
  MalformedFrameError,
  OutboxSender,
  PROTOCOL_VERSION,
  Session,
  refusal,
  type FrameTransport,
  type Goodbye,
  type HeldObject,
  type Hello,
  type LaneBudget,
  type Message,
  type ObjectName,
  type Outbox,
  type StreamHandler,
  type StreamRequest,
  type StreamResponse,
  type Welcome,
} from "@skerry/wire";
import type { NodeIdentity } from "../identity.ts";
import { DownSync } from "../sync/down-sync.ts";
import type { BoundPods } from "../sync/bound-pods.ts";
import type { MessageRate } from "../sync/message-rate.ts";
import { UpSync } from "../sync/up-sync.ts";
import type { Wanted } from "../sync/wanted.ts";

export interface NodeLinkOptions {
  identity: NodeIdentity;
  transport: FrameTransport;
  client: Client;
  informers: Informers;
  wanted: Wanted;
  bound: BoundPods;
  rate: MessageRate;
  version: string;
  heartbeatMs: number;
  clock: Clock;
  random: () => number;
  log: Logger;
  budget?: LaneBudget | undefined;
  /** What waits to be told to this node and is not state. */
  messages?: Outbox<Message> | undefined;
  /** Throws the goodbye to a node that is there no more: a greeting may come long after the certificate was judged. */
  confirm: () => Promise<void>;
  /** Makes this the node's session, or throws the goodbye. */
  admit: (link: NodeLink, hello: Hello) => void;
  onOpened: () => void;
  /** Serves what the edge asks for. */
  serve: StreamHandler;
}

/** One edge that is linked: its session, and the two halves of what keeps edge and API alike. */
export class NodeLink {
  readonly identity: NodeIdentity;
  readonly #options: NodeLinkOptions;
  readonly #session: Session;
  readonly #down: DownSync;
  readonly #up: UpSync;
  readonly #stop = new AbortController();
  #messages: OutboxSender<Message> | undefined;
  /** What the edge says that it holds, as it comes in; or, when the digests are equal, what was wanted at that moment. */
  #held: HeldObject[] = [];
  #isAskedForHeld = false;

  constructor(options: NodeLinkOptions) {
    this.identity = options.identity;
    this.#options = options;
    const { node } = options.identity;
    const { wanted, clock, log } = options;
    this.#down = new DownSync({
      wanted: (name) => wanted.of(node, name),
      send: {
        put: (seq, payload) => this.#session.put(seq, payload),
        delete: (seq, payload) => this.#session.delete(seq, payload),
        synced: (seq) => this.#session.synced(seq),
      },
    });
    this.#up = new UpSync({
      client: options.client,
      informers: options.informers,
      bound: options.bound,
      rate: options.rate,
      identity: options.identity,
      acknowledge: {
        reports: (seq) => this.#session.acknowledgeReports(seq),
        messages: (seq) => this.#session.acknowledgeMessages(seq),
      },
      refuse: (seq, reason) => this.#session.refuse(seq, reason),
      clock,
      random: options.random,
      log,
      signal: this.#stop.signal,
    });
    this.#session = new Session({
      transport: options.transport,
      side: "hub",
      clock,
      log,
      ...(options.budget && { budget: options.budget }),
      handlers: {
        hello: (hello) => this.#greeted(hello),
        held: (objects, isLast) => this.#told(objects, isLast),
        stateAck: (seq) => this.#down.acknowledged(seq),
        report: (seq, report) => this.#up.report(seq, report),
        message: (seq, message) => this.#up.message(seq, message),
        messageAck: (seq) => this.#messages?.acknowledged(seq),
        request: options.serve,
      },
    });
  }

  /** Waits for the greeting, serves the session, and resolves with why it ended. */
  async run(): Promise<Goodbye> {
    const { log } = this.#options;
    this.#session.start();
    this.#session.opened.then(
      (welcome) => this.#opened(welcome),
      () => {},
    );
    const end = await this.#session.ended;
    this.#messages?.stop();
    this.#stop.abort(new Error("The session is over"));
    log.info({ reason: end.reason, by: end.by, detail: end.message }, "session ended");
    return end;
  }

  close(goodbye: Goodbye): void {
    this.#session.close(goodbye);
  }

  /** What this node should hold under a name may have changed. */
  touch(name: ObjectName): void {
    this.#down.touch(name);
  }

  /** The API's word on this node is not the edge's own any more: the edge is asked for its own again. */
  askAgain(): void {
    if (this.#session.isOpen) this.#session.askAgain();
  }

  /** The edge holds, durably, all that it should, as far as the hub has seen. */
  get isInSync(): boolean {
    return this.#down.isIdle;
  }

  request(request: Omit<StreamRequest, "body">, signal: AbortSignal): Promise<StreamResponse> {
    return this.#session.request(request, signal);
  }

  async #greeted(hello: Hello): Promise<Welcome> {
    const { identity, version, heartbeatMs, confirm, admit } = this.#options;
    if (hello.node !== identity.node) {
      const message = `The certificate is of node "${identity.node}", the greeting of "${hello.node}"`;
      throw refusal("unauthorized", message);
    }
    if (hello.protocol === PROTOCOL_VERSION) {
      await confirm();
      // Who left meanwhile must not be kept as the node's session.
      if (this.#stop.signal.aborted) throw refusal("connection-lost", "The session is over");
      admit(this, hello);
    }
    const wantedNow = [...this.#wantedNow()];
    const inSync = digestOf(wantedNow) === hello.digest;
    if (inSync) this.#held = wantedNow;
    else this.#isAskedForHeld = true;
    return { protocol: PROTOCOL_VERSION, version, capabilities: [], heartbeatMs, inSync };
  }

  #opened({ inSync }: Welcome): void {
    const { messages, log } = this.#options;
    log.info({ inSync }, "session opened");
    this.#options.onOpened();
    if (inSync) this.#start();
    if (!messages) return;
    this.#messages = new OutboxSender({
      outbox: messages,
      send: (seq, message) => this.#session.message(seq, message),
      sizeOf: ({ bytes }) => bytes.length,
      onError: (error) => {
        log.error({ err: error }, "messages could not be taken off the queue");
        this.close({ reason: "failed", message: "Internal error" });
      },
    });
    this.#messages.start();
  }

  *#wantedNow(): Generator<HeldObject> {
    const { wanted, identity } = this.#options;
    for (const name of wanted.namesFor(identity.node)) {
      const projection = wanted.of(identity.node, name);
      if (projection) yield projection.object;
    }
  }

  #told(objects: HeldObject[], isLast: boolean): void {
    if (!this.#isAskedForHeld) throw new MalformedFrameError("What is held was not asked for");
    if (this.#held.length + objects.length > MAX_HELD_OBJECTS) {
      throw new MalformedFrameError(`More than ${MAX_HELD_OBJECTS} objects are held`);
    }
    this.#held.push(...objects);
    if (isLast) this.#start();
  }

  #start(): void {
    this.#isAskedForHeld = false;
    this.#down.start(this.#held, this.#options.wanted.namesFor(this.identity.node));
    this.#held = [];
  }
}
