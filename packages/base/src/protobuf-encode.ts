import { ProtobufError } from "./protobuf-error.ts";
import type { PreparedField, PreparedTable, PreparedType, Scalar } from "./protobuf-table.ts";

const INITIAL_BYTES = 512;

/** Writes one message, with `headroom` zero bytes before it for the caller's own header. */
export function encodeMessage(table: PreparedTable, name: string, value: object, headroom: number): Uint8Array {
  const writer = new Writer();
  writeFields(table, name, value as Record<string, unknown>, writer);
  return writer.finish(headroom);
}

/**
 * Fields are written from last to first, each from its end to its start: so the length of a nested message is known when it
 * is due, and one pass suffices.
 */
function writeFields(table: PreparedTable, name: string, value: Record<string, unknown>, writer: Writer): void {
  const { fields } = table.message(name);
  for (let i = fields.length - 1; i >= 0; i--) {
    const field = fields[i] as PreparedField;
    const content = value[field.name];
    if (content === undefined || content === null) continue;
    try {
      writeField(table, field, content, writer);
    } catch (error) {
      if (!(error instanceof MisfitError)) throw error;
      throw new ProtobufError(`Cannot encode protobuf message ${name}: field ${field.name}: ${error.message}`);
    }
  }
}

function writeField(table: PreparedTable, field: PreparedField, content: unknown, writer: Writer): void {
  const { number, type } = field;
  switch (field.label) {
    case "singular":
      if (field.implicit && isZero(type, content)) return;
      writeValue(table, type, content, writer);
      writer.tag(number, type.wire);
      return;
    case "list":
    case "packed": {
      if (!Array.isArray(content)) throw new MisfitError(`${show(content)} is not an array`);
      const list = content as readonly unknown[];
      const mark = writer.mark();
      for (let i = list.length - 1; i >= 0; i--) {
        writeValue(table, type, list[i], writer);
        if (field.label === "list") writer.tag(number, type.wire);
      }
      if (field.label === "packed" && list.length > 0) {
        writer.length(mark);
        writer.tag(number, 2);
      }
      return;
    }
    case "map": {
      if (typeof content !== "object") throw new MisfitError(`${show(content)} is not an object`);
      const keyType = field.key as PreparedType;
      const entries = Object.entries(content as Record<string, unknown>);
      for (let i = entries.length - 1; i >= 0; i--) {
        const [key, value] = entries[i] as [string, unknown];
        const mark = writer.mark();
        writeValue(table, type, value, writer);
        writer.tag(2, type.wire);
        writeValue(table, keyType, keyOf(keyType, key), writer);
        writer.tag(1, keyType.wire);
        writer.length(mark);
        writer.tag(number, 2);
      }
    }
  }
}

/** The keys of an object are strings; a map's may be numbers or booleans. */
function keyOf(type: PreparedType, key: string): unknown {
  if (type.kind !== "scalar" || type.scalar === "string") return key;
  if (type.scalar === "bool") return key === "true";
  if (!/^-?\d+$/.test(key)) throw new MisfitError(`the key ${show(key)} is not an integer`);
  return BigInt(key);
}

function isZero(type: PreparedType, value: unknown): boolean {
  if (type.kind === "enum") return value === 0 || type.values.numbers.get(value as string) === 0;
  if (typeof value === "string" || value instanceof Uint8Array) return value.length === 0;
  return value === 0n || value === false || Object.is(value, 0); // -0 is a float of its own
}

function writeValue(table: PreparedTable, type: PreparedType, value: unknown, writer: Writer): void {
  switch (type.kind) {
    case "scalar":
      writer.scalar(type.scalar, value);
      return;
    case "enum": {
      const number = typeof value === "string" ? type.values.numbers.get(value) : value;
      if (number === undefined) throw new MisfitError(`${show(value)} is no value of ${type.name}`);
      writer.scalar("int32", number);
      return;
    }
    case "message": {
      if (typeof value !== "object" || value === null) throw new MisfitError(`${show(value)} is not an object`);
      const mark = writer.mark();
      writeFields(table, type.name, value as Record<string, unknown>, writer);
      writer.length(mark);
    }
  }
}

/** A value that its field cannot hold; the caller adds which field. */
class MisfitError extends Error {}

const show = (value: unknown): string =>
  typeof value === "bigint" ? String(value) : (JSON.stringify(value)?.slice(0, 60) ?? typeof value);

const LIMITS: Partial<Record<Scalar, readonly [min: bigint, max: bigint]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  sint32: [-(2n ** 31n), 2n ** 31n - 1n],
  sfixed32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  fixed32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  sint64: [-(2n ** 63n), 2n ** 63n - 1n],
  sfixed64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  fixed64: [0n, 2n ** 64n - 1n],
};

/** A buffer that grows at its front. */
class Writer {
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  /** Where what was written begins. */
  #at = INITIAL_BYTES;

  finish(headroom: number): Uint8Array {
    this.#room(headroom).fill(0, this.#at - headroom, this.#at);
    return this.#buffer.subarray(this.#at - headroom);
  }

  /** A place to measure from: how many bytes stand behind it. */
  mark(): number {
    return this.#buffer.length - this.#at;
  }

  length(mark: number): void {
    this.#varint(this.mark() - mark, 0);
  }

  tag(number: number, wire: number): void {
    this.#varint(((number << 3) | wire) >>> 0, 0);
  }

  #room(count: number): Buffer {
    if (count > this.#at) {
      const used = this.mark();
      let size = this.#buffer.length * 2;
      while (size < used + count) size *= 2;
      // One large string or byte array is common (a chunk of an image): make room for it, not for twice as much.
      if (count > used) size = used + count + INITIAL_BYTES;
      const grown = Buffer.allocUnsafeSlow(size);
      this.#buffer.copy(grown, size - used, this.#at);
      this.#buffer = grown;
      this.#at = size - used;
    }
    return this.#buffer;
  }

  #varint(low: number, high: number): void {
    if (high === 0 && low < 128) {
      const buffer = this.#room(1);
      buffer[--this.#at] = low;
      return;
    }
    let size = 1;
    if (high === 0) for (let rest = low >>> 7; rest !== 0; rest >>>= 7) size++;
    else {
      size = 5;
      for (let rest = high >>> 3; rest !== 0; rest >>>= 7) size++;
    }
    const buffer = this.#room(size);
    this.#at -= size;
    for (let i = this.#at; i < this.#at + size; i++) {
      const last = i === this.#at + size - 1;
      buffer[i] = (low & 127) | (last ? 0 : 128);
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
  }

  #bytes(content: Uint8Array): void {
    const buffer = this.#room(content.length);
    this.#at -= content.length;
    buffer.set(content, this.#at);
    this.#varint(content.length, 0);
  }

  #string(content: string): void {
    const size = Buffer.byteLength(content);
    const buffer = this.#room(size);
    this.#at -= size;
    if (size === content.length && size <= 24) {
      for (let i = 0; i < size; i++) buffer[this.#at + i] = content.charCodeAt(i);
    } else buffer.write(content, this.#at, size, "utf8");
    this.#varint(size, 0);
  }

  scalar(type: Scalar, value: unknown): void {
    switch (type) {
      case "string":
        if (typeof value !== "string") throw new MisfitError(`${show(value)} is not a string`);
        this.#string(value);
        return;
      case "bytes":
        if (!(value instanceof Uint8Array)) throw new MisfitError(`${show(value)} is not a Uint8Array`);
        this.#bytes(value);
        return;
      case "bool":
        if (typeof value !== "boolean") throw new MisfitError(`${show(value)} is not a boolean`);
        this.#varint(value ? 1 : 0, 0);
        return;
      case "float":
      case "double": {
        if (typeof value !== "number") throw new MisfitError(`${show(value)} is not a number`);
        const size = type === "float" ? 4 : 8;
        const buffer = this.#room(size);
        this.#at -= size;
        if (type === "float") buffer.writeFloatLE(value, this.#at);
        else buffer.writeDoubleLE(value, this.#at);
        return;
      }
      case "fixed32":
      case "fixed64":
      case "int32":
      case "int64":
      case "sfixed32":
      case "sfixed64":
      case "sint32":
      case "sint64":
      case "uint32":
      case "uint64":
        this.#integer(type, value);
    }
  }

  #integer(type: Scalar, value: unknown): void {
    if (typeof value === "number" && value >= 0 && value <= 0x7fff_ffff && Number.isInteger(value)) {
      if (type === "int32" || type === "uint32" || type === "int64" || type === "uint64") {
        this.#varint(value, 0);
        return;
      }
    }
    if (typeof value === "number" ? !Number.isInteger(value) : typeof value !== "bigint") {
      throw new MisfitError(`${show(value)} is not an integer`);
    }
    let exact = BigInt(value as number | bigint);
    const [min, max] = LIMITS[type] as readonly [bigint, bigint];
    if (exact < min || exact > max) throw new MisfitError(`${show(value)} is no ${type}`);
    if (type === "sint32" || type === "sint64") exact = exact < 0n ? -2n * exact - 1n : 2n * exact;
    exact = BigInt.asUintN(64, exact); // a negative int32 is written with 64 bits too
    const low = Number(exact & 0xffff_ffffn);
    const high = Number(exact >> 32n);
    if (!type.includes("fixed")) this.#varint(low, high);
    else {
      const buffer = this.#room(8);
      this.#at -= type.endsWith("64") ? 8 : 4;
      buffer.writeUInt32LE(low, this.#at);
      if (type.endsWith("64")) buffer.writeUInt32LE(high, this.#at + 4);
    }
  }
}
