/**
 * Distinguished Encoding Rules (ITU-T X.690), as much of them as certificates need: a writer, and a reader for untrusted
 * input that accepts the one right encoding only.
 */

/** Tag octets (X.690, 8.1.2) of the universal types that we use. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** An element: its tag octet, the length of its content, its content. */
export function element(tag: number, ...content: Uint8Array[]): Buffer {
  let length = 0;
  for (const part of content) length += part.length;
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(length)]), ...content]);
}

export const sequence = (...content: Uint8Array[]): Buffer => element(TAG.sequence, ...content);
export const setOf = (...content: Uint8Array[]): Buffer => element(TAG.set, ...content);
export const octetString = (...content: Uint8Array[]): Buffer => element(TAG.octetString, ...content);
export const boolean = (value: boolean): Buffer => element(TAG.boolean, Buffer.from([value ? 0xff : 0x00]));
export const utf8String = (value: string): Buffer => element(TAG.utf8String, Buffer.from(value, "utf8"));
/** A context-specific tag: constructed around elements, or primitive around octets. */
export const context = (number: number, constructed: boolean, ...content: Uint8Array[]): Buffer =>
  element(0x80 | (constructed ? 0x20 : 0) | number, ...content);

/** A non-negative integer from its big-endian octets. */
export function integer(octets: Uint8Array): Buffer {
  let start = 0;
  while (start < octets.length - 1 && octets[start] === 0) start++;
  const digits = octets.subarray(start);
  if (digits.length === 0) return element(TAG.integer, Buffer.from([0]));
  return element(TAG.integer, ...((digits[0] ?? 0) & 0x80 ? [Buffer.from([0])] : []), digits);
}

/** A bit string of whole octets, or with `unused` bits left out at the end. */
export const bitString = (octets: Uint8Array, unused = 0): Buffer =>
  element(TAG.bitString, Buffer.from([unused]), octets);

/** An object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const digits = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift((left & 0x7f) | 0x80);
    octets.push(...digits);
  }
  return element(TAG.oid, Buffer.from(octets));
}

/** A time of a certificate in whole seconds: UTCTime until 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5). */
export function time(ms: number): Buffer {
  const text = `${new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+Z/g, "")}Z`;
  const year = Number(text.slice(0, 4));
  return year >= 1950 && year < 2050
    ? element(TAG.utcTime, Buffer.from(text.slice(2), "latin1"))
    : element(TAG.generalizedTime, Buffer.from(text, "latin1"));
}

/** Input is not the DER that was expected. */
export class DerError extends Error {
  override name = "DerError";
}

/** Reads elements one after the other. Never reads past its bytes, and allocates nothing by a length that they claim. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next element; undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, which must have this tag: its content, and the whole of it as it was signed. */
  read(tag: number, what: string): { content: Uint8Array; whole: Uint8Array } {
    const start = this.#at;
    const found = this.#octet(what);
    if (found !== tag)
      throw new DerError(`Cannot read ${what}: tag 0x${found.toString(16)} instead of 0x${tag.toString(16)}`);
    const length = this.#length(what);
    const end = this.#at + length;
    if (end > this.#bytes.length)
      throw new DerError(`Cannot read ${what}: ${length} bytes announced, input ends before`);
    const content = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return { content, whole: this.#bytes.subarray(start, end) };
  }

  /** The content of the next element as a reader of its own. */
  inside(tag: number, what: string): DerReader {
    return new DerReader(this.read(tag, what).content);
  }

  /** The next element's object identifier in dotted form. */
  oid(what: string): string {
    const { content } = this.read(TAG.oid, what);
    const arcs: number[] = [];
    let arc = 0;
    for (const [i, octet] of content.entries()) {
      if (arc > 2 ** 40) throw new DerError(`Cannot read ${what}: an arc is too large`);
      arc = arc * 128 + (octet & 0x7f);
      if (octet & 0x80) {
        if (i === content.length - 1) throw new DerError(`Cannot read ${what}: its last arc is cut off`);
        continue;
      }
      if (arcs.length === 0) arcs.push(Math.min(2, Math.floor(arc / 40)), arc - 40 * Math.min(2, Math.floor(arc / 40)));
      else arcs.push(arc);
      arc = 0;
    }
    if (arcs.length === 0) throw new DerError(`Cannot read ${what}: it is empty`);
    return arcs.join(".");
  }

  /** The octets of a bit string without unused bits. */
  bits(what: string): Uint8Array {
    const { content } = this.read(TAG.bitString, what);
    if (content[0] !== 0) throw new DerError(`Cannot read ${what}: not whole octets`);
    return content.subarray(1);
  }

  end(what: string): void {
    if (!this.isAtEnd) throw new DerError(`Cannot read ${what}: ${this.#bytes.length - this.#at} bytes too many`);
  }

  #octet(what: string): number {
    const octet = this.#bytes[this.#at++];
    if (octet === undefined) throw new DerError(`Cannot read ${what}: input ends before it`);
    return octet;
  }

  #length(what: string): number {
    const first = this.#octet(what);
    if (first < 0x80) return first;
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4) throw new DerError(`Cannot read ${what}: length of ${octets} octets`);
    let length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + this.#octet(what);
    if (length < 0x80 || length < 256 ** (octets - 1))
      throw new DerError(`Cannot read ${what}: length not in shortest form`);
    return length;
  }
}

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256);
  return [0x80 | octets.length, ...octets];
}
