import { deepFreeze, type Encoded, type KubeObject, type ObjectKey } from "@skerry/machinery";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** One version of one object as the store keeps it: bytes for good, the decoded object only while somebody holds it. */
export class Entry implements Encoded {
  readonly key: ObjectKey;
  readonly bytes: Uint8Array;
  /** The revision as a number. */
  readonly at: number;
  /** Weak: a decoded pod takes several times its bytes, and most objects are never looked into twice. */
  #decoded: WeakRef<KubeObject> | undefined;

  /** `object` is what the bytes decode to, but for its revision; it is the entry's from now on. */
  constructor(key: ObjectKey, at: number, bytes: Uint8Array, object?: KubeObject) {
    this.key = key;
    this.at = at;
    this.bytes = bytes;
    if (object === undefined) return;
    object.metadata.resourceVersion = this.revision;
    this.#decoded = new WeakRef(deepFreeze(object));
  }

  get revision(): string {
    return String(this.at);
  }

  decode<T extends KubeObject = KubeObject>(): T {
    const known = this.#decoded?.deref();
    if (known !== undefined) return known as T;
    const object = deepFreeze(JSON.parse(decoder.decode(this.bytes)) as T);
    this.#decoded = new WeakRef(object);
    return object;
  }
}

/**
 * Bytes that own exactly their memory. What an encoder returns is often a view of a shared pool, and keeping the view
 * would keep the pool.
 */
export const ownBytes = (bytes: Uint8Array): Uint8Array =>
  bytes.buffer.byteLength === bytes.byteLength ? bytes : new Uint8Array(bytes);
