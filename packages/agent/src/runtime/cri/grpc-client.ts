import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import net from "node:net";
import { systemClock, type Clock } from "@skerry/base";
import { GrpcError, grpcCodeOf, type GrpcCode } from "./grpc-error.ts";
import { frameMessage, FrameReader } from "./grpc-frames.ts";

/** What containerd and the kubelet both allow a message to be. */
const DEFAULT_MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface GrpcClientOptions {
  /** The unix socket that the server listens on. */
  socketPath: string;
  /** A message longer than this is refused, sent or received. */
  maxMessageBytes?: number;
  clock?: Clock;
}

export interface CallOptions {
  /** Ends the call; it then fails with the signal's reason. */
  signal: AbortSignal;
  /** The call fails with `DeadlineExceeded` after so many milliseconds; without it, it may last. */
  timeoutMs?: number;
  /** Sent beside the message, names in lower case. */
  metadata?: Readonly<Record<string, string>>;
}

/**
 * Speaks gRPC to one server on a unix socket, over one HTTP/2 connection. The connection is made by the first call and made
 * anew by the first one after it broke: calls under way fail with `Unavailable`, and whoever made them knows whether to try again.
 */
export class GrpcClient implements AsyncDisposable {
  readonly socketPath: string;
  readonly #maxMessageBytes: number;
  readonly #clock: Clock;
  #session: ClientHttp2Session | undefined;
  #closed = false;

  constructor(options: GrpcClientOptions) {
    this.socketPath = options.socketPath;
    this.#maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#clock = options.clock ?? systemClock;
  }

  /** One message there, one back. `method` is like `/runtime.v1.RuntimeService/Version`. */
  async unary(method: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    await using call = this.open(method, options);
    await call.send(request);
    call.end();
    let answer: Uint8Array | undefined;
    for await (const message of call) {
      if (answer) throw new GrpcError("Internal", `${method} answered with more than one message`);
      answer = message;
    }
    if (!answer) throw new GrpcError("Internal", `${method} answered with no message`);
    return answer;
  }

  /** One message there, any number back. Leaving the loop ends the call; a slow reader slows the server. */
  async *serverStream(method: string, request: Uint8Array, options: CallOptions): AsyncGenerator<Uint8Array> {
    await using call = this.open(method, options);
    await call.send(request);
    call.end();
    yield* call;
  }

  /** A call in which both sides send as they like. Dispose of it in any case. */
  open(method: string, options: CallOptions): GrpcCall {
    options.signal.throwIfAborted();
    const stream = this.#connection().request({
      ":method": "POST",
      ":path": method,
      "content-type": "application/grpc",
      te: "trailers",
      ...(options.timeoutMs !== undefined && { "grpc-timeout": timeoutField(options.timeoutMs) }),
      ...options.metadata,
    });
    return new GrpcCall(stream, { ...options, method, maxMessageBytes: this.#maxMessageBytes, clock: this.#clock });
  }

  /** Ends the connection and every call on it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const session = this.#session;
    if (!session || session.destroyed) return;
    const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
    session.destroy();
    await closed;
  }

  #connection(): ClientHttp2Session {
    if (this.#closed) throw new GrpcError("Cancelled", `The connection to ${this.socketPath} is closed`);
    if (this.#session && !this.#session.closed && !this.#session.destroyed) return this.#session;
    const session = http2.connect("http://localhost", {
      createConnection: () => net.connect(this.socketPath),
      settings: { enablePush: false },
    });
    // Each call hears of the failure through its own stream; this keeps it from being an uncaught one besides.
    session.on("error", () => {});
    // The server takes no more calls on this connection: those under way go on, the next one makes another.
    session.on("goaway", () => {
      if (this.#session === session) this.#session = undefined;
    });
    session.on("close", () => {
      if (this.#session === session) this.#session = undefined;
    });
    this.#session = session;
    return session;
  }
}

/** One call under way: iterate over it for the messages that arrive; the loop ends when the server says OK. */
export class GrpcCall implements AsyncDisposable {
  readonly #stream: ClientHttp2Stream;
  readonly #method: string;
  readonly #maxMessageBytes: number;
  readonly #signal: AbortSignal;
  readonly #closed: Promise<void>;
  /** The server's status is known, or never will be. */
  readonly #over = Promise.withResolvers<void>();
  readonly #release: () => void;
  #headers: IncomingHttpHeaders | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  /** Why this side gave the call up, or what broke the stream. */
  #failure: unknown;

  constructor(
    stream: ClientHttp2Stream,
    options: CallOptions & { method: string; maxMessageBytes: number; clock: Clock },
  ) {
    this.#stream = stream;
    this.#method = options.method;
    this.#maxMessageBytes = options.maxMessageBytes;
    this.#signal = options.signal;

    const { signal, timeoutMs, clock } = options;
    const onAbort = (): void => this.#giveUp(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const cancelDeadline =
      timeoutMs === undefined
        ? () => {}
        : clock.after(timeoutMs, () =>
            this.#giveUp(new GrpcError("DeadlineExceeded", `${options.method} took longer than ${timeoutMs} ms`)),
          );
    this.#release = () => {
      signal.removeEventListener("abort", onAbort);
      cancelDeadline();
    };

    stream.on("response", (headers) => {
      this.#headers = headers;
      if (this.#status() !== undefined) this.#over.resolve();
    });
    stream.on("trailers", (trailers) => {
      this.#trailers = trailers;
      this.#over.resolve();
    });
    stream.on("error", (error) => (this.#failure ??= this.#translate(error)));
    this.#closed = new Promise((resolve) => stream.once("close", () => resolve()));
    void this.#closed.then(() => {
      this.#release();
      this.#over.resolve();
    });
  }

  /** Resolves when there is room for another message. Fails with the server's status when it has ended the call already. */
  async send(message: Uint8Array): Promise<void> {
    if (message.byteLength > this.#maxMessageBytes)
      throw new GrpcError(
        "ResourceExhausted",
        `Cannot send ${this.#method} a message of ${message.byteLength} bytes: the limit is ${this.#maxMessageBytes}`,
      );
    const written = new Promise<boolean>((resolve) =>
      this.#stream.write(frameMessage(message), (error) => resolve(!error)),
    );
    // A server that has ended the call reads no more: what is written then may wait for ever.
    const sent = await Promise.race([written, this.#over.promise.then(() => false)]);
    if (sent) return;
    await this.#over.promise;
    this.#checkStatus();
    throw new GrpcError("Internal", `${this.#method} ended before everything was sent`);
  }

  /** Says that no more messages will be sent. */
  end(): void {
    if (!this.#stream.writableEnded) this.#stream.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const reader = new FrameReader(this.#maxMessageBytes);
    try {
      for await (const chunk of this.#stream) yield* reader.push(chunk as Buffer);
    } catch (error) {
      if (error instanceof GrpcError) throw error;
      this.#failure ??= this.#translate(error);
    }
    // The status arrives with the end of the data; a stream that broke has it once it is closed.
    if (!this.#status()) await this.#closed;
    this.#checkStatus();
    reader.end();
  }

  /** Ends the call, telling the server when it is not over yet, and waits until it is. What was not read is dropped. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await this.#closed;
  }

  #giveUp(reason: unknown): void {
    if (this.#status() !== undefined) return;
    this.#failure ??= reason;
    this.#end();
  }

  #end(): void {
    if (this.#stream.destroyed) return;
    this.#stream.close(http2.constants.NGHTTP2_CANCEL);
    // Closing alone waits for somebody to read what has arrived.
    this.#stream.destroy();
  }

  /** The `grpc-status` field, in the trailers or, for an answer without data, in the headers. */
  #status(): string | undefined {
    return (this.#trailers?.["grpc-status"] ?? this.#headers?.["grpc-status"]) as string | undefined;
  }

  #checkStatus(): void {
    const status = this.#status();
    if (status === undefined) {
      if (this.#signal.aborted) throw this.#signal.reason;
      if (this.#failure !== undefined) throw this.#failure;
      const http = Number(this.#headers?.[":status"] ?? 200);
      throw http === 200
        ? new GrpcError("Unavailable", `The connection broke during ${this.#method}`)
        : new GrpcError(codeOfHttp(http), `${this.#method} was answered with HTTP status ${http}`);
    }
    const code = grpcCodeOf(status);
    if (code === "OK") return;
    throw new GrpcError(code, messageField((this.#trailers ?? this.#headers)?.["grpc-message"]) ?? code);
  }

  #translate(error: unknown): GrpcError {
    const { message, code, cause } = error as NodeJS.ErrnoException & { cause?: Error };
    const reset = this.#stream.rstCode;
    if (code === "ERR_HTTP2_STREAM_ERROR" && reset === http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
      return new GrpcError("ResourceExhausted", `${this.#method} was refused: too many calls`, { cause: error });
    return new GrpcError("Unavailable", `Cannot call ${this.#method}: ${cause?.message ?? message}`, { cause: error });
  }
}

/** At most eight digits and a unit (gRPC over HTTP/2, "Timeout"). */
const timeoutField = (ms: number): string => (ms < 1e8 ? `${Math.ceil(ms)}m` : `${Math.ceil(ms / 1000)}S`);

/** `grpc-message` is percent-encoded UTF-8; one that is not well formed is shown as it is. */
function messageField(field: string | string[] | undefined): string | undefined {
  if (typeof field !== "string" || field === "") return undefined;
  try {
    return decodeURIComponent(field);
  } catch {
    return field;
  }
}

/** What an HTTP status means when no gRPC status came with it. */
function codeOfHttp(status: number): GrpcCode {
  switch (status) {
    case 400:
      return "Internal";
    case 401:
      return "Unauthenticated";
    case 403:
      return "PermissionDenied";
    case 404:
      return "Unimplemented";
    case 429:
    case 502:
    case 503:
    case 504:
      return "Unavailable";
    default:
      return "Unknown";
  }
}
