import type { Encoded, Kind, KubeObject, ObjectKey } from "@skerry/machinery";

/** Which objects of a kind a list or watch is about. */
export interface Selection {
  /** All namespaces when absent. */
  namespace?: string;
  /** Selector strings as in URLs: `app=web,tier in (a,b)`. */
  labelSelector?: string;
  fieldSelector?: string;
}

export interface ListOptions extends Selection {
  /** The most items in the answer; the rest follows with `continue`. */
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: "Exact" | "NotOlderThan";
  signal?: AbortSignal;
}

export interface EncodedList<T extends KubeObject = KubeObject> {
  /** The revision of the snapshot; a watch from here misses nothing. */
  revision: string;
  items: Encoded<T>[];
  continue?: string;
}

export interface WatchOptions extends Selection {
  /** Changes after this revision; absent or "0": what there is first, as ADDED, then changes. */
  resourceVersion?: string;
  /** KEP-3157: what there is first, then a bookmark with `initialEventsEnd`, then changes. */
  sendInitialEvents?: boolean;
  /** Ends the watch without error. */
  signal: AbortSignal;
}

export type WatchEvent<T extends KubeObject = KubeObject> =
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: Encoded<T> }
  /** Nothing older than `revision` will come any more. */
  | { type: "BOOKMARK"; revision: string; initialEventsEnd: boolean };

export interface WriteOptions {
  /** The field manager that owns what is written (KEP-555). What the client calls itself when absent. */
  fieldManager?: string;
  dryRun?: boolean;
  /** `status`, `scale`, `binding`, …: absent for the object itself. */
  subresource?: string;
  signal?: AbortSignal;
}

/** A change to an object. The types are the media types of the Kubernetes API without `application/`. */
export type Patch =
  | { type: "json-patch+json" | "merge-patch+json" | "strategic-merge-patch+json"; body: unknown }
  | { type: "apply-patch+yaml"; body: unknown; force?: boolean };

export interface DeleteOptions {
  dryRun?: boolean;
  signal?: AbortSignal;
  /** How long a pod may take to end; 0 removes it from the API at once, whatever becomes of it on its node. */
  gracePeriodSeconds?: number;
  propagationPolicy?: "Background" | "Foreground" | "Orphan";
  preconditions?: { uid?: string; resourceVersion?: string };
}

/**
 * The Kubernetes API as the rest of the cloud sees it, whether a direct call into the embedded API server or HTTPS to
 * any Kubernetes. Failures are `StatusError`s on both.
 */
export interface Client {
  get<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options?: { signal?: AbortSignal }): Promise<Encoded<T>>;
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions): Promise<EncodedList<T>>;
  /**
   * Yields changes in the order of their revisions until the signal aborts (ends) or the server ends it (ends too; watch again from the last revision).
   * Throws `StatusError` Expired when the revision is compacted, or when this reader was too slow: list again.
   */
  watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<Encoded<T>>;
  /** Replaces the object, or its subresource; Conflict when `metadata.resourceVersion` is set and no longer the newest. */
  update<T extends KubeObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<Encoded<T>>;
  patch<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, patch: Patch, options?: WriteOptions): Promise<Encoded<T>>;
  /** The object as it was left: gone, or marked with a deletionTimestamp and waiting for finalizers or its grace period. */
  delete<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options?: DeleteOptions): Promise<void>;
}
