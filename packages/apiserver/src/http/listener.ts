import type { X509Certificate } from "node:crypto";
import { createSecureServer, Http2ServerRequest, type Http2SecureServer, type Http2ServerResponse } from "node:http2";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import type { Logger } from "@skerry/base";
import type { HttpRequest, HttpResponse } from "./exchange.ts";

export interface TlsOptions {
  /** PEM: the server's certificate, and those between it and its CA. */
  certificate: string;
  /** PEM. */
  key: string;
  /** PEM: the CAs of client certificates, named to clients so that they know which of theirs to show. */
  clientAuthorities: readonly string[];
}

export type RequestHandler = (
  request: HttpRequest,
  response: HttpResponse,
  certificate: X509Certificate | undefined,
) => void;

/** A connection that says nothing for so long is closed; clients make another when they need it. */
const IDLE_MS = 600_000;
const KEEP_ALIVE_MS = 90_000;
const HANDSHAKE_MS = 10_000;
const HEADERS_MS = 15_000;
/** A whole request, its body included, must be there by then. */
const REQUEST_MS = 60_000;
const MAX_CONNECTIONS = 20_000;
const TCP_KEEP_ALIVE_MS = 30_000;
/** How long answers may still take once the server stops. */
const DRAIN_MS = 10_000;

/** One TLS port that speaks HTTP/2 and HTTP/1.1, with bounds on what a client may cost. */
export class TlsListener {
  readonly #server: Http2SecureServer;
  readonly #log: Logger;
  readonly #context: SecureContextOptions;
  readonly #sockets = new Set<TLSSocket>();
  readonly #certificates = new WeakMap<object, { certificate: X509Certificate | undefined }>();

  constructor({ tls, log, onRequest }: { tls: TlsOptions; log: Logger; onRequest: RequestHandler }) {
    this.#log = log;
    this.#context = { ca: [...tls.clientAuthorities], minVersion: "TLSv1.2" };
    this.#server = createSecureServer({
      ...this.#context,
      cert: tls.certificate,
      key: tls.key,
      allowHTTP1: true,
      // We look at certificates ourselves: see CertificateAuthenticator.
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
      settings: { maxConcurrentStreams: 250, maxHeaderListSize: 64 << 10, enablePush: false },
      maxHeaderListPairs: 128,
      maxSessionMemory: 64,
      maxSettings: 32,
      maxOutstandingPings: 10,
      maxSessionRejectedStreams: 100,
      maxSessionInvalidFrames: 100,
      // Streams that are opened and reset at once cost us and not the client (CVE-2023-44487).
      streamResetBurst: 1000,
      streamResetRate: 100,
    });
    const server = this.#server;
    Object.assign(server, {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxConnections: MAX_CONNECTIONS,
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("session", (session) => session.setTimeout(IDLE_MS, () => session.close()));
    server.on("sessionError", (err: Error) => log.debug({ err }, "http/2 session failed"));
    server.on("tlsClientError", (err: Error) => log.debug({ err }, "tls handshake failed"));
    server.on(
      "request",
      (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse) => {
        // A client that goes away while it is written to is no failure of ours.
        response.on("error", (err: Error) => log.debug({ err }, "answer broke off"));
        onRequest(request as HttpRequest, response as unknown as HttpResponse, this.#certificateOf(request));
      },
    );
  }

  /** Listens, and resolves with the address. Rejects with what is wrong and how to mend it. */
  async listen(host: string, port: number): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>();
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port));
    this.#server.once("error", onError);
    this.#server.listen(port, host, () => {
      this.#server.off("error", onError);
      this.#server.on("error", (err) => this.#log.error({ err }, "api port failed"));
      resolve(this.#server.address() as AddressInfo);
    });
    return promise;
  }

  /** Shows another certificate to whoever connects from now on. Both PEM. */
  renew(certificate: string, key: string): void {
    this.#server.setSecureContext({ ...this.#context, cert: certificate, key });
  }

  /** Stops to listen, waits until `idle` resolves, and closes all connections; after ten seconds it waits no longer. */
  async close(idle: Promise<void>): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([idle, new Promise<void>((resolve) => (timer = setTimeout(resolve, DRAIN_MS)))]);
    clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroySoon();
    const force = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, 500);
    await closed;
    clearTimeout(force);
  }

  /** The same object for each request of a connection, so that it is checked once. */
  #certificateOf(request: IncomingMessage | Http2ServerRequest): X509Certificate | undefined {
    const isHttp2 = request instanceof Http2ServerRequest;
    const connection: object = isHttp2 ? (request.stream.session ?? request.stream) : request.socket;
    let known = this.#certificates.get(connection);
    if (known === undefined) {
      const socket = (isHttp2 ? request.stream.session?.socket : request.socket) as TLSSocket | undefined;
      known = { certificate: socket?.getPeerX509Certificate() };
      this.#certificates.set(connection, known);
    }
    return known.certificate;
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const why: Record<string, string> = {
    EADDRINUSE: "the port is in use by another program. Stop that program, or choose another port with --api-port",
    EACCES: "this user may not use the port. Choose one above 1023 with --api-port, or run as root",
    EADDRNOTAVAIL: "this machine has no such address",
  };
  return new Error(`Cannot serve the API on ${host}:${port}: ${why[error.code ?? ""] ?? error.message}`, {
    cause: error,
  });
}
