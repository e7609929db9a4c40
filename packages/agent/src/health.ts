import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";

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

/**
 * Tells people and supervisors of this machine how the agent is, over HTTP on a unix socket: `/healthz` is 200 while its loops
 * run, `/status` says everything. Needs no link, and nothing of it is reachable from elsewhere.
 */
export class HealthSocket implements AsyncDisposable {
  readonly #file: string;
  readonly #status: () => AgentStatus;
  #server: Server | undefined;

  constructor({ file, status }: { file: string; status: () => AgentStatus }) {
    this.#file = file;
    this.#status = status;
  }

  async start(): Promise<void> {
    if (Buffer.byteLength(this.#file) > MAX_SOCKET_PATH) {
      throw new Error(
        `Cannot listen on ${this.#file}: the path of a socket has at most ${MAX_SOCKET_PATH} bytes; choose a shorter data dir`,
      );
    }
    // The cache's lock keeps a second agent off this data dir: a socket that is here belongs to a dead one.
    await rm(this.#file, { force: true });
    const server = createServer((request, response) => {
      const path = request.url ?? "";
      if (path === "/healthz") response.end("ok\n");
      else if (path === "/status") {
        response.setHeader("content-type", "application/json");
        response.end(`${JSON.stringify(this.#status())}\n`);
      } else {
        response.statusCode = 404;
        response.end("not found\n");
      }
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#file, resolve);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = this.#server;
    if (!server) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await rm(this.#file, { force: true });
  }
}
