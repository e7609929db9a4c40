import { KeyedQueue, silentLogger, type Clock, type Logger } from "@skerry/base";
import type { Client, Informer, Informers } from "@skerry/client";
import {
  apiVersionOf,
  isConflict,
  isNotFound,
  keyString,
  type Encoded,
  type Kind,
  type KubeObject,
  type ObjectKey,
  type OwnerReference,
} from "@skerry/machinery";
import { parseKey } from "../controller.ts";
import { unlessGone } from "../writes.ts";

export interface GarbageCollectorOptions {
  client: Client;
  informers: Informers;
  /** Every kind that can own or be owned: what can be listed, watched and deleted. */
  kinds: readonly Kind[];
  clock?: Clock;
  random?: () => number;
  log?: Logger;
}

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";

/**
 * Deletes what nobody owns any more, and carries out how owners were asked to be deleted: in the foreground (dependents first) or leaving
 * orphans. Source: Kubernetes, "Garbage Collection"; metav1.DeletionPropagation.
 *
 * An owner counts as absent only when the API itself says so: an informer may simply not have seen it yet.
 */
export class GarbageCollector implements AsyncDisposable {
  readonly #client: Client;
  readonly #kinds = new Map<string, Kind>();
  readonly #informers = new Map<string, Informer<KubeObject>>();
  readonly #queue: KeyedQueue;
  readonly #ends: (() => void)[] = [];
  /** The uid of each object that is there, by informer: what an absent owner is first looked for in. */
  readonly #uids = new Set<string>();

  constructor(options: GarbageCollectorOptions) {
    this.#client = options.client;
    const log = options.log ?? silentLogger;
    for (const kind of options.kinds) {
      const informer = options.informers.of(kind);
      informer.addIndex("owner", (object) => (object.metadata.ownerReferences ?? []).map((owner) => owner.uid));
      this.#kinds.set(idOfKind(kind), kind);
      this.#informers.set(idOfKind(kind), informer);
    }
    this.#queue = new KeyedQueue({
      workers: 4,
      run: (key, signal) => this.#collect(key, signal),
      onError: (key, error) => {
        log[isConflict(error) ? "debug" : "warn"]({ object: key, err: error }, "garbage collection failed");
      },
      ...(options.clock && { clock: options.clock }),
      ...(options.random && { random: options.random }),
    });
  }

  start(): void {
    for (const [id, informer] of this.#informers) {
      this.#ends.push(
        informer.onChange((key, current, previous) => {
          const uid = (current ?? previous)?.decode().metadata.uid ?? "";
          const replaced = previous?.decode().metadata.uid;
          if (current) this.#uids.add(uid);
          if (!current || (replaced !== undefined && replaced !== uid)) this.#gone(replaced ?? uid, previous);
          if (current && concernsUs(current.decode())) this.#queue.add(`${id}|${keyString(key)}`);
        }),
      );
    }
    this.#queue.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) end();
    await this.#queue[Symbol.asyncDispose]();
  }

  /** An object went: its dependents may have lost their last owner, its owners may wait for it. */
  #gone(uid: string, object: Encoded | undefined): void {
    this.#uids.delete(uid);
    for (const [id, dependent] of this.#dependents(uid)) this.#queue.add(`${id}|${keyString(dependent.key)}`);
    for (const owner of object?.decode().metadata.ownerReferences ?? []) {
      const id = idOfOwner(owner);
      const kind = this.#kinds.get(id);
      const namespace = kind?.namespaced ? (object?.key.namespace ?? "") : "";
      if (kind) this.#queue.add(`${id}|${keyString({ namespace, name: owner.name })}`);
    }
  }

  *#dependents(uid: string): Generator<[id: string, dependent: Encoded]> {
    for (const [id, informer] of this.#informers) {
      for (const dependent of informer.byIndex("owner", uid)) yield [id, dependent];
    }
  }

  async #collect(entry: string, signal: AbortSignal): Promise<void> {
    const bar = entry.indexOf("|");
    const id = entry.slice(0, bar);
    const key = parseKey(entry.slice(bar + 1));
    const kind = this.#kinds.get(id);
    const object = this.#informers.get(id)?.get(key)?.decode();
    if (!kind || !object) return;
    const { finalizers = [], deletionTimestamp, ownerReferences = [], uid = "" } = object.metadata;
    if (deletionTimestamp !== undefined) {
      if (finalizers.includes(ORPHAN)) await this.#releaseDependents(kind, key, object, signal);
      else if (finalizers.includes(FOREGROUND)) await this.#deleteDependents(kind, key, object, signal);
      return;
    }
    if (ownerReferences.length === 0) return;
    const absent: OwnerReference[] = [];
    for (const owner of ownerReferences) {
      if (await this.#isAbsent(owner, key.namespace, signal)) absent.push(owner);
    }
    if (absent.length === 0) return;
    if (absent.length < ownerReferences.length) {
      await this.#setOwners(
        kind,
        key,
        object,
        ownerReferences.filter((owner) => !absent.includes(owner)),
        signal,
      );
      return;
    }
    await unlessGone(
      this.#client.delete(kind, key, { preconditions: { uid }, propagationPolicy: "Background", signal }),
    );
  }

  async #isAbsent(owner: OwnerReference, namespace: string, signal: AbortSignal): Promise<boolean> {
    if (this.#uids.has(owner.uid)) return false;
    const kind = this.#kinds.get(idOfOwner(owner));
    if (!kind) return false; // a kind that is not served here: not ours to judge
    try {
      const key = { namespace: kind.namespaced ? namespace : "", name: owner.name };
      const found = await this.#client.get(kind, key, { signal });
      return found.decode().metadata.uid !== owner.uid;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }

  async #releaseDependents(kind: Kind, key: ObjectKey, object: KubeObject, signal: AbortSignal): Promise<void> {
    const { uid = "" } = object.metadata;
    for (const [id, dependent] of this.#dependents(uid)) {
      const dependentKind = this.#kinds.get(id);
      const owners = (dependent.decode().metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
      if (dependentKind) await this.#setOwners(dependentKind, dependent.key, dependent.decode(), owners, signal);
    }
    await this.#removeFinalizer(kind, key, object, ORPHAN, signal);
  }

  async #deleteDependents(kind: Kind, key: ObjectKey, object: KubeObject, signal: AbortSignal): Promise<void> {
    const { uid = "" } = object.metadata;
    let blocked = false;
    for (const [id, dependent] of this.#dependents(uid)) {
      const { metadata } = dependent.decode();
      blocked ||= metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.blockOwnerDeletion) ?? false;
      const dependentKind = this.#kinds.get(id);
      if (!dependentKind || metadata.deletionTimestamp !== undefined) continue;
      await unlessGone(
        this.#client.delete(dependentKind, dependent.key, {
          preconditions: { ...(metadata.uid !== undefined && { uid: metadata.uid }) },
          propagationPolicy: "Foreground",
          signal,
        }),
      );
    }
    // The last dependent that goes puts its owner back into the queue.
    if (!blocked) await this.#removeFinalizer(kind, key, object, FOREGROUND, signal);
  }

  async #removeFinalizer(
    kind: Kind,
    key: ObjectKey,
    object: KubeObject,
    name: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { resourceVersion, finalizers = [] } = object.metadata;
    const body = { metadata: { resourceVersion, finalizers: finalizers.filter((each) => each !== name) } };
    await unlessGone(this.#client.patch(kind, key, { type: "merge-patch+json", body }, { signal }));
  }

  async #setOwners(
    kind: Kind,
    key: ObjectKey,
    object: KubeObject,
    ownerReferences: readonly OwnerReference[],
    signal: AbortSignal,
  ): Promise<void> {
    const { uid, resourceVersion } = object.metadata;
    const body = { metadata: { uid, resourceVersion, ownerReferences } };
    await unlessGone(this.#client.patch(kind, key, { type: "merge-patch+json", body }, { signal }));
  }
}

/** Whether there is anything to decide about an object: it is owned, or waits for a finalizer of ours. */
const concernsUs = ({ metadata }: KubeObject): boolean =>
  (metadata.ownerReferences?.length ?? 0) > 0 ||
  (metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers?.some((name) => name === FOREGROUND || name === ORPHAN) ?? false));

const idOfKind = (kind: Kind): string => `${apiVersionOf(kind)}/${kind.kind}`;
const idOfOwner = (owner: OwnerReference): string => `${owner.apiVersion}/${owner.kind}`;
