import type { ChangeEvent } from "./port.ts";
import type { Watcher } from "./watcher.ts";

/** The live watchers of one resource, found by what they watch: a change costs only those whom it concerns. */
export class Watchers {
  readonly #all = new Set<Watcher>();
  readonly #byNamespace = new Map<string, Set<Watcher>>();
  readonly #byName = new Map<string, Set<Watcher>>();

  get size(): number {
    let size = this.#all.size;
    for (const index of [this.#byNamespace, this.#byName]) for (const set of index.values()) size += set.size;
    return size;
  }

  add(watcher: Watcher): void {
    const place = this.#placeOf(watcher);
    if (!place) {
      this.#all.add(watcher);
      return;
    }
    const set = place.index.get(place.id);
    if (set) set.add(watcher);
    else place.index.set(place.id, new Set([watcher]));
  }

  delete(watcher: Watcher): void {
    const place = this.#placeOf(watcher);
    if (!place) {
      this.#all.delete(watcher);
      return;
    }
    const set = place.index.get(place.id);
    set?.delete(watcher);
    if (set?.size === 0) place.index.delete(place.id);
  }

  publish(event: ChangeEvent): void {
    for (const watcher of this.#all) watcher.offer(event);
    for (const watcher of this.#byNamespace.get(event.key.namespace) ?? []) watcher.offer(event);
    for (const watcher of this.#byName.get(event.key.name) ?? []) if (watcher.wants(event)) watcher.offer(event);
  }

  #placeOf({ name, namespace }: Watcher): { index: Map<string, Set<Watcher>>; id: string } | undefined {
    if (name !== undefined) return { index: this.#byName, id: name };
    return namespace === undefined ? undefined : { index: this.#byNamespace, id: namespace };
  }
}
