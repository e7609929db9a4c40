import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { MAX_FRAME_BYTES, SUBPROTOCOL } from "./frame.ts";
import { HIGH_WATER_BYTES, LOW_WATER_BYTES, type FrameTransport, type TransportEvents } from "./transport.ts";

/** The one name that the hub's server certificate has. Edges check it instead of an address, which NAT and moves change. */
export const HUB_NAME = "skerry-hub";
/** Where a machine reads the link's CA, which it then holds against the pin of its token. */
export const CA_PATH = "/ca";
/** Where a machine joins, and where an edge renews its certificate (over HTTPS and over its link alike). */
export const JOIN_PATH = "/join";
export const RENEW_PATH = "/renew";
/** In the answer to a refused link: what is wrong with the edge's certificate. */
export const PROBLEM_HEADER = "skerry-problem";
/** Where the hub takes links, below its HTTPS port. */
export const LINK_PATH = "/link";
/** How long a peer may take to agree to the end of a connection. */
const CLOSE_MS = 2000;
/** The longest answer to a refused upgrade that is read. */
const MAX_REFUSAL_BYTES = 4096;

/** The server answered the upgrade with an HTTP status instead of a link. */
export class UpgradeRefusedError extends Error {
  override name = "UpgradeRefusedError";
  readonly status: number;
  /** What the server asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** What is wrong with the certificate that was shown, such as `expired`. */
  readonly problem: string | undefined;

  constructor(
    status: number,
    message: string,
    { retryAfterMs, problem }: { retryAfterMs?: number | undefined; problem?: string | undefined } = {},
  ) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.problem = problem;
  }
}

/** Takes over HTTP upgrades and makes transports of them. */
export class WebSocketAcceptor {
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    skipUTF8Validation: true,
    handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });

  /** Completes the upgrade; a request that is none is answered and `accepted` never called. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, accepted: (transport: FrameTransport) => void): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => accepted(new WebSocketTransport(webSocket)));
  }
}

/** Whether an upgrade request speaks our sub-protocol. */
export const offersSubprotocol = (request: IncomingMessage): boolean =>
  (request.headers["sec-websocket-protocol"] ?? "").split(",").some((name) => name.trim() === SUBPROTOCOL);

/** Upgrades a TLS connection whose server has been verified already. */
export async function connectWebSocket(
  socket: TLSSocket,
  { host, signal, timeoutMs = 10_000 }: { host: string; signal: AbortSignal; timeoutMs?: number },
): Promise<FrameTransport> {
  signal.throwIfAborted();
  const webSocket = new WebSocket(`wss://${host}${LINK_PATH}`, [SUBPROTOCOL], {
    createConnection: () => socket,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    skipUTF8Validation: true,
    handshakeTimeout: timeoutMs,
    followRedirects: false,
  });
  const transport = new WebSocketTransport(webSocket);
  const { promise, resolve, reject } = Promise.withResolvers<FrameTransport>();
  const onAbort = (): void => {
    webSocket.terminate();
    reject(signal.reason as Error);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  webSocket.once("open", () => resolve(transport));
  webSocket.once("error", reject);
  webSocket.once("unexpected-response", (_request, response) => {
    void refusalOf(response).then((error) => {
      reject(error);
      webSocket.terminate();
    });
  });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function refusalOf(response: IncomingMessage): Promise<UpgradeRefusedError> {
  let text = "";
  try {
    for await (const chunk of response) {
      text += String(chunk);
      if (text.length > MAX_REFUSAL_BYTES) break;
    }
  } catch {
    // The status says enough.
  }
  const retryAfter = Number(response.headers["retry-after"]);
  const status = response.statusCode ?? 0;
  const message = text.trim().slice(0, MAX_REFUSAL_BYTES) || `The server answered ${status}`;
  const problem = response.headers[PROBLEM_HEADER];
  return new UpgradeRefusedError(status, message, {
    retryAfterMs: Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined,
    problem: typeof problem === "string" ? problem : undefined,
  });
}

/** Frames as binary messages of a WebSocket (RFC 6455). Text messages break the connection. */
class WebSocketTransport implements FrameTransport {
  readonly #socket: WebSocket;
  #events: TransportEvents | undefined;
  /** What came between the upgrade and `start`: at most what one read brought. */
  #early: Uint8Array[] | undefined = [];
  #error: Error | undefined;
  #isClosed = false;
  #isFull = false;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data, isBinary) => this.#received(data as Buffer, isBinary));
    socket.on("error", (error) => (this.#error ??= error));
    socket.on("close", (code) => {
      this.#isClosed = true;
      if (code !== 1000 && code !== 1005) this.#error ??= new Error(`The connection was closed with code ${code}`);
      this.#events?.closed(this.#error);
    });
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const frame of early) events.frame(frame);
    if (this.#isClosed) queueMicrotask(() => events.closed(this.#error));
  }

  send(frame: Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(frame, this.#sent);
    if (this.buffered >= HIGH_WATER_BYTES) this.#isFull = true;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#socket.close(1000);
    setTimeout(() => this.#socket.terminate(), CLOSE_MS).unref();
  }

  readonly #sent = (): void => {
    if (!this.#isFull) return;
    if (this.buffered > LOW_WATER_BYTES) return;
    this.#isFull = false;
    this.#events?.drained();
  };

  #received(data: Buffer, isBinary: boolean): void {
    if (!isBinary) {
      this.#error ??= new Error("The peer sent text instead of a frame");
      this.#socket.close(1003);
    } else if (this.#early) this.#early.push(data);
    else this.#events?.frame(data);
  }
}
