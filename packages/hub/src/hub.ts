import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import { keyToPem, silentLogger, systemClock, toPem, type Clock, type Identity, type Logger } from "@skerry/base";
import type { Client, Informer, Informers } from "@skerry/client";
import { kinds, serviceUnavailable } from "@skerry/machinery";
import type { Node } from "@skerry/machinery/types";
import {
  CA_PATH,
  JOIN_PATH,
  LINK_PATH,
  RENEW_PATH,
  StreamError,
  WebSocketAcceptor,
  offersSubprotocol,
  refusal,
  textResponse,
  type FrameTransport,
  type LaneBudget,
  type Message,
  type Outbox,
  type StreamRequest,
  type StreamResponse,
} from "@skerry/wire";
import { RENEWAL_GRACE_MS, type NodeIdentity } from "./identity.ts";
import { Gatekeeper, revokedText } from "./gatekeeper.ts";
import { jsonBody, refuseUpgrade, retryHeader, sendText } from "./http.ts";
import { Join } from "./join/join.ts";
import { RefusedError } from "./refused-error.ts";
import { deleteExpiredTokens } from "./join/tokens.ts";
import { Duplicates } from "./sessions/duplicates.ts";
import { Leases } from "./sessions/leases.ts";
import { NodeLink } from "./sessions/node-link.ts";
import { Sessions } from "./sessions/sessions.ts";
import { BoundPods } from "./sync/bound-pods.ts";
import { MessageRate } from "./sync/message-rate.ts";
import { Wanted } from "./sync/wanted.ts";

/** How often edges ping, in milliseconds: a dead peer is noticed within twice as long. */
const HEARTBEAT_MS = 5000;
/** How long a TLS handshake, and the head of a request, may take. */
const HANDSHAKE_MS = 10_000;
/** How long an edge waits while the hub is starting. */
const NOT_READY_RETRY_MS = 1000;
/** How often tokens that have expired are deleted. */
const SWEEP_MS = 3_600_000;
const NOT_READY = "The hub is starting or stopping";

export interface HubOptions {
  client: Client;
  /** Started by the caller; the hub asks for Nodes, Pods, ConfigMaps and Secrets. */
  informers: Informers;
  /** The CA of the link, which the API does not trust. */
  authority: Identity;
  /** The server's certificate, of that CA, with the DNS name `HUB_NAME`. */
  server: Identity;
  /** Of this software, for people. */
  version: string;
  host?: string;
  /** 0: any free one, see `port`. Absent: nothing is listened on, and links come by `accept` alone. */
  port?: number;
  heartbeatMs?: number;
  /** 48 bytes, shared by replicas and kept over restarts, so that edges resume their TLS sessions; see `renewCertificate` to rotate them. */
  ticketKeys?: Buffer;
  /** Holds lanes to their share of a node's link. */
  budgetFor?: (node: string) => LaneBudget | undefined;
  /** Commands and router messages that wait for a node. */
  messagesFor?: (node: string) => Outbox<Message> | undefined;
  clock?: Clock;
  random?: () => number;
  log?: Logger;
}

/** The cloud end of all links: one HTTPS port where machines join and edges hold their WebSocket. */
export class Hub implements AsyncDisposable {
  readonly sessions: Sessions;
  readonly #options: HubOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Logger;
  readonly #nodes: Informer<Node>;
  readonly #wanted: Wanted;
  readonly #bound: BoundPods;
  readonly #rate: MessageRate;
  readonly #leases: Leases;
  readonly #duplicates: Duplicates;
  readonly #join: Join;
  readonly #gatekeeper: Gatekeeper;
  readonly #acceptor = new WebSocketAcceptor();
  readonly #server: https.Server;
  readonly #links = new Set<NodeLink>();
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #ends: (() => void)[] = [];

  constructor(options: HubOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#log = options.log ?? silentLogger;
    const shared = { client: options.client, clock: this.#clock, random: this.#random, log: this.#log };
    this.#nodes = options.informers.of(kinds.Node);
    this.#wanted = new Wanted(options.informers);
    this.#bound = new BoundPods(options.informers.of(kinds.Pod));
    this.#rate = new MessageRate(shared);
    this.#leases = new Leases({ ...shared, renewed: (node) => this.#correct(node) });
    this.#duplicates = new Duplicates(shared);
    this.#join = new Join({ ...shared, authority: options.authority });
    this.#gatekeeper = new Gatekeeper({
      ...shared,
      authority: options.authority.certificate,
      nodes: this.#nodes,
      signal: this.#stop.signal,
    });
    this.sessions = new Sessions((node) => {
      this.#log.warn({ node }, "two devices use one identity");
      this.#duplicates.report(node);
    });
    this.#server = https.createServer({
      ...this.#secureContext(options.server),
      requestCert: true,
      // We look at every certificate ourselves, and can then say what is wrong with it.
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: HANDSHAKE_MS,
      headersTimeout: HANDSHAKE_MS,
      requestTimeout: 2 * HANDSHAKE_MS,
      ...(options.ticketKeys && { ticketKeys: options.ticketKeys }),
    });
  }

  /** Begins to listen. Links are taken once the live copies are here; until then edges are asked to come back. */
  async start(): Promise<void> {
    this.#wanted.start();
    this.#bound.start();
    this.#leases.start();
    this.#duplicates.start();
    this.#ends.push(
      this.#wanted.onChange((node, name) => this.sessions.locate(node)?.touch(name)),
      this.#nodes.onChange(({ name }, current) => this.#nodeChanged(name, current?.decode())),
    );
    this.#server.on("request", (request, response) => void this.#handle(request, response));
    this.#server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#server.on("tlsClientError", (error) => this.#log.debug({ err: error }, "TLS handshake failed"));
    this.#track(this.#sweep());
    if (this.#options.port === undefined) return;
    this.#server.listen(this.#options.port, this.#options.host);
    await once(this.#server, "listening");
  }

  /** The port that is listened on. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Shows another certificate to whoever connects from now on, under other keys of TLS session tickets (48 bytes). Links go on. */
  renewCertificate(server: Identity, ticketKeys: Buffer): void {
    this.#server.setSecureContext({ ...this.#secureContext(server), ticketKeys });
  }

  /**
   * Sends a request in the shape of the kubelet's API to a node. Throws `StatusError` ServiceUnavailable when the node has no link, or
   * loses it before it answers.
   */
  async request(
    node: string,
    request: { method: "GET" | "POST"; path: string; headers?: Record<string, string> },
    signal: AbortSignal,
  ): Promise<StreamResponse> {
    const link = this.sessions.locate(node);
    if (!link) throw serviceUnavailable(`Node "${node}" is not linked to the cloud now`);
    try {
      const { method, path, headers = {} } = request;
      return await link.request({ method, path, headers }, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof StreamError)) throw error;
      throw serviceUnavailable(`Cannot reach node "${node}": ${error.message}`);
    }
  }

  /** Takes a link of a node whose identity is proved, over any transport: TLS, or one within this process. */
  accept(identity: NodeIdentity, transport: FrameTransport): void {
    const { client, informers, version, heartbeatMs = HEARTBEAT_MS, budgetFor, messagesFor } = this.#options;
    const link: NodeLink = new NodeLink({
      identity,
      transport,
      client,
      informers,
      wanted: this.#wanted,
      bound: this.#bound,
      rate: this.#rate,
      version,
      heartbeatMs,
      clock: this.#clock,
      random: this.#random,
      log: this.#log.child({ node: identity.node }),
      budget: budgetFor?.(identity.node),
      messages: messagesFor?.(identity.node),
      confirm: async () => {
        if (!(await this.#gatekeeper.exists(identity))) throw refusal("revoked", revokedText(identity));
      },
      admit: (self, hello) => {
        if (this.#stop.signal.aborted || !this.#wanted.isSynced) {
          throw refusal("not-ready", NOT_READY, { retryAfterMs: NOT_READY_RETRY_MS });
        }
        this.sessions.admit(self, hello);
        this.#leases.keep(identity);
      },
      onOpened: () => this.#correct(identity.node),
      serve: (request) => this.#serve(identity, request),
    });
    this.#links.add(link);
    const running = link.run().then(() => {
      this.#links.delete(link);
      if (this.sessions.leave(link)) this.#leases.release(identity.node);
    });
    this.#track(running);
  }

  /** Says goodbye to every edge, asking them to come back at different times, and closes the port. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The hub stops"));
    for (const end of this.#ends.splice(0)) end();
    this.#wanted.stop();
    this.#bound.stop();
    // Those that have not greeted yet, too: nobody waits for their time to be over.
    for (const link of this.#links) {
      link.close({ reason: "shutdown", message: "The cloud stops", retryAfterMs: 1000 });
    }
    await this.#leases[Symbol.asyncDispose]();
    await this.#duplicates[Symbol.asyncDispose]();
    await Promise.all(this.#running);
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  #secureContext({ key, certificate }: Identity): SecureContextOptions {
    return {
      key: keyToPem(key),
      cert: toPem("CERTIFICATE", certificate.raw),
      ca: toPem("CERTIFICATE", this.#options.authority.certificate.raw),
      minVersion: "TLSv1.3",
    };
  }

  /** What must have ended before the hub has. */
  #track(running: Promise<void>): void {
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  async #sweep(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await deleteExpiredTokens(this.#options.client, this.#clock);
      } catch (error) {
        if (!signal.aborted) this.#log.warn({ err: error }, "expired tokens could not be deleted");
      }
      await this.#clock.sleep(SWEEP_MS, signal).catch(() => {});
    }
  }

  #nodeChanged(name: string, node: Node | undefined): void {
    const link = this.sessions.locate(name);
    if (!node) this.sessions.forget(name);
    else if (link && node.metadata.uid !== link.identity.uid) this.sessions.forget(name);
    else if (isTakenForLost(node)) link?.askAgain();
  }

  /** Asks a linked edge for its own word where the cloud has written over it that the node is lost. Looked at with each renewal of its lease. */
  #correct(name: string): void {
    const link = this.sessions.locate(name);
    if (!link) return;
    const node = this.#nodes.get({ namespace: "", name })?.decode();
    if ((node && isTakenForLost(node)) || this.#hasWrittenOff(name)) link.askAgain();
  }

  /** Whether the cloud has written over a pod because its node was out of sight: it may do so to one pod when the node is back and has told of it. */
  #hasWrittenOff(node: string): boolean {
    for (const { status } of this.#bound.of(node)) {
      const ready = status?.conditions?.find(({ type }) => type === "Ready");
      if (ready?.status === "False" && ready.reason === "NodeNotReady") return true;
    }
    return false;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#route(request);
      sendText(response, 200, JSON.stringify(answer), { "content-type": "application/json" });
    } catch (error) {
      if (!(error instanceof RefusedError)) this.#log.error({ err: error, path: request.url }, "request failed");
      const refused = error instanceof RefusedError ? error : new RefusedError(500, "Internal error");
      sendText(response, refused.status, refused.message, retryHeader(refused.retryAfterMs));
    }
  }

  async #route(request: IncomingMessage): Promise<unknown> {
    const path = request.url?.split("?")[0];
    if (path === "/healthz" && request.method === "GET") return { ok: true };
    if (path === CA_PATH && request.method === "GET") {
      return { authority: toPem("CERTIFICATE", this.#options.authority.certificate.raw) };
    }
    if (request.method !== "POST") throw new RefusedError(404, `Nothing is served at ${request.method} ${path}`);
    if (path === JOIN_PATH) {
      const address = request.socket.remoteAddress ?? "";
      return this.#join.join(await jsonBody(request), address, this.#stop.signal);
    }
    if (path === RENEW_PATH) {
      // An edge that was away for longer than its certificate lasts still proves by it who asks.
      const identity = await this.#gatekeeper.identify(request.socket as TLSSocket, { graceMs: RENEWAL_GRACE_MS });
      return this.#join.renew(identity, await jsonBody(request));
    }
    throw new RefusedError(404, `Nothing is served at ${request.method} ${path}`);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", (error) => this.#log.debug({ err: error }, "connection failed"));
    try {
      if (this.#stop.signal.aborted || !this.#wanted.isSynced) {
        throw new RefusedError(503, NOT_READY, { retryAfterMs: NOT_READY_RETRY_MS });
      }
      if (request.url?.split("?")[0] !== LINK_PATH || !offersSubprotocol(request)) {
        throw new RefusedError(400, "This is no link of a protocol that the hub speaks");
      }
      const identity = await this.#gatekeeper.identify(socket as TLSSocket, { graceMs: 0 });
      this.#acceptor.accept(request, socket, head, (transport) => this.accept(identity, transport));
    } catch (error) {
      if (!(error instanceof RefusedError)) this.#log.error({ err: error }, "link could not be accepted");
      const refused = error instanceof RefusedError ? error : new RefusedError(500, "Internal error");
      refuseUpgrade(socket, refused);
    }
  }

  /** What edges may ask over their link. */
  async #serve(identity: NodeIdentity, request: StreamRequest): Promise<StreamResponse> {
    if (request.method !== "POST" || request.path !== RENEW_PATH) {
      return textResponse(404, `Nothing is served at ${request.method} ${request.path}`);
    }
    try {
      const answer = this.#join.renew(identity, await jsonBody(request.body));
      return textResponse(200, JSON.stringify(answer));
    } catch (error) {
      if (error instanceof RefusedError) return textResponse(error.status, error.message);
      throw error;
    }
  }
}

/** Whether the cloud has written over a node's conditions because it was out of sight (status Unknown is never an edge's own word of its Ready). */
const isTakenForLost = (node: Node): boolean =>
  node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "Unknown") ?? false;
