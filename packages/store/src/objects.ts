import type { ObjectKey } from "@skerry/machinery";

import type { Entry } from "./entry.ts";
import { lowerBound, SortedNames } from "./sorted-names.ts";

/** Which objects of a resource: those of one namespace or all, only those after a key or all. */
export interface Range {
  namespace?: string | undefined;
  after?: ObjectKey | undefined;
}

interface Bucket {
  entries: Map<string, Entry>;
  names: SortedNames;
}

/** The live objects of one resource, found by key and walked in the order of namespaces, then names. */
export class Objects {
  readonly #buckets = new Map<string, Bucket>();
  readonly #namespaces = new SortedNames();
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
      bucket = { entries: new Map(), names: new SortedNames() };
      this.#buckets.set(namespace, bucket);
      this.#namespaces.add(namespace);
    }
    if (!bucket.entries.has(name)) {
      bucket.names.add(name);
      this.#size++;
    }
    bucket.entries.set(name, entry);
  }

  delete({ namespace, name }: ObjectKey): void {
    const bucket = this.#buckets.get(namespace);
    if (!bucket?.entries.delete(name)) return;
    bucket.names.delete(name);
    this.#size--;
    if (bucket.names.size > 0) return;
    this.#buckets.delete(namespace);
    this.#namespaces.delete(namespace);
  }

  /** The first `limit` objects of a range, and how many follow them in it. */
  page(range: Range, limit = Infinity): { items: Entry[]; remaining: number } {
    const items: Entry[] = [];
    let remaining = 0;
    for (const { entries, names, from } of this.#parts(range)) {
      const take = Math.min(names.length - from, limit - items.length);
      for (let at = from; at < from + take; at++) items.push(entries.get(names[at] as string) as Entry);
      remaining += names.length - from - take;
    }
    return { items, remaining };
  }

  *#parts({
    namespace,
    after,
  }: Range): Generator<{ entries: Bucket["entries"]; names: readonly string[]; from: number }> {
    const namespaces = namespace === undefined ? this.#namespaces.inOrder() : [namespace];
    for (let at = after ? lowerBound(namespaces, after.namespace) : 0; at < namespaces.length; at++) {
      const bucket = this.#buckets.get(namespaces[at] as string);
      if (!bucket) continue;
      const names = bucket.names.inOrder();
      let from = 0;
      if (after && after.namespace === namespaces[at]) {
        from = lowerBound(names, after.name);
        if (names[from] === after.name) from++;
      }
      if (from < names.length) yield { entries: bucket.entries, names, from };
    }
  }
}
