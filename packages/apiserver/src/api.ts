import type { DeleteOptions, EncodedList, ListOptions, WatchEvent, WatchOptions } from "@skerry/client";
import type { Encoded, Kind, KubeObject, ObjectKey } from "@skerry/machinery";
import type { RequestContext } from "./request.ts";

/**
 * The verbs of the API on decoded input: what stands between a transport (HTTP, in-process) and storage.
 * The registry implements it once for all kinds. Authorization happens above it, admission below.
 */
export interface Api {
  /** Every served resource, in discovery order. */
  readonly resources: readonly Resource[];
  find(group: string, version: string, resource: string): Resource | undefined;

  get(context: RequestContext, resource: Resource, key: ObjectKey, subresource?: string): Promise<Encoded>;
  list(context: RequestContext, resource: Resource, options: ListOptions): Promise<ApiList>;
  watch(
    context: RequestContext,
    resource: Resource,
    options: WatchOptions & { allowBookmarks?: boolean },
  ): AsyncIterable<WatchEvent>;
  /** `name` is the parent's name when `subresource` is given (binding, token, eviction). */
  create(context: RequestContext, resource: Resource, request: CreateRequest): Promise<Encoded>;
  update(context: RequestContext, resource: Resource, key: ObjectKey, request: BodyRequest): Promise<WriteResult>;
  patch(context: RequestContext, resource: Resource, key: ObjectKey, request: PatchRequest): Promise<WriteResult>;
  delete(context: RequestContext, resource: Resource, key: ObjectKey, options: DeleteOptions): Promise<DeleteResult>;
  /** Deletes each selected object; the answer holds them as they were. */
  deleteCollection(
    context: RequestContext,
    resource: Resource,
    selection: ListOptions,
    options: DeleteOptions,
  ): Promise<ApiList>;
}

export interface ApiList extends EncodedList {
  /** ListMeta.remainingItemCount: known only for lists without selectors. */
  remaining?: number;
}

export interface WriteResult {
  object: Encoded;
  /** 201 rather than 200. */
  created: boolean;
}

/** `pending`: it waits for finalizers or its grace period, and `object` shows how; `gone`: it was removed, and `object` is its last state. */
export interface DeleteResult {
  outcome: "gone" | "pending";
  object: Encoded;
}

/** An object as the client sent it, before defaults and before it is held against its schema. */
export interface DecodedBody {
  object: KubeObject;
  /**
   * What the decoder noticed in the text, such as `duplicate field "spec.replicas"`. The registry, which knows the schema, adds unknown fields,
   * and `fieldValidation` says what becomes of both.
   */
  problems: readonly string[];
}

/**
 * Answers a create of something that is computed and never stored: a review, a token. Given to the registry by
 * `resource.group` (`selfsubjectaccessreviews.authorization.k8s.io`) or with a subresource (`serviceaccounts/token`).
 */
export type VirtualHandler = (context: RequestContext, request: CreateRequest) => Promise<KubeObject>;

export interface BodyRequest {
  body: DecodedBody;
  subresource?: string;
}

export interface CreateRequest extends BodyRequest {
  namespace: string;
  name?: string;
}

export interface PatchRequest {
  /** Media type without parameters. */
  type:
    | "application/json-patch+json"
    | "application/merge-patch+json"
    | "application/strategic-merge-patch+json"
    | "application/apply-patch+yaml";
  /** The decoded patch document, with the decoder's complaints (duplicate fields). */
  body: unknown;
  problems: readonly string[];
  force?: boolean;
  subresource?: string;
}

/** A served kind with everything that transports need to know of it. */
export interface Resource {
  readonly kind: Kind;
  readonly verbs: readonly Verb[];
  readonly subresources: readonly Subresource[];
  /** Columns of `kubectl get`, after the name; or with it, where a column of format `name` stands among them. */
  readonly columns: readonly Column[];
  /** Whether the object has parts that a status update alone may change. */
  readonly hasStatus: boolean;
}

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

export interface Subresource {
  readonly name: string;
  readonly verbs: readonly Verb[];
  /** The kind of its body when it is another than the parent's, e.g. autoscaling/v1 Scale. */
  readonly kind?: Pick<Kind, "group" | "version" | "kind" | "schema">;
  /** `stream`: answered by the node (log); everything else goes through the registry. */
  readonly stream?: boolean;
}

/** One column of a Table (KEP-193). `priority` 1 is shown by `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  readonly format?: string;
  readonly description: string;
  readonly priority: 0 | 1;
  /** The cell for an object; `nowMs` is the wall time of the request, for ages. */
  cell(object: KubeObject, nowMs: number): string | number | boolean;
}
