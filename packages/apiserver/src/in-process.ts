import type {
  Client,
  DeleteOptions,
  EncodedList,
  ListOptions,
  Patch,
  Selection,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "@skerry/client";
import {
  exactFieldValue,
  parseFieldSelector,
  resourceNotFound,
  type Encoded,
  type Kind,
  type KubeObject,
  type ObjectKey,
} from "@skerry/machinery";
import type { Api, PatchRequest, Resource, Verb } from "./api.ts";
import { demand, type Authorizer } from "./auth/authorizer.ts";
import type { RequestContext, UserInfo } from "./request.ts";

export interface InProcessClientOptions {
  api: Api;
  authorizer: Authorizer;
  /** In whose name everything is asked. */
  user: UserInfo;
  /** Hears what an HTTP client would see as `Warning:`. */
  warn?: (text: string) => void;
}

/**
 * A client that calls the API in its own process: the same authorization, registry and answers as over HTTPS, without
 * encoding anything again.
 */
export function inProcessClient(options: InProcessClientOptions): Client {
  return new InProcessClient(options);
}

/** What a request is about, for authorization. */
interface Target {
  verb: Verb;
  subresource?: string | undefined;
  namespace?: string | undefined;
  name?: string | undefined;
}

class InProcessClient implements Client {
  readonly #api: Api;
  readonly #authorizer: Authorizer;
  readonly #user: UserInfo;
  readonly #warn: (text: string) => void;

  constructor({ api, authorizer, user, warn }: InProcessClientOptions) {
    this.#api = api;
    this.#authorizer = authorizer;
    this.#user = user;
    this.#warn = warn ?? (() => undefined);
  }

  async get<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options: { signal?: AbortSignal } = {},
  ): Promise<Encoded<T>> {
    options.signal?.throwIfAborted();
    const resource = this.#allowed(kind, { verb: "get", ...key });
    return (await this.#api.get(this.#context(options), resource, key)) as Encoded<T>;
  }

  async list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}): Promise<EncodedList<T>> {
    options.signal?.throwIfAborted();
    const resource = this.#allowed(kind, { verb: "list", ...placeOf(options) });
    return (await this.#api.list(this.#context(options), resource, options)) as EncodedList<T>;
  }

  async *watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const resource = this.#allowed(kind, { verb: "watch", ...placeOf(options) });
    const events = this.#api.watch(this.#context(options), resource, { ...options, allowBookmarks: true });
    yield* events as AsyncIterable<WatchEvent<T>>;
  }

  async create<T extends KubeObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<Encoded<T>> {
    options.signal?.throwIfAborted();
    const { subresource } = options;
    const { name = "", namespace = "" } = object.metadata;
    const resource = this.#allowed(kind, { verb: "create", namespace, subresource, ...(subresource && { name }) });
    const created = await this.#api.create(this.#context(options), resource, {
      namespace,
      body: { object, problems: [] },
      ...(name !== "" && { name }),
      ...(subresource && { subresource }),
    });
    return created as Encoded<T>;
  }

  async update<T extends KubeObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<Encoded<T>> {
    options.signal?.throwIfAborted();
    const { name = "", namespace = "" } = object.metadata;
    const key = { name, namespace };
    const resource = this.#allowed(kind, { verb: "update", subresource: options.subresource, ...key });
    const { object: written } = await this.#api.update(this.#changing(kind, key, options), resource, key, {
      body: { object, problems: [] },
      ...(options.subresource && { subresource: options.subresource }),
    });
    return written as Encoded<T>;
  }

  async patch<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<Encoded<T>> {
    options.signal?.throwIfAborted();
    const resource = this.#allowed(kind, { verb: "patch", subresource: options.subresource, ...key });
    const request: PatchRequest = {
      type: `application/${patch.type}`,
      body: patch.body,
      problems: [],
      ...("force" in patch && patch.force !== undefined && { force: patch.force }),
      ...(options.subresource && { subresource: options.subresource }),
    };
    const { object } = await this.#api.patch(this.#changing(kind, key, options), resource, key, request);
    return object as Encoded<T>;
  }

  async delete<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options: DeleteOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const resource = this.#allowed(kind, { verb: "delete", ...key });
    await this.#api.delete(this.#context(options), resource, key, options);
  }

  /** The resource of a kind, once the user may do that with it. */
  #allowed(kind: Kind, { verb, subresource = "", namespace = "", name = "" }: Target): Resource {
    const { group, version, resource } = kind;
    demand(this.#authorizer, this.#user, { verb, group, version, resource, subresource, namespace, name });
    const served = this.#api.find(group, version, resource);
    const verbs =
      subresource === "" ? served?.verbs : served?.subresources.find((sub) => sub.name === subresource)?.verbs;
    if (!served || !verbs?.includes(verb)) throw resourceNotFound();
    return served;
  }

  /** The context of a write that may turn out to make the object: only who may create may do that. */
  #changing({ group, version, resource }: Kind, key: ObjectKey, options: WriteOptions): RequestContext {
    const attributes = { verb: "create", group, version, resource, subresource: "", ...key };
    return {
      ...this.#context(options),
      authorizeCreate: () => demand(this.#authorizer, this.#user, attributes),
    };
  }

  #context({ dryRun, fieldManager, signal }: WriteOptions): RequestContext {
    return {
      user: this.#user,
      fieldManager: fieldManager ?? this.#user.name,
      dryRun: dryRun === true,
      fieldValidation: "Warn",
      warn: this.#warn,
      signal: signal ?? NEVER,
    };
  }
}

/** A signal that nobody aborts. */
const NEVER = new AbortController().signal;

/** A list that can only mean one object is a request for that object, as roles with resourceNames have it. */
function placeOf({ namespace, fieldSelector }: Selection): { namespace?: string; name?: string } {
  const name = fieldSelector ? exactFieldValue(parseFieldSelector(fieldSelector), "metadata.name") : undefined;
  return { ...(namespace !== undefined && { namespace }), ...(name !== undefined && { name }) };
}
