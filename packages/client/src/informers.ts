import { resourceOf, type Kind, type KubeObject } from "@skerry/machinery";
import { Informer, type InformerOptions } from "./informer.ts";

/** The informers of one process, one a kind, however many ask for it. */
export class Informers implements AsyncDisposable {
  readonly #options: Omit<InformerOptions<KubeObject>, "kind" | "selection" | "indexes">;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  #started = false;

  constructor(options: Omit<InformerOptions<KubeObject>, "kind" | "selection" | "indexes">) {
    this.#options = options;
  }

  /** The informer of a kind. It starts with the others, or now when they have started. */
  of<T extends KubeObject>(kind: Kind<T>): Informer<T> {
    const name = resourceOf(kind);
    let informer = this.#informers.get(name);
    if (!informer) {
      informer = new Informer<KubeObject>({ ...this.#options, kind });
      this.#informers.set(name, informer);
      if (this.#started) informer.start();
    }
    // The key is the kind's own resource, so the informer holds what the kind says.
    return informer as unknown as Informer<T>;
  }

  start(): void {
    this.#started = true;
    for (const informer of this.#informers.values()) informer.start();
  }

  /** Resolves once every informer asked for so far has its first list. */
  async synced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.synced));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer[Symbol.asyncDispose]()));
  }
}
