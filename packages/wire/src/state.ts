import { createHash } from "node:crypto";

/** Names one version of one object as an edge holds it. */
export interface HeldObject {
  /** The plural in URLs, with the group when there is one: `pods`, `leases.coordination.k8s.io`. */
  resource: string;
  /** "" for cluster-scoped objects. */
  namespace: string;
  name: string;
  uid: string;
  /** Of the projection's bytes, see `projectionHash`. */
  hash: string;
}

/** Names an object whatever its version. */
export type ObjectName = Pick<HeldObject, "resource" | "namespace" | "name">;

/** What the cloud wants changed in what an edge holds. Repeating one, or losing an older one, changes nothing. */
export type StateChange =
  | {
      op: "put";
      object: HeldObject;
      /**
       * The projection as UTF-8 JSON: the object without managedFields and resourceVersion. A status in it is no part of the
       * projection nor of its hash: it is what the cloud has on record of a pod, for an edge that knows nothing of it.
       */
      bytes: Uint8Array;
    }
  | {
      op: "delete";
      /** What is no longer wanted. The hash is "". An edge that holds another uid under this name drops it too. */
      object: HeldObject;
    };

/** What an edge says about one object: the newest report of an object replaces those before it. */
export interface Report {
  resource: string;
  namespace: string;
  name: string;
  /** "" for the edge's own Node, which its certificate names. */
  uid: string;
  /** Everything of the object was taken down here: the cloud may forget it. Only for pods that are being deleted. */
  gone: boolean;
  /** The object as UTF-8 JSON; of it the cloud takes the status, and of the edge's own Node labels and annotations too. */
  bytes: Uint8Array;
}

/** What is not state: it happens once, in order, and is not replaced by what comes later (an Event, a command). */
export interface Message {
  /** Unique for its sender; the receiver performs an id once. At most 128 bytes. */
  id: string;
  /** What it is, and so who handles it: `events`. At most 128 bytes. */
  topic: string;
  /** How much longer it is worth delivering, in milliseconds; 0 means as long as it takes. */
  ttlMs: number;
  bytes: Uint8Array;
}

/** One waiting thing. `order` grows with each that is added, and is never used again, not even after a restart. */
export interface OutboxEntry<T> {
  order: number;
  item: T;
}

/**
 * A durable queue of what the other side must learn. For reports: a newer report of an object takes the older one's place with
 * a new `order`, so that acknowledging the older one leaves it. For messages: in order, bounded, expired ones left out.
 */
export interface Outbox<T> {
  /** The oldest entries after `order`, at most `limit`. */
  after(order: number, limit: number): readonly OutboxEntry<T>[];
  /** Drops every entry up to `order`: the other side has them for good. Resolves once that is durable. */
  acknowledge(order: number): Promise<void>;
  /** Calls `listener` after something was added; returns what ends that. */
  onAdded(listener: () => void): () => void;
}

/** The hash by which versions of a projection are told apart: 16 bytes of its SHA-256, base64url. */
export const projectionHash = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest().subarray(0, 16).toString("base64url");

/** `resource/namespace/name`. */
export const objectId = (object: ObjectName): string => `${object.resource}/${object.namespace}/${object.name}`;

/** One hash over everything an edge holds, whatever the order: equal on both sides means that nothing has to travel. */
export function digestOf(held: Iterable<HeldObject>): string {
  const lines: string[] = [];
  for (const object of held) lines.push(`${objectId(object)}\0${object.uid}\0${object.hash}\n`);
  const hash = createHash("sha256");
  for (const line of lines.toSorted()) hash.update(line);
  return hash.digest().subarray(0, 16).toString("base64url");
}
