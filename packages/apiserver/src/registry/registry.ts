import { randomUUID } from "node:crypto";
import { systemClock, type Clock } from "@skerry/base";
import type { DeleteOptions, ListOptions, WatchEvent, WatchOptions } from "@skerry/client";
import {
  CreatedFields,
  definition,
  isNotFound,
  kinds,
  methodNotAllowed,
  notFound,
  resourceOf,
  Shapes,
  type Encoded,
  type FieldError,
  type Kind,
  type KubeObject,
  type ObjectKey,
  invalid,
} from "@skerry/machinery";
import type { AdmissionPlugin } from "../admission/admission.ts";
import type {
  Api,
  ApiList,
  BodyRequest,
  CreateRequest,
  DeleteResult,
  PatchRequest,
  Resource,
  VirtualHandler,
  WriteResult,
} from "../api.ts";
import { kindRows } from "../kinds/rows.ts";
import type { RequestContext } from "../request.ts";
import type { Storage } from "../storage.ts";
import { acceptBody } from "./accept.ts";
import { locked, resourceName, type Core, type UnsupportedNotice } from "./core.ts";
import { createObject } from "./create.ts";
import { deleteObject } from "./delete.ts";
import { Detached } from "./encoding.ts";
import { ALL_VERBS, type ActRow, type KindRow, type SubresourceRow, type ViewRow } from "./kind-row.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { listObjects } from "./list.ts";
import { patchObject } from "./patch.ts";
import { changeObject, checkIdentity } from "./update.ts";
import { viewOf, wholeView } from "./views.ts";
import { watchObjects } from "./watch.ts";

export interface RegistryOptions {
  storage: Storage;
  admission?: readonly AdmissionPlugin[];
  /** What answers creates of what isn't stored, by resource; see `VirtualHandler`. */
  virtual?: Readonly<Record<string, VirtualHandler>>;
  /** The kinds that are served; all of Skerry's when absent. */
  rows?: readonly KindRow[];
  clock?: Clock;
  random?: () => number;
  newUid?: () => string;
  /** Hears of what was written and has no effect yet, after the commit; must not throw. */
  onUnsupported?: (notice: UnsupportedNotice) => void;
}

/** Kinds that are asked and answered, and never stored. */
const VIRTUAL_KINDS: readonly Kind[] = [
  kinds.SelfSubjectReview,
  kinds.TokenReview,
  kinds.LocalSubjectAccessReview,
  kinds.SelfSubjectAccessReview,
  kinds.SelfSubjectRulesReview,
  kinds.SubjectAccessReview,
];

/** How many deletions of a collection are on their way at once. */
const COLLECTION_WIDTH = 32;

/** The verbs of the API for every kind alike. What is special about a kind stands in its row. */
export class Registry implements Api {
  readonly resources: readonly Resource[];
  readonly #core: Core;
  readonly #virtual: Readonly<Record<string, VirtualHandler>>;
  readonly #rows = new Map<Resource, { row: KindRow; whole: ViewRow }>();
  readonly #byPath = new Map<string, Resource>();

  constructor(options: RegistryOptions) {
    const clock = options.clock ?? systemClock;
    const shapes = new Shapes(definition);
    this.#core = {
      storage: options.storage,
      admission: options.admission ?? [],
      locks: new KeyedLock(),
      clock,
      random: options.random ?? Math.random,
      newUid: options.newUid ?? randomUUID,
      shapes,
      createdFields: new CreatedFields(shapes),
      onUnsupported: options.onUnsupported,
      departed: new WeakMap(),
    };
    this.#virtual = options.virtual ?? {};
    const resources: Resource[] = [];
    for (const row of options.rows ?? kindRows(() => clock.now())) {
      const resource = resourceOfRow(row, this.#virtual);
      this.#rows.set(resource, { row, whole: wholeView(row) });
      resources.push(resource);
    }
    for (const kind of VIRTUAL_KINDS) {
      if (!this.#virtual[resourceOf(kind)]) continue;
      resources.push({ kind, verbs: ["create"], subresources: [], columns: [], hasStatus: false });
    }
    this.resources = resources;
    for (const resource of resources) {
      const { group, version, resource: plural } = resource.kind;
      this.#byPath.set(`${group}/${version}/${plural}`, resource);
    }
  }

  find(group: string, version: string, resource: string): Resource | undefined {
    return this.#byPath.get(`${group}/${version}/${resource}`);
  }

  async get(_context: RequestContext, resource: Resource, key: ObjectKey, subresource?: string): Promise<Encoded> {
    const { row } = this.#served(resource);
    const object = this.#core.storage.get(resourceName(row), key);
    if (!object) throw notFound(row.kind, key.name);
    if (!subresource) return object;
    const view = this.#view(resource, subresource);
    return viewOf(view, object);
  }

  list(_context: RequestContext, resource: Resource, options: ListOptions): Promise<ApiList> {
    return listObjects(this.#core, this.#served(resource).row, options);
  }

  watch(
    _context: RequestContext,
    resource: Resource,
    options: WatchOptions & { allowBookmarks?: boolean },
  ): AsyncIterable<WatchEvent> {
    return watchObjects(this.#core, this.#served(resource).row, options);
  }

  async create(context: RequestContext, resource: Resource, request: CreateRequest): Promise<Encoded> {
    const served = this.#rows.get(resource);
    if (!served) return this.#answer(context, resource.kind, resourceOf(resource.kind), request);
    if (request.subresource) return this.#act(context, resource, request, request.subresource);
    const { row } = served;
    const draft = acceptBody(context, row.kind, request.body);
    return createObject(this.#core, context, row, { draft, namespace: request.namespace });
  }

  update(context: RequestContext, resource: Resource, key: ObjectKey, request: BodyRequest): Promise<WriteResult> {
    const { row } = this.#served(resource);
    return locked(this.#core, row, key, () => this.#updateLocked(context, resource, key, request));
  }

  async #updateLocked(
    context: RequestContext,
    resource: Resource,
    key: ObjectKey,
    request: BodyRequest,
  ): Promise<WriteResult> {
    const { row } = this.#served(resource);
    const view = this.#view(resource, request.subresource);
    const body = acceptBody(context, view.kind ?? row.kind, request.body);
    const { uid, resourceVersion } = body.metadata;
    checkIdentity(row, key, body, undefined);
    const object = await changeObject(this.#core, context, row, {
      key,
      view,
      propose: (current) => {
        checkIdentity(row, key, body, current);
        return body;
      },
    });
    if (object) return { object: viewOf(view, object), created: false };
    if (!row.createOnUpdate || view.name !== "" || uid || resourceVersion) throw notFound(row.kind, key.name);
    body.metadata.name = key.name;
    const created = await createObject(this.#core, context, row, { draft: body, namespace: key.namespace });
    return { object: created, created: true };
  }

  patch(context: RequestContext, resource: Resource, key: ObjectKey, request: PatchRequest): Promise<WriteResult> {
    const { row } = this.#served(resource);
    return patchObject(this.#core, context, row, key, this.#view(resource, request.subresource), request);
  }

  delete(context: RequestContext, resource: Resource, key: ObjectKey, options: DeleteOptions): Promise<DeleteResult> {
    return deleteObject(this.#core, context, this.#served(resource).row, key, options);
  }

  async deleteCollection(
    context: RequestContext,
    resource: Resource,
    selection: ListOptions,
    options: DeleteOptions,
  ): Promise<ApiList> {
    const { row } = this.#served(resource);
    const list = await listObjects(this.#core, row, selection);
    for (let i = 0; i < list.items.length; i += COLLECTION_WIDTH) {
      context.signal.throwIfAborted();
      const part = list.items.slice(i, i + COLLECTION_WIDTH);
      await Promise.all(part.map(({ key }) => this.#deleteIfThere(context, row, key, options)));
    }
    return list;
  }

  async #deleteIfThere(context: RequestContext, row: KindRow, key: ObjectKey, options: DeleteOptions): Promise<void> {
    try {
      await deleteObject(this.#core, context, row, key, options);
    } catch (error) {
      // Somebody else deleted it first, which is as good.
      if (!isNotFound(error)) throw error;
    }
  }

  /** A create under an object: binding, eviction, token. */
  async #act(context: RequestContext, resource: Resource, request: CreateRequest, name: string): Promise<Encoded> {
    const { row } = this.#served(resource);
    const act = row.subresources?.find((sub): sub is ActRow => sub.form === "act" && sub.name === name);
    if (!act) throw methodNotAllowed(row.kind, "create");
    if (act.virtual) return this.#answer(context, act.kind, `${resourceOf(row.kind)}/${name}`, request);

    const key = { namespace: request.namespace, name: request.name ?? "" };
    const body = acceptBody(context, act.kind, request.body);
    const errors: FieldError[] = [];
    act.validate?.(body, errors);
    if (errors.length > 0) throw invalid(act.kind, key.name, errors);
    if (act.deletion) {
      const options = act.deletion(body);
      const dryRun = context.dryRun || options.dryRun === true;
      await deleteObject(this.#core, { ...context, dryRun }, row, key, options);
      return success();
    }
    const view: ViewRow = { form: "view", name, verbs: [], write: (wanted, old) => act.write?.(wanted, old) ?? old };
    const changed = await locked(this.#core, row, key, () =>
      changeObject(this.#core, context, row, { key, view, propose: () => body }),
    );
    if (!changed) throw notFound(row.kind, key.name);
    return success();
  }

  async #answer(context: RequestContext, kind: Kind, name: string, request: CreateRequest): Promise<Encoded> {
    const handler = this.#virtual[name];
    if (!handler) throw methodNotAllowed(kind, "create");
    const object = acceptBody(context, kind, request.body);
    return new Detached(await handler(context, { ...request, body: { object, problems: [] } }));
  }

  #served(resource: Resource): { row: KindRow; whole: ViewRow } {
    const served = this.#rows.get(resource);
    if (!served) throw methodNotAllowed(resource.kind, "this request");
    return served;
  }

  #view(resource: Resource, subresource: string | undefined): ViewRow {
    const { row, whole } = this.#served(resource);
    if (!subresource) return whole;
    const view = row.subresources?.find((sub): sub is ViewRow => sub.form === "view" && sub.name === subresource);
    if (!view) throw notFound(row.kind, subresource);
    return view;
  }
}

/** The answer to an act. */
const success = (): Encoded =>
  new Detached({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 } as KubeObject);

function resourceOfRow(row: KindRow, virtual: Readonly<Record<string, VirtualHandler>>): Resource {
  const isServed = (sub: SubresourceRow): boolean =>
    sub.form !== "act" || !sub.virtual || virtual[`${resourceOf(row.kind)}/${sub.name}`] !== undefined;
  return {
    kind: row.kind,
    verbs: row.verbs ?? ALL_VERBS,
    subresources: (row.subresources ?? []).filter(isServed).map((sub) => ({
      name: sub.name,
      verbs: sub.verbs,
      ...(sub.form !== "stream" && sub.kind && { kind: sub.kind }),
      ...(sub.form === "stream" && { stream: true }),
    })),
    columns: row.columns,
    hasStatus: row.hasStatus === true,
  };
}
