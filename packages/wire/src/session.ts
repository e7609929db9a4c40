import { silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import { MalformedFrameError } from "./bytes.ts";
import {
  decodeFrame,
  encodeFrame,
  FRAME,
  LANE,
  packPayload,
  type Frame,
  type FrameType,
  type Lane,
  type Payload,
} from "./frame.ts";
import { LaneQueue, type LaneBudget } from "./lane-queue.ts";
import {
  decodeDelete,
  decodeGoodbye,
  decodeHeld,
  decodeHello,
  decodeMessage,
  decodePut,
  decodeReason,
  decodeReport,
  decodeWelcome,
  encodeHeld,
  encodeJson,
  encodeMessage,
  encodeReason,
  encodeReport,
  HELD_PER_FRAME,
  PROTOCOL_VERSION,
  type EndReason,
  type Goodbye,
  type Hello,
  type Welcome,
} from "./payloads.ts";
import type { StreamHandler, StreamRequest, StreamResponse } from "./request.ts";
import type { HeldObject, Message, Report, StateChange } from "./state.ts";
import { StreamMux } from "./streams.ts";
import { HIGH_WATER_BYTES, type FrameTransport } from "./transport.ts";

/** How long the greeting may take. */
const HANDSHAKE_MS = 10_000;
/** What may wait to be sent in all lanes together; windows and credits keep it far below. */
const MAX_QUEUED_BYTES = 16 << 20;

/** How a session ended, and who ended it; `lost` is nobody. */
export interface SessionEnd extends Goodbye {
  by: "us" | "peer" | "lost";
}

/** The session ended before what was waited for. */
export class SessionEndedError extends Error {
  override name = "SessionEndedError";
  readonly end: SessionEnd;

  constructor(end: SessionEnd) {
    super(`The session ended (${end.reason}): ${end.message}`);
    this.end = end;
  }
}

/**
 * What a side does with what the other says. A frame for which there is no handler is malformed: nobody may send it here.
 * Handlers return at once; what takes time is bounded by the windows. A `MalformedFrameError` ends the session.
 */
export interface SessionHandlers {
  /** Hub: judges a greeting. Throwing `SessionEndedError` says goodbye with its reason. */
  hello?: (hello: Hello) => Promise<Welcome>;
  held?: (objects: HeldObject[], isLast: boolean) => void;
  stateAck?: (seq: number) => void;
  report?: (seq: number, report: Report) => void;
  reportAck?: (seq: number) => void;
  /** Edge: the report was acknowledged, but the API did not take it, for the reason given. */
  refused?: (seq: number, reason: string) => void;
  /** Edge: what the cloud knows of this node and its pods was overwritten there: everything is to be reported again. */
  resend?: () => void;
  change?: (seq: number, change: StateChange) => void;
  /** Edge: everything that is wanted here has been sent before this. It is acknowledged like a change. */
  synced?: (seq: number) => void;
  message?: (seq: number, message: Message) => void;
  messageAck?: (seq: number) => void;
  request?: StreamHandler;
}

export interface SessionOptions {
  transport: FrameTransport;
  side: "hub" | "edge";
  handlers: SessionHandlers;
  clock?: Clock;
  log?: Logger;
  budget?: LaneBudget;
}

/**
 * One life of a link, from greeting to goodbye, seen from one side: the same class at both. It knows frames, lanes, heartbeat and
 * streams, and nothing of what state and messages mean.
 */
export class Session {
  readonly #transport: FrameTransport;
  readonly #handlers: SessionHandlers;
  readonly #side: "hub" | "edge";
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #queue: LaneQueue;
  readonly #streams: StreamMux;
  readonly #opened = Promise.withResolvers<Welcome>();
  readonly #ended = Promise.withResolvers<SessionEnd>();
  #state: "greeting" | "judging" | "open" | "ended" = "greeting";
  #heartbeatMs = 0;
  #heardAt = 0;
  #heardSincePing = true;
  #pingedAt: number | undefined;
  #roundTripMs: number | undefined;
  #cancelTimer: () => void = () => {};
  #cancelPump: (() => void) | undefined;

  constructor(options: SessionOptions) {
    this.#transport = options.transport;
    this.#handlers = options.handlers;
    this.#side = options.side;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#queue = new LaneQueue(options.budget);
    this.#streams = new StreamMux({
      firstChannel: options.side === "hub" ? 1 : 2,
      send: (lane, type, channel, payload) => this.#send(lane, type, { channel, ...(payload && { payload }) }),
      handler: options.handlers.request,
    });
    this.#opened.promise.catch(() => {});
  }

  /** What the last heartbeat took there and back, in milliseconds, at the edge; undefined before the first. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** The greeting was accepted. Rejects with `SessionEndedError` when it was not. */
  get opened(): Promise<Welcome> {
    return this.#opened.promise;
  }

  /** Resolves when the session is over, whatever ended it. Never rejects. */
  get ended(): Promise<SessionEnd> {
    return this.#ended.promise;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Bytes that wait here because the link is slower than we. */
  get queuedBytes(): number {
    return this.#queue.bytes + this.#transport.buffered;
  }

  /** Begins: the edge with its greeting, the hub by waiting for one. */
  start(hello?: Hello): void {
    this.#heardAt = this.#clock.monotonic();
    this.#cancelTimer = this.#clock.after(HANDSHAKE_MS, () =>
      this.#finish({ reason: "handshake-timeout", message: "No greeting in time", by: "us" }),
    );
    this.#transport.start({
      frame: (bytes) => this.#received(bytes),
      drained: () => this.#pump(),
      closed: (error) =>
        this.#finish({
          reason: "connection-lost",
          message: error?.message ?? "The connection was closed",
          by: "lost",
        }),
    });
    if (hello) this.#send(LANE.control, FRAME.hello, { payload: encodeJson(hello) });
  }

  /** Ends the session, telling the peer why. */
  close(goodbye: Goodbye): void {
    this.#finish({ ...goodbye, by: "us" });
  }

  put(seq: number, payload: Payload): void {
    this.#send(LANE.state, FRAME.put, { seq, payload });
  }

  delete(seq: number, payload: Payload): void {
    this.#send(LANE.state, FRAME.delete, { seq, payload });
  }

  synced(seq: number): void {
    this.#send(LANE.state, FRAME.synced, { seq });
  }

  /** Edge: everything up to `seq` is in the cache for good. */
  acknowledgeState(seq: number): void {
    this.#send(LANE.control, FRAME.stateAck, { seq });
  }

  /** Edge: says what is held here, after a welcome that is not in sync. */
  sendHeld(objects: readonly HeldObject[]): void {
    for (let at = 0; at === 0 || at < objects.length; at += HELD_PER_FRAME) {
      const more = at + HELD_PER_FRAME < objects.length;
      const payload = encodeHeld(objects.slice(at, at + HELD_PER_FRAME));
      this.#send(LANE.state, FRAME.held, { channel: more ? 1 : 0, payload });
    }
  }

  report(seq: number, report: Report): void {
    this.#send(LANE.status, FRAME.report, { seq, payload: encodeReport(report) });
  }

  /** Hub: every report up to `seq` is in the API, or was refused for good. */
  acknowledgeReports(seq: number): void {
    this.#send(LANE.control, FRAME.reportAck, { seq });
  }

  refuse(seq: number, reason: string): void {
    this.#send(LANE.control, FRAME.refused, { seq, payload: encodeReason(reason) });
  }

  /** Hub: asks the edge to report everything again. */
  askAgain(): void {
    this.#send(LANE.control, FRAME.resend);
  }

  /** Messages down are commands and go with the state; those up go with status. */
  message(seq: number, message: Message): void {
    const lane = this.#side === "hub" ? LANE.state : LANE.status;
    this.#send(lane, FRAME.message, { seq, payload: encodeMessage(message) });
  }

  acknowledgeMessages(seq: number): void {
    this.#send(LANE.control, FRAME.messageAck, { seq });
  }

  /** Sends a request to the other side; `bulk` for what may take long and hurries nobody. */
  request(
    request: Omit<StreamRequest, "body"> & { body?: AsyncIterable<Uint8Array> },
    signal: AbortSignal,
    { bulk = false }: { bulk?: boolean } = {},
  ): Promise<StreamResponse> {
    return this.#streams.open(request, signal, bulk ? LANE.bulk : LANE.stream);
  }

  #send(
    lane: Lane,
    type: FrameType,
    { channel = 0, seq = 0, payload = NOTHING }: { channel?: number; seq?: number; payload?: Payload } = {},
  ): void {
    if (this.#state === "ended") return;
    this.#queue.push(lane, encodeFrame(lane, type, { channel, seq, payload }));
    if (this.#queue.bytes > MAX_QUEUED_BYTES) {
      this.close({ reason: "overflow", message: `More than ${MAX_QUEUED_BYTES} bytes wait to be sent` });
      return;
    }
    this.#pump();
  }

  #pump(): void {
    this.#cancelPump?.();
    this.#cancelPump = undefined;
    while (this.#state !== "ended" && this.#transport.buffered < HIGH_WATER_BYTES) {
      const next = this.#queue.take();
      if (!next) return;
      if ("waitMs" in next) {
        this.#cancelPump = this.#clock.after(next.waitMs, () => this.#pump());
        return;
      }
      this.#transport.send(next);
    }
  }

  #received(bytes: Uint8Array): void {
    if (this.#state === "ended") return;
    this.#heardAt = this.#clock.monotonic();
    this.#heardSincePing = true;
    try {
      this.#take(decodeFrame(bytes));
    } catch (error) {
      if (error instanceof MalformedFrameError) {
        this.#log.warn({ err: error }, "peer sent a malformed frame");
        this.close({ reason: "malformed-frame", message: error.message });
      } else {
        this.#log.error({ err: error }, "frame could not be handled");
        this.close({ reason: "failed", message: "Internal error" });
      }
    }
  }

  #take(frame: Frame): void {
    if (frame.type === FRAME.goodbye) {
      this.#finish({ ...decodeGoodbye(frame.payload), by: "peer" });
      return;
    }
    if (this.#state === "open") this.#dispatch(frame);
    else this.#greet(frame);
  }

  #greet(frame: Frame): void {
    if (this.#state === "greeting" && this.#side === "hub" && frame.type === FRAME.hello && this.#handlers.hello) {
      const hello = decodeHello(frame.payload);
      this.#state = "judging";
      void this.#judge(hello, this.#handlers.hello(hello));
      return;
    }
    if (this.#side === "edge" && frame.type === FRAME.welcome) {
      const welcome = decodeWelcome(frame.payload);
      if (welcome.protocol !== PROTOCOL_VERSION) {
        this.close({ reason: "incompatible", message: incompatible(welcome.protocol) });
        return;
      }
      this.#open(welcome);
      return;
    }
    throw new MalformedFrameError(`Frame type ${frame.type} before the greeting`);
  }

  async #judge(hello: Hello, verdict: Promise<Welcome>): Promise<void> {
    try {
      if (hello.protocol !== PROTOCOL_VERSION) {
        verdict.catch(() => {});
        this.close({ reason: "incompatible", message: incompatible(hello.protocol) });
        return;
      }
      const welcome = await verdict;
      if (this.#state !== "judging") return;
      this.#send(LANE.control, FRAME.welcome, { payload: encodeJson(welcome) });
      this.#open(welcome);
    } catch (error) {
      if (error instanceof SessionEndedError) this.close(error.end);
      else {
        this.#log.error({ err: error }, "greeting could not be judged");
        this.close({ reason: "failed", message: "Internal error" });
      }
    }
  }

  #open(welcome: Welcome): void {
    this.#state = "open";
    this.#heartbeatMs = Math.max(50, welcome.heartbeatMs);
    this.#cancelTimer();
    this.#watch();
    this.#opened.resolve(welcome);
  }

  /** One heartbeat serves both: the edge pings, the hub answers, and either gives up after twice the interval without a word. */
  #watch(): void {
    const silence = this.#clock.monotonic() - this.#heardAt;
    // The edge looks when it pings again: the ping before has had a whole interval.
    const isDead = this.#side === "edge" ? !this.#heardSincePing : silence >= 2 * this.#heartbeatMs;
    if (isDead) {
      const message = `Nothing was heard for ${Math.round(silence)} ms`;
      this.#finish({ reason: "heartbeat-lost", message, by: "lost" });
      return;
    }
    if (this.#side === "edge") {
      this.#heardSincePing = false;
      this.#pingedAt = this.#clock.monotonic();
      this.#send(LANE.control, FRAME.ping);
    }
    const next = this.#side === "edge" ? this.#heartbeatMs : 2 * this.#heartbeatMs - silence;
    this.#cancelTimer = this.#clock.after(next, () => this.#watch());
  }

  #dispatch(frame: Frame): void {
    const { type, seq, payload } = frame;
    const handlers = this.#handlers;
    const missing = (): never => {
      throw new MalformedFrameError(`Frame type ${type} has no business here`);
    };
    switch (type) {
      case FRAME.ping:
        if (this.#side !== "hub") missing();
        this.#send(LANE.control, FRAME.pong);
        return;
      case FRAME.pong:
        if (this.#pingedAt !== undefined) this.#roundTripMs = this.#clock.monotonic() - this.#pingedAt;
        this.#pingedAt = undefined;
        return;
      case FRAME.held:
        (handlers.held ?? missing)(decodeHeld(payload), frame.channel === 0);
        return;
      case FRAME.put:
        (handlers.change ?? missing)(seq, { op: "put", ...decodePut(payload) });
        return;
      case FRAME.delete:
        (handlers.change ?? missing)(seq, { op: "delete", object: decodeDelete(payload) });
        return;
      case FRAME.synced:
        (handlers.synced ?? missing)(seq);
        return;
      case FRAME.stateAck:
        (handlers.stateAck ?? missing)(seq);
        return;
      case FRAME.report:
        (handlers.report ?? missing)(seq, decodeReport(payload));
        return;
      case FRAME.reportAck:
        (handlers.reportAck ?? missing)(seq);
        return;
      case FRAME.refused:
        (handlers.refused ?? missing)(seq, decodeReason(payload));
        return;
      case FRAME.resend:
        (handlers.resend ?? missing)();
        return;
      case FRAME.message:
        (handlers.message ?? missing)(seq, decodeMessage(payload));
        return;
      case FRAME.messageAck:
        (handlers.messageAck ?? missing)(seq);
        return;
      case FRAME.open:
      case FRAME.head:
      case FRAME.data:
      case FRAME.credit:
      case FRAME.end:
      case FRAME.reset:
        this.#streams.take(frame);
        return;
      case FRAME.hello:
      case FRAME.welcome:
      case FRAME.goodbye:
        missing();
    }
  }

  #finish(end: SessionEnd): void {
    if (this.#state === "ended") return;
    this.#cancelTimer();
    this.#cancelPump?.();
    if (end.by === "us") {
      const { by: _, ...goodbye } = end;
      this.#transport.send(encodeFrame(LANE.control, FRAME.goodbye, { payload: encodeJson(goodbye) }));
    }
    this.#state = "ended";
    this.#transport.close();
    const error = new SessionEndedError(end);
    this.#streams.close(error);
    this.#opened.reject(error);
    this.#ended.resolve(end);
  }
}

const NOTHING = packPayload(new Uint8Array(0));

const incompatible = (theirs: number): string => `The peer speaks protocol ${theirs}, this side ${PROTOCOL_VERSION}`;

/** Says goodbye to a greeting: thrown by the `hello` handler. */
export const refusal = (reason: EndReason, message: string, more: Partial<Goodbye> = {}): SessionEndedError =>
  new SessionEndedError({ ...more, reason, message, by: "us" });
