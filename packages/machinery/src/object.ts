/**
 * The object model: what every Kubernetes object has in common.
 * Source: Kubernetes API conventions, "Objects" and "Metadata".
 */

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Who set which fields; the unit of server-side apply (KEP-555). */
export interface ManagedFieldsEntry {
  manager?: string;
  operation?: "Apply" | "Update";
  apiVersion?: string;
  /** RFC 3339, whole seconds. */
  time?: string;
  fieldsType?: string;
  fieldsV1?: FieldsV1;
  subresource?: string;
}

/** A set of field paths as nested objects, keys `f:`, `k:`, `v:`, `i:` and `.`. */
export interface FieldsV1 {
  [key: string]: FieldsV1;
}

export interface ObjectMeta {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  /** Opaque to clients; here the decimal revision of the last write. */
  resourceVersion?: string;
  generation?: number;
  /** RFC 3339, whole seconds. */
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: ManagedFieldsEntry[];
}

/** Any Kubernetes object. Typed kinds extend it. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** A JSON value, as objects of unknown kinds are made of. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Names one object of a kind. Cluster-scoped kinds have the namespace "". */
export interface ObjectKey {
  namespace: string;
  name: string;
}

/** `namespace/name`, or the name alone for a cluster-scoped object: the form of work-queue keys and messages. */
export const keyString = (key: ObjectKey): string => (key.namespace === "" ? key.name : `${key.namespace}/${key.name}`);

/**
 * One version of one object, as store, API and client pass it around: encoded once, decoded when somebody looks.
 * Immutable. The bytes may be shared by every watcher and must not be changed.
 */
export interface Encoded<T extends KubeObject = KubeObject> {
  /** Which object it is, known without decoding. */
  readonly key: ObjectKey;
  /** metadata.resourceVersion. */
  readonly revision: string;
  /** The object as UTF-8 JSON, `apiVersion` and `kind` included. */
  readonly bytes: Uint8Array;
  /** The object, deeply frozen. Calling it again may return the same one. */
  decode(): T;
}

/** Freezes a JSON value through and through and returns it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    if (Array.isArray(value)) for (const item of value) deepFreeze(item as unknown);
    else for (const name in value) deepFreeze(value[name]);
  }
  return value;
}
