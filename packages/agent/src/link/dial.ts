import type { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import tls, { type TLSSocket } from "node:tls";
import {
  checkPeerCertificate,
  keyToPem,
  shownProxy,
  toPem,
  type Clock,
  type Identity,
  type Logger,
} from "@skerry/base";
import { HUB_NAME } from "@skerry/wire";
import { openTunnel } from "./tunnel.ts";

/** Where the hub is reached: any address that leads there, for its certificate is checked by CA and fixed name. */
export interface HubAddress {
  host: string;
  port: number;
}

/**
 * A TLS session that can be resumed. A resumed handshake shows no certificate; it proves that the server is the one of the first handshake,
 * whose certificate is kept here to be checked each time.
 */
export interface HubSession {
  ticket: Buffer;
  certificate: X509Certificate | undefined;
}

/** A connection, and the certificate of who is at its other end. */
export interface HubConnection {
  socket: TLSSocket;
  certificate: X509Certificate | undefined;
}

export interface DialOptions {
  address: HubAddress;
  /** The pinned CA of the link. */
  authority: X509Certificate;
  identity: Identity | undefined;
  /** The HTTP proxy that leads there; all that is checked is checked behind it. */
  proxy?: URL | undefined;
  clock: Clock;
  log: Logger;
  /** A TLS session to resume. */
  session?: HubSession | undefined;
  onSession?: (session: HubSession) => void;
  signal: AbortSignal;
}

/** Whatever answered is not the hub of this cloud. */
export class NotTheHubError extends Error {
  override name = "NotTheHubError";
}

const CONNECT_MS = 10_000;
const ANSWER_MS = 15_000;
const MAX_ANSWER_BYTES = 64 << 10;

/** Connects and checks, before a byte is sent, that the hub of this cloud is at the other end. On resumed TLS sessions too. */
export async function dialHub(options: DialOptions): Promise<TLSSocket> {
  const { address, authority, identity, clock, log } = options;
  const { socket, certificate } = await connect(options);
  const problem = checkPeerCertificate(certificate, {
    authorities: [authority],
    usage: "server",
    name: HUB_NAME,
    clock,
  });
  // A clock without a battery starts years ago; what our own CA has signed will not be less true for that.
  if (!problem || problem.problem === "not-yet-valid") {
    if (problem) log.warn({ now: new Date(clock.now()).toISOString() }, "clock is behind the hub's certificate");
    return socket;
  }
  socket.destroy();
  const who = `${address.host}:${address.port}`;
  throw new NotTheHubError(
    problem.problem === "expired"
      ? `The hub at ${who} shows a certificate that has expired: compare the clocks, then restart the cloud`
      : `What answers at ${who} is not the hub that this ${identity ? "node joined" : "token is for"} (${problem.problem})`,
    { cause: problem },
  );
}

/** Connects to whatever is there. For reading the CA, which is held against a pin; nothing else may be sent over it. */
export async function connect(options: Omit<DialOptions, "authority" | "clock" | "log">): Promise<HubConnection> {
  const { address, proxy, identity, session, onSession, signal } = options;
  signal.throwIfAborted();
  const socket = tls.connect({
    ...(proxy ? { socket: await tunnelTo(proxy, address, signal) } : { host: address.host, port: address.port }),
    servername: HUB_NAME,
    minVersion: "TLSv1.3",
    ALPNProtocols: ["http/1.1"],
    // Our own check follows: it knows the one CA, and says what is wrong. Node's hundred root CAs are not even read.
    rejectUnauthorized: false,
    ca: [],
    ...(identity && { key: keyToPem(identity.key), cert: toPem("CERTIFICATE", identity.certificate.raw) }),
    ...(session && { session: session.ticket }),
  });
  const certificate = (): X509Certificate | undefined =>
    socket.isSessionReused() ? session?.certificate : socket.getPeerX509Certificate();
  if (onSession) socket.on("session", (ticket) => onSession({ ticket, certificate: certificate() }));
  const { promise, resolve, reject } = Promise.withResolvers<HubConnection>();
  const onAbort = (): void => {
    socket.destroy();
    reject(signal.reason as Error);
  };
  const timer = setTimeout(() => {
    socket.destroy();
    // Told apart as the kernel's own, which comes after minutes.
    reject(Object.assign(new Error(`${address.host}:${address.port} does not answer`), { code: "ETIMEDOUT" }));
  }, CONNECT_MS);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.once("secureConnect", () => resolve({ socket, certificate: certificate() }));
  // It stays: an error after the connection also ends it, and `close` tells whoever uses it.
  socket.on("error", reject);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  });
}

async function tunnelTo(proxy: URL, address: HubAddress, signal: AbortSignal): Promise<Socket> {
  const late = AbortSignal.timeout(CONNECT_MS);
  try {
    return await openTunnel(proxy, address, AbortSignal.any([signal, late]));
  } catch (error) {
    if (signal.aborted || !late.aborted) throw error;
    throw new Error(`${address.host}:${address.port} does not answer through the proxy ${shownProxy(proxy)}`, {
      cause: error,
    });
  }
}

/** The hub answered with an error. */
export class HubRefusedError extends Error {
  override name = "HubRefusedError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Sends one request over a connection and reads the JSON of its answer. Throws `HubRefusedError` for any status but 200. */
export async function exchange(
  socket: TLSSocket,
  { method, path, body }: { method: "GET" | "POST"; path: string; body?: object },
  signal: AbortSignal,
): Promise<unknown> {
  const text = body && JSON.stringify(body);
  const request = https.request({
    // Without an agent: it would make a connection of its own.
    createConnection: () => socket,
    host: HUB_NAME,
    method,
    path,
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    headers: {
      connection: "close",
      ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
    },
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.once("response", resolve);
  request.once("error", reject);
  request.end(text);
  const response = await promise;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new HubRefusedError(502, "The hub's answer is too long");
    chunks.push(chunk);
  }
  const answer = Buffer.concat(chunks).toString("utf8");
  if (response.statusCode !== 200) throw new HubRefusedError(response.statusCode ?? 0, answer);
  return JSON.parse(answer) as unknown;
}
