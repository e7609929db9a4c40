/** Additions up to which each is put in its place by itself; more are merged in one pass. */
const FEW = 8;

/**
 * A set of names that can be read in order, by code units. New names are put in order when somebody reads: in a burst of
 * writes nobody does, and moving half of a long array for each of them would cost more than the writes.
 */
export class SortedNames {
  #sorted: string[] = [];
  readonly #fresh = new Set<string>();

  get size(): number {
    return this.#sorted.length + this.#fresh.size;
  }

  /** Adds a name that is not in the set. */
  add(name: string): void {
    const last = this.#sorted.at(-1);
    if (this.#fresh.size === 0 && (last === undefined || last < name)) this.#sorted.push(name);
    else this.#fresh.add(name);
  }

  delete(name: string): void {
    if (this.#fresh.delete(name)) return;
    const at = lowerBound(this.#sorted, name);
    if (this.#sorted[at] === name) this.#sorted.splice(at, 1);
  }

  /** All names in order. Valid until the next change of the set. */
  inOrder(): readonly string[] {
    if (this.#fresh.size > 0) {
      if (this.#fresh.size <= FEW) {
        for (const name of this.#fresh) this.#sorted.splice(lowerBound(this.#sorted, name), 0, name);
      } else {
        this.#sorted = merge(this.#sorted, [...this.#fresh].sort());
      }
      this.#fresh.clear();
    }
    return this.#sorted;
  }
}

/** Where `name` is in a sorted array, or would be put: the index of the first element that is not less. */
export function lowerBound(sorted: readonly string[], name: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

function merge(one: readonly string[], other: readonly string[]): string[] {
  const merged: string[] = [];
  let at = 0;
  for (const name of other) {
    while (at < one.length && (one[at] as string) < name) merged.push(one[at++] as string);
    merged.push(name);
  }
  while (at < one.length) merged.push(one[at++] as string);
  return merged;
}
