import { once } from "node:events";
import type { ClientRequest, IncomingMessage } from "node:http";
import https from "node:https";
import { systemClock, type Clock } from "@skerry/base";
import { StatusError } from "@skerry/machinery";

export interface HttpsTransportOptions {
  /** `https://host:port`, as in a kubeconfig; a path, as some gateways have it, stands before every request's own. */
  server: string;
  /** The CA that signed the server's certificate, PEM. */
  ca: string;
  /** A client certificate with its key, PEM; or a bearer token; or neither. */
  credentials: { certificate: string; key: string } | { token: string } | undefined;
  /** What the API sees as the client; up to its first `/` it is the default field manager. */
  userAgent: string;
  /** How long an answer may take, in milliseconds: the whole of it, or the head of one that streams. */
  timeoutMs?: number;
  clock?: Clock;
  /** A source of uniform numbers in [0, 1): clients that were refused together do not come back together. */
  random?: () => number;
}

export interface HttpsRequest {
  query?: Record<string, string | undefined>;
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal | undefined;
}

/** An answer that goes on: its body is read as it comes. `end` must be called however it ends. */
export interface OpenAnswer {
  response: IncomingMessage;
  readonly end: () => void;
}

/** The largest answer that is read whole. */
const MAX_BODY_BYTES = 256 << 20;
/** How often a request is sent again because the server asked for that, and the longest that it may ask to wait. */
const MAX_RETRIES = 4;
const MAX_RETRY_AFTER_SECONDS = 30;
/** After so long without a word the other end is asked whether it is still there, in milliseconds. */
const TCP_KEEP_ALIVE_MS = 15_000;
/** Doing it twice is as doing it once (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(["GET", "PUT", "DELETE"]);

/**
 * Requests over HTTPS (HTTP/1.1 with kept connections). Whatever fails is a `StatusError`, or the reason of the caller's signal. A server that is too busy and says when
 * to come back is obeyed, a few times.
 */
export class HttpsTransport {
  readonly #options: HttpsTransportOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #base: URL;
  readonly #agent: https.Agent;
  /** Connections of answers that go on: they must not use up those of requests that are soon over. */
  readonly #streams: https.Agent;

  constructor(options: HttpsTransportOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#base = new URL(options.server);
    const { credentials } = options;
    const tls = {
      ca: options.ca,
      ...(credentials && "key" in credentials && { cert: credentials.certificate, key: credentials.key }),
    };
    this.#agent = new https.Agent({ ...tls, keepAlive: true, maxSockets: 64 });
    this.#streams = new https.Agent(tls);
  }

  /** Sends a request and resolves with the body of an answer that succeeded; any other is thrown as its Status. */
  async call(method: string, path: string, request: HttpsRequest = {}): Promise<string> {
    for (let retries = 0; ; retries++) {
      try {
        return await this.#callOnce(method, path, request);
      } catch (error) {
        const waitMs = retries < MAX_RETRIES ? this.#retryAfterMs(method, error) : undefined;
        if (waitMs === undefined) throw error;
        await this.#clock.sleep(waitMs, request.signal).catch(() => request.signal?.throwIfAborted());
      }
    }
  }

  /** Sends a GET and resolves once the head of a successful answer is there. */
  async open(path: string, request: HttpsRequest = {}): Promise<OpenAnswer> {
    const sent = this.#send("GET", path, request, this.#streams);
    try {
      const response = await sent.head;
      sent.untime();
      if (!isSuccess(response)) throw refusal(response, await textOf(response));
      return { response, end: sent.end };
    } catch (error) {
      sent.end();
      throw this.#failure(error, sent, request.signal);
    }
  }

  /** A broken connection as the API's errors go. */
  unavailable(cause: unknown): StatusError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new StatusError("ServiceUnavailable", `The API at ${this.#base.host} does not answer: ${why}`, { cause });
  }

  destroy(): void {
    this.#agent.destroy();
    this.#streams.destroy();
  }

  async #callOnce(method: string, path: string, request: HttpsRequest): Promise<string> {
    const sent = this.#send(method, path, request, this.#agent);
    let whole = false;
    try {
      const response = await sent.head;
      const text = await textOf(response);
      whole = true;
      if (!isSuccess(response)) throw refusal(response, text);
      return text;
    } catch (error) {
      throw this.#failure(error, sent, request.signal);
    } finally {
      // A connection whose answer was read to its end is kept for the next request.
      if (whole) sent.settle();
      else sent.end();
    }
  }

  #send(method: string, path: string, request: HttpsRequest, agent: https.Agent): Sent {
    const { credentials, userAgent, timeoutMs = 30_000 } = this.#options;
    const { body, contentType = "application/json", query = {}, signal } = request;
    signal?.throwIfAborted();
    const parameters = new URLSearchParams(
      Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    );
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const call = https.request({
      agent,
      host: this.#base.hostname.replace(/^\[|\]$/g, ""),
      port: this.#base.port || 443,
      path: `${this.#base.pathname.replace(/\/$/, "")}${path}${parameters.size > 0 ? `?${parameters.toString()}` : ""}`,
      method,
      headers: {
        accept: "application/json",
        "user-agent": userAgent,
        ...(credentials && "token" in credentials && { authorization: `Bearer ${credentials.token}` }),
        ...(text !== undefined && { "content-type": contentType, "content-length": text.length }),
      },
    });
    call.once("socket", (socket) => socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS));
    const sent = new Sent(call, signal, (onLate) =>
      this.#clock.after(timeoutMs, () => onLate(new Error(`nothing within ${timeoutMs} ms`))),
    );
    call.end(text);
    return sent;
  }

  #failure(error: unknown, sent: Sent, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    return error instanceof StatusError ? error : this.unavailable(sent.failure ?? error);
  }

  /** How long to wait before the request is sent again, in milliseconds; undefined: it is not. */
  #retryAfterMs(method: string, error: unknown): number | undefined {
    if (!(error instanceof StatusError)) return undefined;
    if (error.cause instanceof StaleConnectionError) return IDEMPOTENT.has(method) ? 0 : undefined;
    const { code, retryAfterSeconds } = error;
    // 429 is said before anything is done; at 503 it may have been done.
    const mayRepeat = code === 429 || (code === 503 && IDEMPOTENT.has(method));
    if (!mayRepeat || retryAfterSeconds === undefined || retryAfterSeconds > MAX_RETRY_AFTER_SECONDS) return undefined;
    return retryAfterSeconds * 1000 * (1 + this.#random() / 2);
  }
}

/** The server had closed a kept connection when the request came through it: another connection can do. */
class StaleConnectionError extends Error {
  override name = "StaleConnectionError";
}

/** A request on its way, with everything that can end it early; nothing of it stays behind once it has ended. */
class Sent {
  readonly #call: ClientRequest;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#break(this.#signal?.reason);
  readonly head: Promise<IncomingMessage>;
  #cancelTimeout: () => void;
  #response: IncomingMessage | undefined;
  /** Why we gave up, when it was us. */
  failure: unknown;

  constructor(
    call: ClientRequest,
    signal: AbortSignal | undefined,
    limit: (onLate: (why: Error) => void) => () => void,
  ) {
    this.#call = call;
    this.#signal = signal;
    // Told by the promises below; a connection may still fail after its answer was read.
    call.on("error", () => {});
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#cancelTimeout = limit((why) => this.#break(why));
    this.head = this.#head();
  }

  readonly end = (): void => {
    this.settle();
    (this.#response ?? this.#call).destroy();
  };

  /** Forgets the caller's signal and the time limit, and leaves the connection as it is. */
  settle(): void {
    this.untime();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  untime(): void {
    this.#cancelTimeout();
    this.#cancelTimeout = () => {};
  }

  async #head(): Promise<IncomingMessage> {
    try {
      const [response] = (await once(this.#call, "response")) as [IncomingMessage];
      this.#response = response;
      return response;
    } catch (error) {
      const isStale = this.#call.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET";
      if (isStale && this.failure === undefined) this.failure = new StaleConnectionError("closed", { cause: error });
      throw error;
    }
  }

  #break(why: unknown): void {
    this.failure ??= why;
    const error = why instanceof Error ? why : new Error(String(why));
    if (this.#response) this.#response.destroy(error);
    else this.#call.destroy(error);
  }
}

const isSuccess = (response: IncomingMessage): boolean => (response.statusCode ?? 500) < 300;

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error(`the answer is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A refusal as the API words it; anything else in its place, a proxy's page for one, keeps its code and its first words. */
function refusal(response: IncomingMessage, text: string): StatusError {
  const code = response.statusCode ?? 500;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // Not JSON: told below as it is.
  }
  const isStatus = typeof body === "object" && body !== null && "kind" in body && body.kind === "Status";
  const status = (isStatus ? body : { kind: "Status", code, message: text.slice(0, 200) || `HTTP ${code}` }) as {
    details?: { retryAfterSeconds?: number };
  };
  const after = Number(response.headers["retry-after"] ?? Number.NaN);
  if (!Number.isFinite(after) || status.details?.retryAfterSeconds !== undefined)
    return StatusError.fromStatus(status, code);
  return StatusError.fromStatus({ ...status, details: { ...status.details, retryAfterSeconds: after } }, code);
}
