import type { ObjectKey } from "@skerry/machinery";

import type { Entry } from "./entry.ts";
import { insertSorted, lowerBound, removeSorted } from "./sorted-names.ts";

/** Which objects of a resource: those of one namespace or all, only those after a key or all. */
export interface Range {
  namespace?: string | undefined;
  after?: ObjectKey | undefined;
}

interface Bucket {
  entries: Map<string, Entry>;
  names: string[];
}

/** The live objects of one resource, found by key and walked in the order of namespaces, then names. */
export class Objects {
  readonly #buckets = new Map<string, Bucket>();
  readonly #namespaces: string[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get({ namespace, name }: ObjectKey): Entry | undefined {
    return this.#buckets.get(namespace)?.entries.get(name);
  }

  set(entry: Entry): void {
    const { namespace, name } = entry.key;
    let bucket = this.#buckets.get(namespace);
    if (!bucket) {
      bucket = { entries: new Map(), names: [] };
      this.#buckets.set(namespace, bucket);
      insertSorted(this.#namespaces, namespace);
    }
    if (!bucket.entries.has(name)) {
      insertSorted(bucket.names, name);
      this.#size++;
    }
    bucket.entries.set(name, entry);
  }

  delete({ namespace, name }: ObjectKey): void {
    const bucket = this.#buckets.get(namespace);
    if (!bucket?.entries.delete(name)) return;
    removeSorted(bucket.names, name);
    this.#size--;
    if (bucket.names.length > 0) return;
    this.#buckets.delete(namespace);
    removeSorted(this.#namespaces, namespace);
  }

  /** The first `limit` objects of a range, and how many follow them in it. */
  page(range: Range, limit = Infinity): { items: Entry[]; remaining: number } {
    const items: Entry[] = [];
    let remaining = 0;
    for (const { bucket, from } of this.#parts(range)) {
      const take = Math.min(bucket.names.length - from, limit - items.length);
      for (let at = from; at < from + take; at++) items.push(bucket.entries.get(bucket.names[at] as string) as Entry);
      remaining += bucket.names.length - from - take;
    }
    return { items, remaining };
  }

  *#parts({ namespace, after }: Range): Generator<{ bucket: Bucket; from: number }> {
    const start = after ? lowerBound(this.#namespaces, after.namespace) : 0;
    for (let at = start; at < this.#namespaces.length; at++) {
      const name = this.#namespaces[at] as string;
      if (namespace !== undefined && name !== namespace) continue;
      const bucket = this.#buckets.get(name) as Bucket;
      let from = 0;
      if (after?.namespace === name) {
        from = lowerBound(bucket.names, after.name);
        if (bucket.names[from] === after.name) from++;
      }
      if (from < bucket.names.length) yield { bucket, from };
    }
  }
}
