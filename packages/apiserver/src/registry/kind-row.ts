import type { FieldError, FieldSet, Kind, KubeObject } from "@skerry/machinery";
import type { Column, Verb } from "../api.ts";
import type { DeleteOptions } from "@skerry/client";

/**
 * What the registry must know of a kind beyond its schema: everything that makes a Pod differ from a Secret on its way
 * through the API. Drafts are plain objects that a hook may change; other objects may be frozen.
 */
export interface KindRow<T extends KubeObject = KubeObject> {
  readonly kind: Kind<T>;
  /** All verbs when absent. */
  readonly verbs?: readonly Verb[];
  readonly columns: readonly Column[];
  /** The fields that selectors may name, besides metadata.name and metadata.namespace. */
  readonly selectable?: Readonly<Record<string, (object: T) => string>>;
  /** `status` is written through its subresource alone. */
  readonly hasStatus?: boolean;
  /** The first status comes with the object itself. */
  readonly keepsStatusOnCreate?: boolean;
  /** PUT to a name that doesn't exist creates the object. */
  readonly createOnUpdate?: boolean;
  /** False: an update must name the resourceVersion that it replaces. */
  readonly unconditionalUpdate?: boolean;
  /** Objects vanish when they were not written for so long, in milliseconds. */
  readonly ttlMs?: number;
  /** False: the garbage collector doesn't know the kind, and propagation policies mean nothing to it. */
  readonly collected?: boolean;
  /** What is wrong with a name; `prefix` when it will be completed (metadata.generateName). */
  readonly name?: (name: string, prefix: boolean) => string[];
  /** Whether the difference counts as a change of what is wanted, so that metadata.generation grows. Absent: the kind has no generation. */
  generation?(draft: T, old: T): boolean;

  /** Fills in what the client left out. Called again for each write; must not change its own result. */
  defaults?(draft: T): void;
  /** Sets what only the server may set, after admission. */
  prepareForCreate?(draft: T): void;
  prepareForUpdate?(draft: T, old: T): void;
  validate?(object: T, errors: FieldError[]): void;
  /** What may not change, besides `validate`. */
  validateUpdate?(object: T, old: T, errors: FieldError[]): void;
  /** What of it is accepted and has no effect yet, a line each: told to the client, and in an event on the object. */
  unsupported?(object: T): readonly string[];

  /** Seconds until a deletion takes effect; absent: the kind has no graceful deletion. */
  gracePeriod?(object: T, asked: number | undefined): number;
  /** Something else than metadata.finalizers keeps a deleted object. */
  holdsDeletion?(object: T): boolean;
  /** Shows in the draft that deletion has begun. */
  markDeleted?(draft: T): void;

  readonly subresources?: readonly SubresourceRow<T>[];
}

/** A part of an object, or an act on it, with a path of its own under the object's. */
export type SubresourceRow<T extends KubeObject = KubeObject> = ViewRow<T> | ActRow<T> | StreamRow;

/** Shows an object in another form, and takes that form back: status, scale, finalize. */
export interface ViewRow<T extends KubeObject = KubeObject> {
  readonly form: "view";
  readonly name: string;
  readonly verbs: readonly Verb[];
  /** When its body is another kind than the object. */
  readonly kind?: Kind;
  /** Fields that this view doesn't own, whatever the body says (KEP-555 reset fields). */
  readonly resets?: FieldSet;
  /** Absent: the object itself. */
  read?(object: T): KubeObject;
  /** The whole object as this body wants it; metadata as the body has it is settled by the registry. */
  write(body: KubeObject, old: T): T;
  validate?(object: T, old: T, errors: FieldError[]): void;
}

/** Does something to an object when its body is posted: binding, eviction. */
export interface ActRow<T extends KubeObject = KubeObject> {
  readonly form: "act";
  readonly name: string;
  readonly verbs: readonly ["create"];
  readonly kind: Kind;
  /** The object after the act; throws StatusError when it cannot be. */
  write?(body: KubeObject, old: T): T;
  /** The act is a deletion with these options. */
  deletion?(body: KubeObject): DeleteOptions;
  validate?(body: KubeObject, errors: FieldError[]): void;
  /** Computed by a handler given to the registry, with nothing stored. */
  readonly virtual?: true;
}

/** Answered by the node. */
export interface StreamRow {
  readonly form: "stream";
  readonly name: string;
  readonly verbs: readonly Verb[];
}

export const ALL_VERBS = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "update",
  "watch",
] as const satisfies readonly Verb[];
