import { deepFreeze, type Encoded, type KubeObject, type ObjectKey } from "@skerry/machinery";

/** An object as an answer brought it, already decoded: encoded only when somebody wants the bytes. */
export class Answer<T extends KubeObject> implements Encoded<T> {
  readonly #object: T;
  #bytes: Uint8Array | undefined;

  constructor(object: T) {
    this.#object = deepFreeze(object);
  }

  get key(): ObjectKey {
    return { namespace: this.#object.metadata.namespace ?? "", name: this.#object.metadata.name ?? "" };
  }

  get revision(): string {
    return this.#object.metadata.resourceVersion ?? "";
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= Buffer.from(JSON.stringify(this.#object)));
  }

  decode(): T {
    return this.#object;
  }
}
