import type { Outbox, OutboxEntry } from "./state.ts";

export interface MemoryOutboxOptions<T> {
  /** Items of the same key replace each other; those without one are all kept. */
  keyOf?: (item: T) => string | undefined;
  /** More are refused: `add` returns false. */
  maxEntries?: number;
}

/** An outbox in memory: for tests, and where what waits may be lost with the process. */
export class MemoryOutbox<T> implements Outbox<T> {
  readonly #options: MemoryOutboxOptions<T>;
  readonly #entries = new Map<number, T>();
  readonly #orders = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  #order = 0;

  constructor(options: MemoryOutboxOptions<T> = {}) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Adds an item and tells the listeners; false when the outbox is full. */
  add(item: T): boolean {
    const key = this.#options.keyOf?.(item);
    const replaced = key === undefined ? undefined : this.#orders.get(key);
    if (replaced !== undefined) this.#entries.delete(replaced);
    if (this.#entries.size >= (this.#options.maxEntries ?? Infinity)) return false;
    this.#entries.set(++this.#order, item);
    if (key !== undefined) this.#orders.set(key, this.#order);
    for (const listener of this.#listeners) listener();
    return true;
  }

  after(order: number, limit: number): OutboxEntry<T>[] {
    const found: OutboxEntry<T>[] = [];
    for (const [at, item] of this.#entries) {
      if (found.length === limit) break;
      if (at > order) found.push({ order: at, item });
    }
    return found;
  }

  acknowledge(order: number): Promise<void> {
    for (const [at, item] of this.#entries) {
      if (at > order) break;
      this.#entries.delete(at);
      const key = this.#options.keyOf?.(item);
      if (key !== undefined && this.#orders.get(key) === at) this.#orders.delete(key);
    }
    return Promise.resolve();
  }

  onAdded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
