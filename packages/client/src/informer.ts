import { backoff, silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import { isExpired, keyString, type Encoded, type Kind, type KubeObject, type ObjectKey } from "@skerry/machinery";
import type { Client, Selection, WatchEvent } from "./client.ts";

/** Gives the values under which an object is found again, e.g. the node a pod is bound to. */
export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[];

/**
 * Told that the object of a key is no longer what it was; one of the two is always there. It marks what has to be looked at and returns: its failures
 * are logged and change nothing else.
 */
export type ChangeHandler<T extends KubeObject> = (
  key: ObjectKey,
  current: Encoded<T> | undefined,
  previous: Encoded<T> | undefined,
) => void;

export interface InformerOptions<T extends KubeObject> {
  client: Client;
  kind: Kind<T>;
  selection?: Selection;
  indexes?: Record<string, IndexFunction<T>>;
  clock?: Clock;
  random?: () => number;
  log?: Logger;
}

interface Index<T extends KubeObject> {
  readonly name: string;
  readonly of: IndexFunction<T>;
  /** The ids of the objects that have a value, and the values that an object had when it was indexed. */
  readonly keys: Map<string, Set<string>>;
  readonly values: Map<string, readonly string[]>;
}

/** How many items a page of the first list has. */
const PAGE = 500;
/** A watch that lasted so long has worked: what ends it is the first failure, not one more, in milliseconds. */
const STEADY_MS = 5_000;

/**
 * A live copy of the objects of one kind: listed once, then watched. It keeps encoded objects, and decodes one when somebody looks.
 * Handlers are told of keys, whatever the change was; after a break only what really differs is told.
 */
export class Informer<T extends KubeObject> implements AsyncDisposable {
  readonly kind: Kind<T>;
  readonly #client: Client;
  readonly #selection: Selection;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  readonly #objects = new Map<string, Encoded<T>>();
  readonly #indexes: Index<T>[] = [];
  readonly #handlers = new Set<ChangeHandler<T>>();
  #running: Promise<void> | undefined;
  #isSynced = false;
  /** Everything up to here has been told; a watch goes on from it. Absent until there is a list, and after a revision was refused as too old. */
  #revision: string | undefined;

  constructor(options: InformerOptions<T>) {
    this.kind = options.kind;
    this.#client = options.client;
    this.#selection = options.selection ?? {};
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#log = options.log ?? silentLogger;
    for (const [name, of] of Object.entries(options.indexes ?? {})) this.addIndex(name, of);
  }

  /** Lets objects be found by what `of` gives for them. Adding an index that is there already changes nothing. */
  addIndex(name: string, of: IndexFunction<T>): void {
    if (this.#indexes.some((index) => index.name === name)) return;
    const index: Index<T> = { name, of, keys: new Map(), values: new Map() };
    this.#indexes.push(index);
    for (const [id, object] of this.#objects) this.#reindex(index, id, object);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves once everything that existed at the start is here. Never rejects: it waits as long as the API is away. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  /**
   * Whether this copy shows the world as it was at `revision` or later. Who acts on a copy that does not show his own last write does
   * it a second time. Revisions of one kind can be compared as numbers (Kubernetes API concepts, "Resource versions"; KEP-5504).
   */
  hasReached(revision: string): boolean {
    const own = this.#revision;
    if (own === undefined) return false;
    return own.length === revision.length ? own >= revision : own.length > revision.length;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): Encoded<T> | undefined {
    return this.#objects.get(keyString(key));
  }

  /** All objects, in no order, of one namespace when it is given. */
  *values(namespace?: string): Generator<Encoded<T>> {
    for (const object of this.#objects.values()) {
      if (namespace === undefined || object.key.namespace === namespace) yield object;
    }
  }

  /** The objects for which the named index function gave `value`. */
  *byIndex(name: string, value: string): Generator<Encoded<T>> {
    const index = this.#indexes.find((candidate) => candidate.name === name);
    if (!index) throw new Error(`Informer of ${this.kind.resource} has no index "${name}"`);
    // A copy: readers wait between two objects, and what they do changes the index.
    const found = [...(index.keys.get(value) ?? [])];
    for (const key of found) {
      const object = this.#objects.get(key);
      if (object) yield object;
    }
  }

  /** Tells `handler` of every object there is and of each change from now on; returns what ends that. */
  onChange(handler: ChangeHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#objects.values()) this.#call(handler, object.key, object, undefined);
    return () => void this.#handlers.delete(handler);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#handlers.clear();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let waits = this.#waits();
    while (!signal.aborted) {
      const begun = this.#clock.monotonic();
      try {
        this.#revision ??= await this.#list();
        if (!this.#isSynced) {
          this.#isSynced = true;
          this.#synced.resolve();
        }
        const options = { ...this.#selection, resourceVersion: this.#revision, signal };
        for await (const event of this.#client.watch(this.kind, options)) this.#take(event);
      } catch (error) {
        if (signal.aborted) return;
        if (isExpired(error)) this.#revision = undefined;
        const level = isExpired(error) ? "debug" : "warn";
        this.#log[level]({ resource: this.kind.resource, err: error }, "watch failed, trying again");
      }
      // Servers end a watch now and then; one that ends or refuses each at once is not asked in a loop.
      if (this.#clock.monotonic() - begun >= STEADY_MS) waits = this.#waits();
      await this.#clock.sleep(waits.next().value, signal).catch(() => {}); // stopped: the loop's condition says so
    }
  }

  #waits(): Generator<number, never> {
    return backoff({ initialMs: 200, maxMs: 30_000, random: this.#random });
  }

  /** Lists everything, tells what differs from before, and returns the revision to watch from. */
  async #list(): Promise<string> {
    const seen = new Set<string>();
    let next: string | undefined;
    let revision = "";
    do {
      const page = await this.#client.list(this.kind, {
        ...this.#selection,
        limit: PAGE,
        ...(next !== undefined && { continue: next }),
        signal: this.#stop.signal,
      });
      for (const object of page.items) {
        seen.add(keyString(object.key));
        this.#put(object);
      }
      next = page.continue;
      revision = page.revision;
    } while (next !== undefined);
    for (const [id, object] of this.#objects) if (!seen.has(id)) this.#remove(object.key);
    return revision;
  }

  #take(event: WatchEvent<T>): void {
    if (event.type === "BOOKMARK") {
      this.#revision = event.revision;
      return;
    }
    const { object } = event;
    // Before handlers hear of it: they may ask how far the copy has come.
    this.#revision = object.revision;
    if (event.type === "DELETED") this.#remove(object.key);
    else this.#put(object);
  }

  #put(object: Encoded<T>): void {
    const id = keyString(object.key);
    const previous = this.#objects.get(id);
    if (previous?.revision === object.revision) return;
    this.#objects.set(id, object);
    for (const index of this.#indexes) this.#reindex(index, id, object);
    this.#tell(object.key, object, previous);
  }

  #remove(key: ObjectKey): void {
    const id = keyString(key);
    const previous = this.#objects.get(id);
    if (!previous) return;
    this.#objects.delete(id);
    for (const index of this.#indexes) {
      this.#unindex(index, id, index.values.get(id) ?? []);
      index.values.delete(id);
    }
    this.#tell(key, undefined, previous);
  }

  #reindex(index: Index<T>, id: string, object: Encoded<T>): void {
    const values = this.#valuesOf(index, object);
    const before = index.values.get(id) ?? [];
    if (values.length === before.length && values.every((value, i) => value === before[i])) return;
    this.#unindex(index, id, before);
    for (const value of values) {
      const keys = index.keys.get(value);
      if (keys) keys.add(id);
      else index.keys.set(value, new Set([id]));
    }
    index.values.set(id, values);
  }

  #unindex(index: Index<T>, id: string, values: readonly string[]): void {
    for (const value of values) {
      const keys = index.keys.get(value);
      keys?.delete(id);
      if (keys?.size === 0) index.keys.delete(value);
    }
  }

  #valuesOf(index: Index<T>, object: Encoded<T>): readonly string[] {
    try {
      return index.of(object.decode());
    } catch (error) {
      this.#log.error(
        { resource: this.kind.resource, index: index.name, object: object.key, err: error },
        "index failed",
      );
      return [];
    }
  }

  #tell(key: ObjectKey, current: Encoded<T> | undefined, previous: Encoded<T> | undefined): void {
    for (const handler of this.#handlers) this.#call(handler, key, current, previous);
  }

  #call(
    handler: ChangeHandler<T>,
    key: ObjectKey,
    current: Encoded<T> | undefined,
    previous: Encoded<T> | undefined,
  ): void {
    try {
      handler(key, current, previous);
    } catch (error) {
      this.#log.error({ resource: this.kind.resource, object: key, err: error }, "change handler failed");
    }
  }
}
