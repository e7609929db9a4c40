/** What came over the link is not what the protocol says. The session ends with the reason `malformed-frame`. */
export class MalformedFrameError extends Error {
  override name = "MalformedFrameError";
}

/** How many bytes `value` takes as a varint (7 bits an octet, lowest first). */
export function varintSize(value: number): number {
  let size = 1;
  for (let left = value; left >= 128; left = Math.floor(left / 128)) size++;
  return size;
}

/** Writes varints and strings into bytes of a size that is known beforehand. */
export class ByteWriter {
  readonly bytes: Buffer;
  #at = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  octet(value: number): this {
    this.bytes[this.#at++] = value;
    return this;
  }

  /** A whole number of 0 to 2^53 - 1. */
  varint(value: number): this {
    let left = value;
    while (left >= 128) {
      this.bytes[this.#at++] = (left % 128) | 0x80;
      left = Math.floor(left / 128);
    }
    this.bytes[this.#at++] = left;
    return this;
  }

  /** UTF-8 behind its length. */
  string(value: string): this {
    const length = Buffer.byteLength(value);
    this.varint(length);
    this.#at += this.bytes.write(value, this.#at, length, "utf8");
    return this;
  }

  raw(value: Uint8Array): this {
    this.bytes.set(value, this.#at);
    this.#at += value.length;
    return this;
  }
}

/** How many bytes a string takes with its length. */
export function stringSize(value: string): number {
  const length = Buffer.byteLength(value);
  return varintSize(length) + length;
}

/** Reads what `ByteWriter` wrote, from untrusted bytes: every wrong input is a `MalformedFrameError`. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  octet(): number {
    const octet = this.#bytes[this.#at++];
    if (octet === undefined) throw new MalformedFrameError("Frame ends too early");
    return octet;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const octet = this.octet();
      value += (octet & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new MalformedFrameError("Number is too large");
      if (octet < 0x80) {
        // One number, one form: otherwise two peers may see different frames in the same bytes.
        if (octet === 0 && scale > 1) throw new MalformedFrameError("Number is not in shortest form");
        return value;
      }
      scale *= 128;
    }
  }

  string(maxBytes: number): string {
    const length = this.varint();
    if (length > maxBytes) throw new MalformedFrameError(`String of ${length} bytes, at most ${maxBytes} are allowed`);
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new MalformedFrameError("Frame ends inside a string");
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString("utf8");
  }

  /** Everything that is left, not copied. */
  rest(): Uint8Array {
    const rest = this.#bytes.subarray(this.#at);
    this.#at = this.#bytes.length;
    return rest;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new MalformedFrameError("Frame is longer than its content");
  }
}
