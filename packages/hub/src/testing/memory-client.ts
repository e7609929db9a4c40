import { randomUUID } from "node:crypto";
import type { Client, EncodedList, ListOptions, Patch, WatchEvent, WatchOptions, WriteOptions } from "@skerry/client";
import {
  alreadyExists,
  conflict,
  deepFreeze,
  keyString,
  notFound,
  resourceOf,
  type Encoded,
  type Kind,
  type KubeObject,
  type ObjectKey,
} from "@skerry/machinery";

interface Change {
  resource: string;
  event: WatchEvent;
}

/** Just enough of the API, in memory, for the hub's own tests; the whole link is tested against the real one. */
export class MemoryClient implements Client {
  readonly #objects = new Map<string, Map<string, Encoded>>();
  readonly #log: Change[] = [];
  #revision = 0;
  #changed = Promise.withResolvers<void>();
  /** Called before each write; a throw is its failure. */
  beforeWrite: (verb: string, kind: Kind, key: ObjectKey) => void | Promise<void> = () => {};

  get<T extends KubeObject>(kind: Kind<T>, key: ObjectKey): Promise<Encoded<T>> {
    const found = this.#of(kind).get(keyString(key));
    return found ? Promise.resolve(found as Encoded<T>) : Promise.reject(notFound(kind, key.name));
  }

  list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}): Promise<EncodedList<T>> {
    const items = [...this.#of(kind).values()].filter(
      ({ key }) => options.namespace === undefined || key.namespace === options.namespace,
    );
    return Promise.resolve({ revision: String(this.#revision), items: items as Encoded<T>[] });
  }

  async *watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    for (let at = Number(options.resourceVersion ?? 0); !options.signal.aborted;) {
      for (; at < this.#log.length; at++) {
        const change = this.#log[at];
        if (change?.resource === resourceOf(kind)) yield change.event as WatchEvent<T>;
      }
      const aborted = new Promise<void>((resolve) =>
        options.signal.addEventListener("abort", () => resolve(), { once: true }),
      );
      await Promise.race([this.#changed.promise, aborted]);
    }
  }

  async create<T extends KubeObject>(kind: Kind<T>, object: T): Promise<Encoded<T>> {
    const key = { namespace: object.metadata.namespace ?? "", name: object.metadata.name ?? "" };
    await this.beforeWrite("create", kind, key);
    if (this.#of(kind).has(keyString(key))) throw alreadyExists(kind, key.name);
    const creationTimestamp = "2026-01-01T00:00:00Z";
    const metadata = { ...object.metadata, uid: object.metadata.uid ?? randomUUID(), creationTimestamp };
    return this.#write(kind, key, { ...object, metadata }, "ADDED");
  }

  async update<T extends KubeObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<Encoded<T>> {
    const key = { namespace: object.metadata.namespace ?? "", name: object.metadata.name ?? "" };
    await this.beforeWrite("update", kind, key);
    const current = (await this.get(kind, key)).decode() as T & { status?: unknown };
    const { resourceVersion } = object.metadata;
    if (resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion) {
      throw conflict(kind, key.name);
    }
    const { status } = object as T & { status?: unknown };
    const next = options.subresource === "status" ? { ...current, status } : { ...object, status: current.status };
    return this.#write(kind, key, next as T, "MODIFIED");
  }

  async patch<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, patch: Patch): Promise<Encoded<T>> {
    await this.beforeWrite("patch", kind, key);
    const current = (await this.get(kind, key)).decode();
    return this.#write(kind, key, merge(current, patch.body) as T, "MODIFIED");
  }

  async delete<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    { preconditions, gracePeriodSeconds }: { preconditions?: { uid?: string }; gracePeriodSeconds?: number } = {},
  ): Promise<void> {
    await this.beforeWrite("delete", kind, key);
    const current = (await this.get(kind, key)).decode();
    if (preconditions?.uid !== undefined && preconditions.uid !== current.metadata.uid) throw conflict(kind, key.name);
    const isBound = (current as { spec?: { nodeName?: string } }).spec?.nodeName !== undefined;
    if (kind.kind === "Pod" && isBound && gracePeriodSeconds !== 0) {
      const metadata = { ...current.metadata, deletionTimestamp: "2026-01-01T00:00:30Z" };
      this.#write(kind, key, { ...current, metadata }, "MODIFIED");
      return;
    }
    this.#write(kind, key, current, "DELETED");
  }

  #of(kind: Kind): Map<string, Encoded> {
    const resource = resourceOf(kind);
    let objects = this.#objects.get(resource);
    if (!objects) this.#objects.set(resource, (objects = new Map()));
    return objects;
  }

  #write<T extends KubeObject>(
    kind: Kind,
    key: ObjectKey,
    object: T,
    type: "ADDED" | "MODIFIED" | "DELETED",
  ): Encoded<T> {
    const revision = String(++this.#revision);
    const text = JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: revision } });
    const bytes = Buffer.from(text);
    const decoded = deepFreeze(JSON.parse(text) as T);
    const encoded: Encoded<T> = { key, revision, bytes, decode: () => decoded };
    if (type === "DELETED") this.#of(kind).delete(keyString(key));
    else this.#of(kind).set(keyString(key), encoded);
    // One entry a revision: a watch's place in the log is its revision.
    this.#log.push({ resource: resourceOf(kind), event: { type, object: encoded } });
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
    return encoded;
  }
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base: Record<string, unknown> =
    typeof target === "object" && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete base[key];
    else if (value !== undefined) base[key] = merge(base[key], value);
  }
  return base;
}
