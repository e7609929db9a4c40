import { once } from "node:events";
import https from "node:https";
import type { IncomingMessage } from "node:http";
import {
  apiVersionOf,
  deepFreeze,
  StatusError,
  type Encoded,
  type Kind,
  type KubeObject,
  type ObjectKey,
} from "@skerry/machinery";
import type {
  Client,
  DeleteOptions,
  EncodedList,
  ListOptions,
  Patch,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./client.ts";

export interface HttpsClientOptions {
  /** `https://host:port`, as in a kubeconfig. */
  server: string;
  /** The CA that signed the server's certificate, PEM. */
  ca: string;
  /** A client certificate with its key, PEM; or a bearer token; or neither. */
  credentials: { certificate: string; key: string } | { token: string } | undefined;
  /** What the API sees as the client, and as its field manager. */
  userAgent: string;
  /** How long an answer's head may take, in milliseconds; watches are held to it only until theirs. */
  timeoutMs?: number;
}

/** The longest line of a watch: an object of the largest size that the API takes, with room to spare. */
const MAX_LINE_BYTES = 8 << 20;
/** The largest answer that is read whole. */
const MAX_BODY_BYTES = 256 << 20;
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** The Kubernetes API over HTTPS (HTTP/1.1 with kept connections): the same calls against any server that speaks it. */
export class HttpsClient implements Client, AsyncDisposable {
  readonly #options: HttpsClientOptions;
  readonly #agent: https.Agent;
  readonly #base: URL;

  constructor(options: HttpsClientOptions) {
    this.#options = options;
    this.#base = new URL(options.server);
    const { credentials } = options;
    this.#agent = new https.Agent({
      keepAlive: true,
      maxSockets: 64,
      ca: options.ca,
      ...(credentials && "key" in credentials && { cert: credentials.certificate, key: credentials.key }),
    });
  }

  async get<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Encoded<T>> {
    return new Answer(await this.#json<T>("GET", pathOf(kind, key.namespace, key.name), { signal }));
  }

  async list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}): Promise<EncodedList<T>> {
    const { signal, limit, namespace, ...query } = options;
    const list = await this.#json<{ metadata: { resourceVersion: string; continue?: string }; items: T[] }>(
      "GET",
      pathOf(kind, namespace),
      { signal, query: { ...query, ...(limit !== undefined && { limit: String(limit) }) } },
    );
    // Lists of other servers leave out what the list's own kind says already.
    const items = list.items.map((item) => new Answer<T>({ ...item, apiVersion: apiVersionOf(kind), kind: kind.kind }));
    const next = list.metadata.continue;
    return {
      revision: list.metadata.resourceVersion,
      items,
      ...(next !== undefined && next !== "" && { continue: next }),
    };
  }

  async *watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>, void> {
    const { signal, namespace, sendInitialEvents, ...query } = options;
    let response: IncomingMessage;
    try {
      response = await this.#request("GET", pathOf(kind, namespace), {
        signal,
        query: {
          ...query,
          watch: "true",
          allowWatchBookmarks: "true",
          ...(sendInitialEvents && { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" }),
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    try {
      for await (const line of linesOf(response)) {
        const event = JSON.parse(line) as { type: string; object: T };
        switch (event.type) {
          case "ADDED":
          case "MODIFIED":
          case "DELETED":
            yield { type: event.type, object: new Answer(event.object) };
            break;
          case "BOOKMARK":
            yield {
              type: "BOOKMARK",
              revision: event.object.metadata.resourceVersion ?? "",
              initialEventsEnd: event.object.metadata.annotations?.[INITIAL_EVENTS_END] === "true",
            };
            break;
          case "ERROR":
            throw StatusError.fromStatus(event.object);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof StatusError ? error : unavailable(this.#base, error);
    } finally {
      response.destroy();
    }
  }

  async create<T extends KubeObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<Encoded<T>> {
    const { name = "", namespace = "" } = object.metadata;
    const path = options.subresource ? pathOf(kind, namespace, name, options.subresource) : pathOf(kind, namespace);
    const body = { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object };
    return new Answer(await this.#json<T>("POST", path, { body, ...writeQuery(options) }));
  }

  async update<T extends KubeObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<Encoded<T>> {
    const { name = "", namespace = "" } = object.metadata;
    const body = { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object };
    return new Answer(
      await this.#json<T>("PUT", pathOf(kind, namespace, name, options.subresource), { body, ...writeQuery(options) }),
    );
  }

  async patch<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<Encoded<T>> {
    const { query, signal } = writeQuery(options);
    const force = patch.type === "apply-patch+yaml" && patch.force ? { force: "true" } : {};
    return new Answer(
      await this.#json<T>("PATCH", pathOf(kind, key.namespace, key.name, options.subresource), {
        body: patch.body,
        contentType: `application/${patch.type}`,
        query: { ...query, ...force },
        signal,
      }),
    );
  }

  async delete<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    const { gracePeriodSeconds, propagationPolicy, preconditions } = options;
    await this.#json("DELETE", pathOf(kind, key.namespace, key.name, options.subresource), {
      body: { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds, propagationPolicy, preconditions },
      ...writeQuery(options),
    });
  }

  /** A request whose answer is not an object, e.g. a log: its body as it comes. */
  async raw(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<IncomingMessage> {
    return this.#request("GET", path, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
  }

  async #json<T>(method: string, path: string, request: Request): Promise<T> {
    const response = await this.#request(method, path, request);
    return JSON.parse(await textOf(response)) as T;
  }

  /** Sends a request and resolves with an answer that succeeded; any other is thrown as its Status. */
  async #request(method: string, path: string, request: Request): Promise<IncomingMessage> {
    const { credentials, userAgent, timeoutMs = 30_000 } = this.#options;
    const { body, contentType = "application/json", query = {}, signal } = request;
    const parameters = new URLSearchParams(
      Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    );
    const timeout = AbortSignal.timeout(timeoutMs);
    const head = new AbortController();
    const giveUp = (): void => head.abort(timeout.reason);
    timeout.addEventListener("abort", giveUp, { once: true });
    const call = https.request({
      agent: this.#agent,
      host: this.#base.hostname.replace(/^\[|\]$/g, ""),
      port: this.#base.port || 443,
      path: parameters.size > 0 ? `${path}?${parameters.toString()}` : path,
      method,
      headers: {
        accept: "application/json",
        "user-agent": userAgent,
        ...(credentials && "token" in credentials && { authorization: `Bearer ${credentials.token}` }),
        ...(body !== undefined && { "content-type": contentType }),
      },
      signal: signal ? AbortSignal.any([signal, head.signal]) : head.signal,
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
    let response: IncomingMessage;
    try {
      [response] = (await once(call, "response")) as [IncomingMessage];
    } catch (error) {
      signal?.throwIfAborted();
      throw unavailable(this.#base, timeout.aborted ? timeout.reason : error);
    } finally {
      timeout.removeEventListener("abort", giveUp);
    }
    if ((response.statusCode ?? 500) < 300) return response;
    throw statusOfAnswer(response.statusCode ?? 500, await textOf(response));
  }
}

interface Request {
  query?: Record<string, string | undefined>;
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal | undefined;
}

/** An object as an answer brought it, already decoded: encoded only when somebody wants the bytes. */
class Answer<T extends KubeObject> implements Encoded<T> {
  readonly #object: T;
  #bytes: Uint8Array | undefined;

  constructor(object: T) {
    this.#object = deepFreeze(object);
  }

  get key(): ObjectKey {
    return { namespace: this.#object.metadata.namespace ?? "", name: this.#object.metadata.name ?? "" };
  }

  get revision(): string {
    return this.#object.metadata.resourceVersion ?? "";
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= Buffer.from(JSON.stringify(this.#object)));
  }

  decode(): T {
    return this.#object;
  }
}

function pathOf(kind: Kind, namespace = "", name = "", subresource = ""): string {
  const group = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.namespaced && namespace !== "" ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const item = name === "" ? "" : `/${encodeURIComponent(name)}`;
  return `${group}${scope}/${kind.resource}${item}${subresource === "" ? "" : `/${subresource}`}`;
}

function writeQuery({ fieldManager, dryRun, signal }: WriteOptions): Pick<Request, "query" | "signal"> {
  return { query: { fieldManager, ...(dryRun && { dryRun: "All" }) } as Record<string, string | undefined>, signal };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error(`The answer is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      yield Buffer.concat(parts).toString("utf8");
      parts = [];
      size = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > MAX_LINE_BYTES) throw new Error(`A watch event is larger than ${MAX_LINE_BYTES} bytes`);
  }
}

/** A refusal as the API words it; anything else in its place, a proxy's page for one, keeps its code and its first words. */
function statusOfAnswer(code: number, text: string): StatusError {
  try {
    const status = JSON.parse(text) as { kind?: string };
    if (status.kind === "Status") return StatusError.fromStatus(status);
  } catch {
    // Not JSON: told below as it is.
  }
  return StatusError.fromStatus({
    kind: "Status",
    status: "Failure",
    code,
    message: text.slice(0, 200) || `HTTP ${code}`,
  });
}

const unavailable = (server: URL, cause: unknown): StatusError =>
  new StatusError("ServiceUnavailable", `The API at ${server.host} does not answer: ${(cause as Error).message}`, {
    cause,
  });
