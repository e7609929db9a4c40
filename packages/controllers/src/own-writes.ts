import type { Informer } from "@skerry/client";

/**
 * What a controller wrote to objects of one kind, by the owner it did so for. Until the informer shows it, whoever plans from the informer
 * plans from the past, and would make or grow the same thing twice.
 */
export class OwnWrites {
  readonly #informer: Pick<Informer<never>, "hasReached">;
  readonly #newest = new Map<string, string>();

  constructor(informer: Pick<Informer<never>, "hasReached">) {
    this.#informer = informer;
  }

  /** Notes that a write for the owner has the revision. */
  note(owner: string, revision: string): void {
    const before = this.#newest.get(owner) ?? "";
    const isNewer = revision.length === before.length ? revision > before : revision.length > before.length;
    if (isNewer) this.#newest.set(owner, revision);
  }

  areShown(owner: string): boolean {
    const newest = this.#newest.get(owner);
    if (newest === undefined) return true;
    if (!this.#informer.hasReached(newest)) return false;
    this.#newest.delete(owner);
    return true;
  }

  forget(owner: string): void {
    this.#newest.delete(owner);
  }
}

/** How soon to look again whether the informer has caught up, should nothing tell of it, in milliseconds. */
export const LAG_MS = 1_000;
