import { mkdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import path from "node:path";
import { METRICS_TYPE } from "@skerry/base";

/** Something that keeps the edge from doing what is wanted, and what a person can do about it. */
export interface Problem {
  what: string;
  mend: string;
}

/** How the edge is, as `/status` on its socket tells it. */
export interface AgentStatus {
  node: string;
  version: string;
  pid: number;
  /** Wall time, RFC 3339. */
  startedAt: string;
  /** Absent when the agent runs without a cloud. */
  link?: { state: string; isSynced: boolean; since: string; problem?: string };
  runtime: { version: string; problems: string[] };
  /** Whether all that the cloud wants here is known. */
  cache: { complete: boolean };
  pods: PodSummary[];
  problems: Problem[];
  rssBytes: number;
}

export interface PodSummary {
  namespace: string;
  name: string;
  uid: string;
  phase: string;
  /** Absent before it has one. */
  ip?: string;
  ready: boolean;
  /** How many containers are ready, of how many. */
  readyContainers: number;
  containers: number;
  restarts: number;
  /** Why a container waits, or the pod failed; empty when all is well. */
  reason: string;
}

/** The most that a path of a unix socket may have (unix(7): sun_path, less its end). */
const MAX_SOCKET_PATH = 107;

/** A supervisor, Prometheus and some who look; one more is hung up on. */
const MAX_CONNECTIONS = 16;
const REQUEST_MS = 10_000;

/** One thing without which the edge cannot do its work; resolves with what is wrong with it, undefined when nothing is. */
export interface ReadyCheck {
  name: string;
  problem: () => Promise<string | undefined>;
}

export interface HealthSocketOptions {
  file: string;
  status: () => Promise<AgentStatus>;
  /** A page for Prometheus. */
  metrics: () => Promise<string>;
  ready: readonly ReadyCheck[];
  /** How long a request may take to arrive, and a connection to begin one. */
  requestMs?: number;
}

/**
 * Tells people and supervisors of this machine how the agent is, over HTTP on a unix socket: `/healthz` and `/livez` are 200 while its loops run,
 * `/readyz` when it can start pods, `/metrics` is for Prometheus, `/status` says everything. Needs no link, and nothing of it is reachable from
 * elsewhere.
 */
export class HealthSocket implements AsyncDisposable {
  readonly #options: HealthSocketOptions;
  #server: Server | undefined;

  constructor(options: HealthSocketOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { file, requestMs = REQUEST_MS } = this.#options;
    if (Buffer.byteLength(file) > MAX_SOCKET_PATH) {
      throw new Error(
        `Cannot listen on ${file}: the path of a socket has at most ${MAX_SOCKET_PATH} bytes; choose a shorter data dir`,
      );
    }
    await mkdir(path.dirname(file), { recursive: true });
    // The cache's lock keeps a second agent off this data dir: a socket that is here belongs to a dead one.
    await rm(file, { force: true });
    const limits = { headersTimeout: requestMs, requestTimeout: requestMs, connectionsCheckingInterval: requestMs };
    const server = createServer(limits, (request, response) => {
      this.#answer((request.url ?? "").replace(/\?.*$/, "")).then(
        ({ code = 200, type = "text/plain; charset=utf-8", text }) =>
          response.writeHead(code, { "content-type": type }).end(text),
        (error: Error) => response.writeHead(500).end(`${error.message}\n`),
      );
    });
    server.maxConnections = MAX_CONNECTIONS;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      // The socket is made within this call, so nobody else can open it at any moment.
      const before = process.umask(0o177);
      try {
        server.listen(file, resolve);
      } finally {
        process.umask(before);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = this.#server;
    if (!server) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await rm(this.#options.file, { force: true });
  }

  async #answer(page: string): Promise<{ code?: number; type?: string; text: string }> {
    const { status, metrics } = this.#options;
    switch (page) {
      case "/healthz":
      case "/livez":
        return { text: "ok\n" };
      case "/readyz":
        return this.#readiness();
      case "/metrics":
        return { type: METRICS_TYPE, text: await metrics() };
      case "/status":
        return { type: "application/json", text: `${JSON.stringify(await status())}\n` };
      default:
        return { code: 404, text: "not found\n" };
    }
  }

  async #readiness(): Promise<{ code: number; text: string }> {
    const results = await Promise.all(
      this.#options.ready.map(async ({ name, problem }) => {
        const why = await problem().catch((error: Error) => error.message);
        return why === undefined ? `[+]${name} ok` : `[-]${name} failed: ${why}`;
      }),
    );
    const isReady = results.every((line) => line.startsWith("[+]"));
    return isReady ? { code: 200, text: "ok\n" } : { code: 500, text: `${results.join("\n")}\nreadyz check failed\n` };
  }
}
