import { MalformedFrameError } from "./bytes.ts";
import { FRAME, LANE, packPayload, type Frame, type FrameType, type Lane, type Payload } from "./frame.ts";
import {
  decodeCredit,
  decodeReason,
  decodeRequestHead,
  decodeResponseHead,
  encodeCredit,
  encodeJson,
  encodeReason,
  type RequestHead,
  type ResponseHead,
} from "./payloads.ts";
import type { StreamHandler, StreamRequest, StreamResponse } from "./request.ts";

/** How much of a body may be on its way, or waiting for its reader, before the writer stops. */
const WINDOW_BYTES = 256 << 10;
/** Bodies travel in pieces of at most this, so that a higher lane never waits for more. */
const CHUNK_BYTES = 32 << 10;
/** How many streams one side may have open at once; more are reset at once. */
export const MAX_STREAMS = 256;

/** A stream ended before its end: the peer reset it, or the link is gone. */
export class StreamError extends Error {
  override name = "StreamError";
}

export interface StreamMuxOptions {
  /** The side's first channel; it opens every second one. */
  firstChannel: 1 | 2;
  send(lane: Lane, type: FrameType, channel: number, payload?: Payload): void;
  /** Serves what the other side opens; without one everything is answered 501. */
  handler?: StreamHandler | undefined;
}

/** Requests and their bodies, many at once over one session, each with its own credits. */
export class StreamMux {
  readonly #options: StreamMuxOptions;
  readonly #streams = new Map<number, Stream>();
  #nextChannel: number;
  #lastPeerChannel = 0;
  #closed: Error | undefined;

  constructor(options: StreamMuxOptions) {
    this.#options = options;
    this.#nextChannel = options.firstChannel;
  }

  /** How many streams are open, of either side. */
  get size(): number {
    return this.#streams.size;
  }

  /** Sends a request and resolves with the head of its answer. Rejects with `StreamError`, or the signal's reason. */
  async open(
    request: Omit<StreamRequest, "body"> & { body?: AsyncIterable<Uint8Array> },
    signal: AbortSignal,
    lane: Lane = LANE.stream,
  ): Promise<StreamResponse> {
    signal.throwIfAborted();
    if (this.#closed) throw new StreamError("The link is closed", { cause: this.#closed });
    if (this.#streams.size >= MAX_STREAMS) throw new StreamError(`${MAX_STREAMS} streams are open already`);
    const channel = this.#nextChannel;
    this.#nextChannel += 2;
    const stream = this.#add(channel, lane);
    const { method, path, headers, body } = request;
    const head: RequestHead = { method, path, headers, ended: body === undefined };
    stream.send(FRAME.open, encodeJson(head));
    const onAbort = (): void => stream.reset(signal.reason instanceof Error ? signal.reason : new Error("Aborted"));
    signal.addEventListener("abort", onAbort, { once: true });
    stream.onDone = () => signal.removeEventListener("abort", onAbort);
    if (body) void stream.writeBody(body, { endsStream: false });
    const { status, headers: answered } = await stream.head.promise;
    return { status, headers: answered, body: stream.body() };
  }

  /** Takes a frame of a stream. Frames of streams that are over are late, not wrong. */
  take(frame: Frame): void {
    if (frame.type === FRAME.open) {
      this.#opened(frame);
      return;
    }
    const stream = this.#streams.get(frame.channel);
    if (!stream) return;
    const { type, payload } = frame;
    if (type === FRAME.head) stream.gotHead(decodeResponseHead(payload));
    else if (type === FRAME.data) stream.gotData(payload);
    else if (type === FRAME.credit) stream.gotCredit(decodeCredit(payload));
    else if (type === FRAME.end) stream.gotEnd();
    else if (type === FRAME.reset) stream.fail(new StreamError(decodeReason(payload)));
    else throw new MalformedFrameError(`Frame type ${type} on channel ${frame.channel}`);
  }

  /** Ends every stream with an error: the link is gone. */
  close(error: Error): void {
    this.#closed = error;
    for (const stream of this.#streams.values()) stream.fail(new StreamError("The link was lost", { cause: error }));
  }

  #opened({ channel, lane, payload }: Frame): void {
    if (channel % 2 === this.#options.firstChannel % 2 || channel <= this.#lastPeerChannel) {
      throw new MalformedFrameError(`Channel ${channel} cannot be opened`);
    }
    this.#lastPeerChannel = channel;
    const head = decodeRequestHead(payload);
    const answerLane = lane === LANE.bulk ? LANE.bulk : LANE.stream;
    if (this.#streams.size >= 2 * MAX_STREAMS) {
      this.#options.send(answerLane, FRAME.reset, channel, encodeReason("Too many streams are open"));
      return;
    }
    const stream = this.#add(channel, answerLane);
    if (head.ended) stream.gotEnd();
    void this.#serve(stream, head);
  }

  async #serve(stream: Stream, { method, path, headers }: RequestHead): Promise<void> {
    const stop = new AbortController();
    stream.onDone = (error) => stop.abort(error ?? new StreamError("The stream is over"));
    let response: StreamResponse;
    try {
      const handler = this.#options.handler ?? notImplemented;
      response = await handler({ method, path, headers, body: stream.body() }, stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return;
      response = textResponse(500, error instanceof Error ? error.message : "Internal error");
    }
    if (stop.signal.aborted) return;
    const { status, headers: answered, body } = response;
    stream.send(FRAME.head, encodeJson({ status, headers: answered } satisfies ResponseHead));
    await stream.writeBody(body, { endsStream: true });
  }

  #add(channel: number, lane: Lane): Stream {
    const stream = new Stream({
      isOpener: channel % 2 === this.#options.firstChannel % 2,
      send: (type, payload) => this.#options.send(lane, type, channel, payload),
      remove: () => void this.#streams.delete(channel),
    });
    this.#streams.set(channel, stream);
    return stream;
  }
}

/** An answer of one line of text. */
export const textResponse = (status: number, text: string): StreamResponse => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8" },
  body: once(Buffer.from(text)),
});

const notImplemented: StreamHandler = () => Promise.resolve(textResponse(501, "Nothing is served here"));

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

interface StreamPort {
  /** The stream was opened here: its answer comes from the other side. */
  isOpener: boolean;
  send(type: FrameType, payload?: Payload): void;
  remove(): void;
}

/** One request and its answer, seen from one side. Over once the answer has ended, or either side has reset it. */
class Stream {
  readonly head = Promise.withResolvers<ResponseHead>();
  /** Told once when the stream is over. */
  onDone: ((error: Error | undefined) => void) | undefined;
  readonly #port: StreamPort;
  readonly #chunks: Uint8Array[] = [];
  /** What was read since credit was last given back. */
  #owed = 0;
  /** What the peer may still send. */
  #granted = WINDOW_BYTES;
  /** What we may still send. */
  #credit = WINDOW_BYTES;
  #peerEnded = false;
  #isDone = false;
  #error: Error | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(port: StreamPort) {
    this.#port = port;
    // Whoever opened the stream awaits it; a served one has no head to come.
    this.head.promise.catch(() => {});
  }

  send(type: FrameType, payload?: Payload): void {
    if (!this.#isDone) this.#port.send(type, payload);
  }

  /** Writes a body as credit allows. The end of an answer is the end of the stream. */
  async writeBody(body: AsyncIterable<Uint8Array>, { endsStream }: { endsStream: boolean }): Promise<void> {
    try {
      for await (const chunk of body) {
        for (let at = 0; at < chunk.length;) {
          while (this.#credit === 0 && !this.#isDone) await this.#wake.promise;
          if (this.#isDone) return;
          const piece = chunk.subarray(at, at + Math.min(CHUNK_BYTES, this.#credit));
          this.#credit -= piece.length;
          at += piece.length;
          this.send(FRAME.data, packPayload(piece));
        }
        if (this.#isDone) return;
      }
      this.send(FRAME.end);
      if (endsStream) this.#done(undefined);
    } catch (error) {
      this.reset(error instanceof Error ? error : new Error("The body failed"));
    }
  }

  /** The other side's body. Leaving it before its end resets the stream. */
  async *body(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk) {
          yield chunk;
          this.#giveBack(chunk.length);
        } else if (this.#error) throw this.#error;
        else if (this.#peerEnded) return;
        else await this.#wake.promise;
      }
    } finally {
      if (!this.#peerEnded) this.reset(new StreamError("The reader went away"));
    }
  }

  gotHead(head: ResponseHead): void {
    if (!this.#port.isOpener) throw new MalformedFrameError("An answer to one's own request");
    this.head.resolve(head);
  }

  gotData(bytes: Uint8Array): void {
    if (this.#peerEnded) throw new MalformedFrameError("Data after the end of a stream");
    this.#granted -= bytes.length;
    if (this.#granted < 0) throw new MalformedFrameError("More data than there was credit for");
    this.#chunks.push(bytes);
    this.#stir();
  }

  gotCredit(bytes: number): void {
    if (this.#credit + bytes > WINDOW_BYTES) throw new MalformedFrameError("More credit than was used");
    this.#credit += bytes;
    this.#stir();
  }

  gotEnd(): void {
    this.#peerEnded = true;
    // For the opener this is the end of the answer: what it still wanted to say has no listener any more.
    if (this.#port.isOpener) this.#done(undefined);
    this.#stir();
  }

  /** Ends the stream here and tells the peer. */
  reset(error: Error): void {
    if (this.#isDone) return;
    this.send(FRAME.reset, encodeReason(error.message));
    this.fail(error);
  }

  /** Ends the stream here alone. What has arrived can still be read. */
  fail(error: Error): void {
    if (this.#isDone) return;
    this.#error = error;
    this.head.reject(error);
    this.#done(error);
  }

  /** Credit goes back in large steps: half a window at a time. */
  #giveBack(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < WINDOW_BYTES / 2 || this.#peerEnded) return;
    this.#granted += this.#owed;
    this.send(FRAME.credit, encodeCredit(this.#owed));
    this.#owed = 0;
  }

  #done(error: Error | undefined): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#port.remove();
    this.onDone?.(error);
    this.#stir();
  }

  #stir(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
