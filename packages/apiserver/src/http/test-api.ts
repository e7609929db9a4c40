import type { EncodedList, ListOptions, WatchEvent } from "@skerry/client";
import {
  alreadyExists,
  badRequest,
  keyString,
  notFound,
  type Encoded,
  type Kind,
  type KubeObject,
  type ObjectKey,
} from "@skerry/machinery";
import type { Api, CreateRequest, Resource, Verb } from "../api.ts";
import type { RequestContext } from "../request.ts";

const VERBS: readonly Verb[] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

const kind = (resource: string, name: string, rest: Partial<Kind> = {}): Kind => ({
  group: "",
  version: "v1",
  kind: name,
  resource,
  singular: name.toLowerCase(),
  namespaced: true,
  shortNames: [],
  categories: [],
  schema: `io.k8s.api.core.v1.${name}`,
  ...rest,
});

const resource = (of: Kind, rest: Partial<Resource> = {}): Resource => ({
  kind: of,
  verbs: VERBS,
  subresources: [],
  columns: [],
  hasStatus: false,
  ...rest,
});

/** An object as bytes, the way storage gives it out. */
export function encoded<T extends KubeObject>(object: T): Encoded<T> {
  const { namespace = "", name = "", resourceVersion = "1" } = object.metadata;
  const bytes = Buffer.from(JSON.stringify(object));
  return { key: { namespace, name }, revision: resourceVersion, bytes, decode: () => object };
}

export const pod = (name: string, rest: object = {}): Encoded =>
  encoded({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", resourceVersion: "7" }, ...rest });

/**
 * The least `Api` that the HTTP face can be tried with: it keeps what it is given, records what it is asked, and lets a test publish events.
 * What verbs mean is the registry's, and is tested there.
 */
export class TestApi implements Api {
  readonly resources: readonly Resource[] = [
    resource(kind("pods", "Pod", { shortNames: ["po"], categories: ["all"] }), {
      columns: [
        {
          name: "Ready",
          type: "string",
          description: "How many containers are ready.",
          priority: 0,
          cell: () => "1/1",
        },
        { name: "IP", type: "string", description: "The address.", priority: 1, cell: () => "10.0.0.1" },
      ],
      subresources: [
        { name: "log", verbs: ["get"], stream: true },
        { name: "status", verbs: ["get", "patch", "update"] },
      ],
    }),
    resource(kind("namespaces", "Namespace", { namespaced: false })),
    resource(kind("deployments", "Deployment", { group: "apps", schema: "io.k8s.api.apps.v1.Deployment" }), {
      subresources: [
        {
          name: "scale",
          verbs: ["get", "update"],
          kind: { group: "autoscaling", version: "v1", kind: "Scale", schema: "io.k8s.api.autoscaling.v1.Scale" },
        },
      ],
    }),
    resource(kind("reviews", "Review", { group: "authorization.k8s.io", namespaced: false }), { verbs: ["create"] }),
  ];
  readonly objects = new Map<string, Encoded>();
  /** The requests that came through, as they came. */
  readonly calls: { verb: string; context: RequestContext; argument: unknown }[] = [];
  /** Replaces what a watch yields. */
  events: (signal: AbortSignal) => AsyncIterable<WatchEvent> = async function* () {};
  warning: string | undefined;

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.resources.find(
      (candidate) =>
        candidate.kind.group === group && candidate.kind.version === version && candidate.kind.resource === plural,
    );
  }

  async get(context: RequestContext, of: Resource, key: ObjectKey): Promise<Encoded> {
    this.#note("get", context, key);
    const found = this.objects.get(keyString(key));
    if (!found) throw notFound(of.kind, key.name);
    return found;
  }

  async list(context: RequestContext, _: Resource, options: ListOptions): Promise<EncodedList> {
    this.#note("list", context, options);
    if (options.labelSelector === "broken") throw new Error("the inside of the server, which nobody should see");
    return { revision: "12", items: [...this.objects.values()] };
  }

  watch(context: RequestContext, _: Resource, options: { signal: AbortSignal }): AsyncIterable<WatchEvent> {
    this.#note("watch", context, options);
    return this.events(options.signal);
  }

  async create(context: RequestContext, of: Resource, request: CreateRequest): Promise<Encoded> {
    this.#note("create", context, request);
    const { object } = request.body;
    const key = { namespace: request.namespace, name: object.metadata.name ?? "" };
    if (this.objects.has(keyString(key))) throw alreadyExists(of.kind, key.name);
    const made = encoded({ ...object, metadata: { ...object.metadata, ...key, resourceVersion: "13" } });
    this.objects.set(keyString(key), made);
    return made;
  }

  async update(context: RequestContext, of: Resource, key: ObjectKey, request: unknown): ReturnType<Api["update"]> {
    this.#note("update", context, request);
    return { object: await this.get(context, of, key), created: false };
  }

  async patch(context: RequestContext, of: Resource, key: ObjectKey, request: unknown): ReturnType<Api["patch"]> {
    this.#note("patch", context, request);
    return { object: await this.get(context, of, key), created: false };
  }

  async delete(context: RequestContext, of: Resource, key: ObjectKey, options: unknown): ReturnType<Api["delete"]> {
    this.#note("delete", context, options);
    const object = await this.get(context, of, key);
    this.objects.delete(keyString(key));
    return { outcome: "gone", object };
  }

  async deleteCollection(context: RequestContext, of: Resource, selection: ListOptions): Promise<EncodedList> {
    this.#note("deletecollection", context, selection);
    if (selection.limit === 0) throw badRequest("nothing selected");
    const all = await this.list(context, of, selection);
    this.objects.clear();
    return all;
  }

  /** The newest call of a verb; throws when there was none. */
  last<T>(verb: string): { context: RequestContext; argument: T } {
    const call = this.calls.findLast((candidate) => candidate.verb === verb);
    if (!call) throw new Error(`Nobody asked to ${verb}`);
    return { context: call.context, argument: call.argument as T };
  }

  #note(verb: string, context: RequestContext, argument: unknown): void {
    this.calls.push({ verb, context, argument });
    if (this.warning !== undefined) context.warn(this.warning);
  }
}

/** Events of a watch that has none, until it is ended. */
export async function* silence(signal: AbortSignal): AsyncGenerator<WatchEvent> {
  yield* [];
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

/** Events of a watch that fails after `before`. */
export async function* failing(error: Error, before: readonly WatchEvent[] = []): AsyncGenerator<WatchEvent> {
  yield* before;
  throw error;
}
