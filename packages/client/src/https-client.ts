import type { IncomingMessage } from "node:http";
import { systemClock, type Clock } from "@skerry/base";
import { apiVersionOf, StatusError, type Encoded, type Kind, type KubeObject, type ObjectKey } from "@skerry/machinery";
import { Answer } from "./answer.ts";
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
import { HttpsTransport, type HttpsRequest, type HttpsTransportOptions, type OpenAnswer } from "./https-transport.ts";

export type HttpsClientOptions = HttpsTransportOptions;

/** The longest line of a watch: an object of the largest size that the API takes, with room to spare. */
const MAX_LINE_BYTES = 8 << 20;
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";
/** After how long the server is to end a watch: at least so long, at most twice as long, so that not all come back at once. */
const WATCH_SECONDS = 300;
/** How much later than that an end is taken for one that will never come, in milliseconds. */
const WATCH_OVERDUE_MS = 30_000;

/** The Kubernetes API over HTTPS: the same calls against any server that speaks it. */
export class HttpsClient implements Client, AsyncDisposable {
  readonly #transport: HttpsTransport;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(options: HttpsClientOptions) {
    this.#transport = new HttpsTransport(options);
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
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
    const list = await this.#json<{ metadata: { resourceVersion: string; continue?: string }; items: T[] | null }>(
      "GET",
      pathOf(kind, namespace),
      { signal, query: { ...query, ...(limit !== undefined && { limit: String(limit) }) } },
    );
    // Lists of other servers leave out what the list's own kind says already, and an empty one may be null.
    const items = (list.items ?? []).map(
      (item) => new Answer<T>({ ...item, apiVersion: apiVersionOf(kind), kind: kind.kind }),
    );
    const next = list.metadata.continue;
    return {
      revision: list.metadata.resourceVersion,
      items,
      ...(next !== undefined && next !== "" && { continue: next }),
    };
  }

  async *watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>, void> {
    const { signal, namespace, sendInitialEvents, ...query } = options;
    const seconds = Math.ceil(WATCH_SECONDS * (1 + this.#random()));
    let answer: OpenAnswer | undefined;
    let cancelOverdue: (() => void) | undefined;
    try {
      const { response } = (answer = await this.#transport.open(pathOf(kind, namespace), {
        signal,
        query: {
          ...query,
          watch: "true",
          allowWatchBookmarks: "true",
          timeoutSeconds: String(seconds),
          ...(sendInitialEvents && { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" }),
        },
      }));
      cancelOverdue = this.#clock.after(seconds * 1000 + WATCH_OVERDUE_MS, () =>
        response.destroy(new Error("the watch is long over its time")),
      );
      for await (const line of linesOf(response)) {
        if (signal.aborted) return;
        yield eventOf(JSON.parse(line) as WireEvent<T>);
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof StatusError ? error : this.#transport.unavailable(error);
    } finally {
      cancelOverdue?.();
      answer?.end();
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
    await this.#json("DELETE", pathOf(kind, key.namespace, key.name), {
      body: { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds, propagationPolicy, preconditions },
      ...writeQuery(options),
    });
  }

  /** A request whose answer is not an object, e.g. a log: its body as it comes. Whoever asks destroys it when he has enough. */
  async raw(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<IncomingMessage> {
    const { response, end } = await this.#transport.open(path, { signal });
    response.once("close", end);
    return response;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport.destroy();
  }

  async #json<T>(method: string, path: string, request: HttpsRequest): Promise<T> {
    const text = await this.#transport.call(method, path, request);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw this.#transport.unavailable(error);
    }
  }
}

interface WireEvent<T> {
  type: string;
  object: T;
}

/** Throws the Status that an ERROR event carries. */
function eventOf<T extends KubeObject>({ type, object }: WireEvent<T>): WatchEvent<T> {
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type, object: new Answer(object) };
    case "BOOKMARK":
      return {
        type,
        revision: object.metadata.resourceVersion ?? "",
        initialEventsEnd: object.metadata.annotations?.[INITIAL_EVENTS_END] === "true",
      };
    default:
      throw StatusError.fromStatus(object);
  }
}

function pathOf(kind: Kind, namespace = "", name = "", subresource = ""): string {
  const group = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.namespaced && namespace !== "" ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const item = name === "" ? "" : `/${encodeURIComponent(name)}`;
  return `${group}${scope}/${kind.resource}${item}${subresource === "" ? "" : `/${subresource}`}`;
}

function writeQuery({ fieldManager, dryRun, signal }: WriteOptions): Pick<HttpsRequest, "query" | "signal"> {
  return { query: { fieldManager, ...(dryRun && { dryRun: "All" }) } as Record<string, string | undefined>, signal };
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
    if (size > MAX_LINE_BYTES) throw new Error(`a watch event is larger than ${MAX_LINE_BYTES} bytes`);
  }
}
