import type { Outbox, OutboxEntry } from "@skerry/wire";

interface OutboxOptions<T> {
  /** Rows after an order, oldest first. */
  select: (order: number, limit: number) => Record<string, unknown>[];
  read: (row: Record<string, unknown>) => T;
  acknowledge(order: number): Promise<void>;
}

/** A durable queue as a view of its table. */
export class TableOutbox<T> implements Outbox<T> {
  readonly #options: OutboxOptions<T>;
  readonly #listeners = new Set<() => void>();

  constructor(options: OutboxOptions<T>) {
    this.#options = options;
  }

  after(order: number, limit: number): readonly OutboxEntry<T>[] {
    const { select, read } = this.#options;
    return select(order, limit).map((row) => ({ order: Number(row["ord"]), item: read(row) }));
  }

  acknowledge(order: number): Promise<void> {
    return this.#options.acknowledge(order);
  }

  onAdded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Tells the listeners that something was committed. */
  added(): void {
    for (const listener of this.#listeners) listener();
  }
}
