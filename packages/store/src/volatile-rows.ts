import type { BatchRow } from "./commit-log.ts";
import { idOf } from "./collection.ts";

/** The newest states of volatile objects that the medium does not have yet; bounded by the number of such objects. */
export class VolatileRows {
  readonly #rows = new Map<string, BatchRow>();

  get size(): number {
    return this.#rows.size;
  }

  put(row: BatchRow): void {
    const id = `${row.resource}/${idOf(row)}`;
    // Moved to the end: those that wait longest are written first.
    this.#rows.delete(id);
    this.#rows.set(id, row);
  }

  take(limit: number): BatchRow[] {
    const taken: BatchRow[] = [];
    for (const [id, row] of this.#rows) {
      if (taken.length >= limit) break;
      taken.push(row);
      this.#rows.delete(id);
    }
    return taken;
  }

  /** Puts rows back that could not be written, where nothing newer has come. */
  giveBack(rows: readonly BatchRow[]): void {
    for (const row of rows) {
      const id = `${row.resource}/${idOf(row)}`;
      if (!this.#rows.has(id)) this.#rows.set(id, row);
    }
  }
}
