import { KeyedQueue, silentLogger } from "@skerry/base";
import type { Client, Informer } from "@skerry/client";
import {
  isConflict,
  isNotFound,
  keyString,
  type Encoded,
  type Kind,
  type KubeObject,
  type ObjectKey,
  type OwnerReference,
} from "@skerry/machinery";
import { parseKey, type Surroundings } from "../controller.ts";
import { referenceTo, type EventRecorder } from "../events.ts";
import { unlessGone } from "../writes.ts";

export interface GarbageCollectorOptions extends Surroundings {
  events: EventRecorder;
  /** Every kind that can own or be owned: what can be listed, watched and deleted. */
  kinds: readonly Kind[];
}

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";
/** How many objects are listed at once. */
const PAGE = 500;
/** How many owners are remembered as absent: a uid never comes back, so none is asked for twice in a row. */
const MAX_ABSENT = 1_000;

/** What an owner is to one that it owns: there; gone, or never where it is said to be; or waiting for what it owns to be gone first. */
type Standing = "solid" | "absent" | "waiting";

/**
 * Deletes what nobody owns any more, and carries out how owners were asked to be deleted: in the foreground (dependents first) or leaving
 * orphans. Source: Kubernetes, "Garbage Collection"; metav1.DeletionPropagation.
 *
 * An owner counts as absent only when the API itself says so: an informer may simply not have seen it yet.
 */
export class GarbageCollector implements AsyncDisposable {
  readonly #client: Client;
  readonly #events: EventRecorder;
  readonly #kinds = new Map<string, Kind>();
  readonly #informers = new Map<string, Informer<KubeObject>>();
  readonly #queue: KeyedQueue;
  readonly #ends: (() => void)[] = [];
  /** Where each uid is that is there, `group/Kind|namespace/name`: what an owner is first looked for in. */
  readonly #places = new Map<string, string>();
  readonly #absent = new Set<string>();

  constructor(options: GarbageCollectorOptions) {
    this.#client = options.client;
    this.#events = options.events;
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
          if (current) this.#places.set(uid, `${id}|${keyString(key)}`);
          if (!current || (replaced !== undefined && replaced !== uid)) this.#gone(replaced ?? uid, previous);
          if (current && previous) this.#released(key, previous.decode(), current.decode());
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
    this.#places.delete(uid);
    for (const [id, dependent] of this.#dependents(uid)) this.#queue.add(`${id}|${keyString(dependent.key)}`);
    if (object) this.#wakeOwners(object.key, object.decode().metadata.ownerReferences ?? []);
  }

  /** Owners that an object no longer has may have waited for it. */
  #released(key: ObjectKey, before: KubeObject, now: KubeObject): void {
    const kept = new Set((now.metadata.ownerReferences ?? []).map((owner) => owner.uid));
    this.#wakeOwners(
      key,
      (before.metadata.ownerReferences ?? []).filter((owner) => !kept.has(owner.uid)),
    );
  }

  #wakeOwners({ namespace }: ObjectKey, owners: readonly OwnerReference[]): void {
    for (const owner of owners) {
      const id = idOfOwner(owner);
      const kind = this.#kinds.get(id);
      if (kind)
        this.#queue.add(`${id}|${keyString({ namespace: kind.namespaced ? namespace : "", name: owner.name })}`);
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
    const { finalizers = [], deletionTimestamp, ownerReferences = [] } = object.metadata;
    if (deletionTimestamp !== undefined) {
      if (finalizers.includes(ORPHAN)) await this.#releaseDependents(kind, key, object, signal);
      else if (finalizers.includes(FOREGROUND)) await this.#awaitDependents(kind, key, object, signal);
      return;
    }
    const standings = await Promise.all(ownerReferences.map((owner) => this.#standingOf(owner, kind, object, signal)));
    const solid = ownerReferences.filter((_, i) => standings[i] === "solid");
    if (solid.length === ownerReferences.length) return;
    if (solid.length > 0) {
      await this.#setOwners(kind, key, object, solid, signal);
      return;
    }
    await this.#delete(kind, key, object, standings.includes("waiting"), signal);
  }

  /** Deletes what no owner holds any more: in the foreground when an owner waits for it and it owns others itself. */
  async #delete(
    kind: Kind,
    key: ObjectKey,
    object: KubeObject,
    isAwaited: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { uid = "", resourceVersion = "", finalizers = [] } = object.metadata;
    const ownsOthers = !this.#dependents(uid).next().done;
    const propagationPolicy = finalizers.includes(ORPHAN)
      ? "Orphan"
      : finalizers.includes(FOREGROUND) || (isAwaited && ownsOthers)
        ? "Foreground"
        : "Background";
    // The revision makes sure that its owners are still those that were looked at.
    const preconditions = { uid, resourceVersion };
    await unlessGone(this.#client.delete(kind, key, { preconditions, propagationPolicy, signal }));
  }

  async #standingOf(owner: OwnerReference, kind: Kind, object: KubeObject, signal: AbortSignal): Promise<Standing> {
    const id = idOfOwner(owner);
    const ownerKind = this.#kinds.get(id);
    if (!ownerKind) return "solid"; // a kind that is not served here: not ours to judge
    const { namespace = "" } = object.metadata;
    if (ownerKind.namespaced && !kind.namespaced) {
      // Nothing says in which namespace it is: it can never be found to be gone.
      this.#tellWrongNamespace(owner, kind, object);
      return "solid";
    }
    const key = { namespace: ownerKind.namespaced ? namespace : "", name: owner.name };
    const place = this.#places.get(owner.uid);
    if (place === `${id}|${keyString(key)}`) {
      const { metadata } = this.#informers.get(id)?.get(key)?.decode() ?? { metadata: {} };
      const isWaiting = metadata.deletionTimestamp !== undefined && metadata.finalizers?.includes(FOREGROUND);
      return isWaiting ? "waiting" : "solid";
    }
    if (place !== undefined) this.#tellWrongNamespace(owner, kind, object);
    // The same uid can be absent in one place and be there in another.
    const absentId = `${owner.uid}@${id}|${keyString(key)}`;
    if (this.#absent.has(absentId)) return "absent";
    if (!(await this.#isAbsent(ownerKind, key, owner.uid, signal))) return "solid";
    this.#absent.add(absentId);
    for (const oldest of this.#absent) {
      if (this.#absent.size <= MAX_ABSENT) break;
      this.#absent.delete(oldest);
    }
    return "absent";
  }

  /** Asks the API itself, which knows more than an informer. */
  async #isAbsent(kind: Kind, key: ObjectKey, uid: string, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#client.get(kind, key, { signal })).decode().metadata.uid !== uid;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }

  #tellWrongNamespace(owner: OwnerReference, kind: Kind, object: KubeObject): void {
    const where = object.metadata.namespace ?? "";
    const message = `ownerRef [${owner.apiVersion}/${owner.kind}, namespace: ${where}, name: ${owner.name}, uid: ${owner.uid}] does not exist in namespace "${where}"`;
    this.#events.record(referenceTo(kind, object), "Warning", "OwnerRefInvalidNamespace", message);
  }

  /** Takes the owner out of what it owns. It asks the API itself what that is: one that an informer does not show yet would be deleted later. */
  async #releaseDependents(kind: Kind, key: ObjectKey, object: KubeObject, signal: AbortSignal): Promise<void> {
    const { uid = "" } = object.metadata;
    for (const dependentKind of this.#kinds.values()) {
      if (kind.namespaced && !dependentKind.namespaced) continue;
      for await (const dependent of this.#listed(dependentKind, kind.namespaced ? key.namespace : undefined, signal)) {
        const owners = dependent.decode().metadata.ownerReferences ?? [];
        const others = owners.filter((owner) => owner.uid !== uid);
        if (others.length === owners.length) continue;
        await this.#setOwners(dependentKind, dependent.key, dependent.decode(), others, signal);
      }
    }
    await this.#removeFinalizer(kind, key, object, ORPHAN, signal);
  }

  async *#listed(kind: Kind, namespace: string | undefined, signal: AbortSignal): AsyncGenerator<Encoded> {
    let next: string | undefined;
    do {
      const page = await this.#client.list(kind, {
        limit: PAGE,
        signal,
        ...(namespace !== undefined && { namespace }),
        ...(next !== undefined && { continue: next }),
      });
      yield* page.items;
      next = page.continue;
    } while (next !== undefined);
  }

  /** Has each dependent looked at, which deletes it unless others own it too, and lets the owner go when none is left that it has to wait for. */
  async #awaitDependents(kind: Kind, key: ObjectKey, object: KubeObject, signal: AbortSignal): Promise<void> {
    const { uid = "", ownerReferences = [] } = object.metadata;
    let blocked = false;
    for (const [id, dependent] of this.#dependents(uid)) {
      const { metadata } = dependent.decode();
      if (metadata.deletionTimestamp === undefined) this.#queue.add(`${id}|${keyString(dependent.key)}`);
      // Two that own each other would wait for each other for ever.
      const isMutual =
        metadata.finalizers?.includes(FOREGROUND) && ownerReferences.some((each) => each.uid === metadata.uid);
      blocked ||=
        !isMutual && (metadata.ownerReferences ?? []).some((each) => each.uid === uid && each.blockOwnerDeletion);
    }
    // The last dependent that goes, or is let go, puts its owner back into the queue.
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

/** Versions of a kind show the same objects: the group and the kind's name say which. */
const idOfKind = (kind: Kind): string => `${kind.group}/${kind.kind}`;

function idOfOwner({ apiVersion, kind }: OwnerReference): string {
  const slash = apiVersion.indexOf("/");
  return `${slash < 0 ? "" : apiVersion.slice(0, slash)}/${kind}`;
}
