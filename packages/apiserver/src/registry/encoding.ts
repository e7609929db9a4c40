import { deepFreeze, requestEntityTooLarge, type Encoded, type KubeObject, type ObjectKey } from "@skerry/machinery";

const METADATA = '"metadata":{';
/** What a request's body may have at most, and what the API adds to it: no object grows beyond, by however many patches. */
const MAX_BODY = 3 << 20;
const MAX_ADDED = 256 << 10;

/**
 * Encodes an object but for its revision, which only the store's writer knows: `metadata.resourceVersion` is spliced in
 * as the first member of the metadata, so that one JSON.stringify serves whatever revision it gets. Throws RequestEntityTooLarge, as the HTTP face
 * does for a body, when the object is too large for any client to write it back.
 */
export function encoderOf(object: KubeObject): (revision: number) => Uint8Array {
  const { apiVersion, kind, metadata, ...rest } = object;
  const { resourceVersion: _, ...others } = metadata;
  const text = JSON.stringify({ apiVersion, kind, metadata: others, ...rest });
  if (isLongerThan(MAX_BODY + MAX_ADDED, text)) throw requestEntityTooLarge(`limit is ${MAX_BODY}`);
  const cut = text.indexOf(METADATA) + METADATA.length;
  const comma = text[cut] === "}" ? "" : ",";
  return (revision) =>
    Buffer.from(`${text.slice(0, cut)}"resourceVersion":"${revision}"${comma}${text.slice(cut)}`, "utf8");
}

/** Whether a text has more bytes in UTF-8. Most are so short that they need not be counted: a UTF-16 unit is three bytes at most. */
const isLongerThan = (bytes: number, text: string): boolean =>
  text.length * 3 > bytes && Buffer.byteLength(text) > bytes;

/** The same object with another revision, without decoding it where its bytes are as `encoderOf` writes them. */
export function withRevision(object: Encoded, revision: number): Uint8Array {
  const bytes = Buffer.from(object.bytes.buffer, object.bytes.byteOffset, object.bytes.byteLength);
  const mark = `${METADATA}"resourceVersion":"`;
  const at = bytes.indexOf(mark, 0, "latin1");
  const from = at + mark.length;
  const to = from + object.revision.length;
  // Nothing but apiVersion and kind stands before an object's own metadata.
  const isOwn = at >= 0 && at < 400 && bytes.toString("latin1", from, to) === object.revision && bytes[to] === 0x22;
  if (!isOwn || !OWN_HEAD.test(bytes.toString("latin1", 0, at))) return encoderOf(object.decode())(revision);
  return Buffer.concat([bytes.subarray(0, from), Buffer.from(String(revision), "latin1"), bytes.subarray(to)]);
}

const OWN_HEAD = /^\{"apiVersion":"[^"]*","kind":"[^"]*",$/;

/** A version of an object that isn't in storage: the answer to a dry run, a review, a status. Encoded when somebody looks. */
export class Detached<T extends KubeObject = KubeObject> implements Encoded<T> {
  readonly key: ObjectKey;
  readonly #object: T;
  #bytes: Uint8Array | undefined;

  constructor(object: T) {
    this.#object = deepFreeze(object);
    this.key = { namespace: object.metadata.namespace ?? "", name: object.metadata.name ?? "" };
  }

  get revision(): string {
    return this.#object.metadata.resourceVersion ?? "";
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= Buffer.from(JSON.stringify(this.#object), "utf8"));
  }

  decode(): T {
    return this.#object;
  }
}

/** A version of an object known by its bytes. */
export class FromBytes<T extends KubeObject = KubeObject> implements Encoded<T> {
  readonly key: ObjectKey;
  readonly revision: string;
  readonly bytes: Uint8Array;
  #object: T | undefined;

  constructor(key: ObjectKey, revision: number, bytes: Uint8Array) {
    this.key = key;
    this.revision = String(revision);
    this.bytes = bytes;
  }

  decode(): T {
    return (this.#object ??= deepFreeze(JSON.parse(Buffer.from(this.bytes).toString("utf8")) as T));
  }
}
