import { ProtobufError } from "./protobuf-error.ts";
import type { PreparedField, PreparedMessage, PreparedTable, PreparedType, Scalar } from "./protobuf-table.ts";

export type DecodedMessage = Record<string, unknown>;

/** Messages nested deeper than this are refused, as protobuf's own implementations do: a hostile input must not exhaust the stack. */
const MAX_DEPTH = 100;

/** Short strings are read by hand: the call into C++ costs more than they do. */
const SHORT_STRING = 24;

/** Reads one message that fills `bytes`. */
export function decodeMessage(table: PreparedTable, name: string, bytes: Uint8Array): DecodedMessage {
  const reader = new Reader(bytes);
  return readFields(table, table.message(name), reader, bytes.length, emptyMessage(table, table.message(name)), 0);
}

/** A message as it is before its first field was read. All objects of one message so begin with the same shape. */
function emptyMessage(table: PreparedTable, message: PreparedMessage): DecodedMessage {
  const result: DecodedMessage = {};
  for (const field of message.fields) {
    if (field.implicit) result[field.name] = zeroOf(table, field.type);
    else if (table.table.presence === "explicit") continue;
    else if (field.label === "map") result[field.name] = {};
    else if (field.label !== "singular") result[field.name] = [];
  }
  return result;
}

function zeroOf(table: PreparedTable, type: PreparedType): unknown {
  if (type.kind === "message") return emptyMessage(table, table.message(type.name));
  if (type.kind === "enum") return type.values.names.get(0) ?? 0;
  switch (type.scalar) {
    case "bool":
      return false;
    case "string":
      return "";
    case "bytes":
      return new Uint8Array();
    case "fixed64":
    case "int64":
    case "sfixed64":
    case "sint64":
    case "uint64":
      return table.exactInt64 ? 0n : 0;
    case "double":
    case "fixed32":
    case "float":
    case "int32":
    case "sfixed32":
    case "sint32":
    case "uint32":
      return 0;
  }
}

function readFields(
  table: PreparedTable,
  message: PreparedMessage,
  reader: Reader,
  end: number,
  result: DecodedMessage,
  depth: number,
): DecodedMessage {
  if (depth >= MAX_DEPTH) throw reader.fault(`messages are nested deeper than ${MAX_DEPTH}`, message.name);
  while (reader.at < end) {
    const tag = reader.tag(message.name, end);
    const wire = tag & 7;
    const field = message.byNumber[tag >>> 3];
    if (field === undefined) reader.skip(wire, message.name, end);
    else if (field.label === "singular" && wire === field.type.wire) {
      const before = result[field.name];
      result[field.name] = readValue(table, field.type, reader, end, depth, message, before);
    } else if (field.label === "map" && wire === 2) readEntry(table, field, reader, end, result, depth, message);
    else if (field.label === "singular" || field.label === "map") reader.skip(wire, message.name, end);
    else readElement(table, field, wire, reader, end, result, depth, message);
  }
  return result;
}

/** One element of a list, or a run of packed ones: a reader takes either, whatever the table says. */
function readElement(
  table: PreparedTable,
  field: PreparedField,
  wire: number,
  reader: Reader,
  end: number,
  result: DecodedMessage,
  depth: number,
  message: PreparedMessage,
): void {
  const packed = wire === 2 && field.type.wire !== 2;
  if (!packed && wire !== field.type.wire) return reader.skip(wire, message.name, end);
  const list = (result[field.name] ??= []) as unknown[];
  if (!packed) {
    list.push(readValue(table, field.type, reader, end, depth, message, undefined));
    return;
  }
  const stop = reader.length(message.name, end);
  while (reader.at < stop) list.push(readValue(table, field.type, reader, stop, depth, message, undefined));
}

function readEntry(
  table: PreparedTable,
  field: PreparedField,
  reader: Reader,
  end: number,
  result: DecodedMessage,
  depth: number,
  message: PreparedMessage,
): void {
  const stop = reader.length(message.name, end);
  const keyType = field.key as PreparedType;
  let key: unknown;
  let value: unknown;
  while (reader.at < stop) {
    const tag = reader.tag(message.name, stop);
    if (tag === (8 | keyType.wire)) key = readValue(table, keyType, reader, stop, depth, message, undefined);
    else if (tag === (16 | field.type.wire)) value = readValue(table, field.type, reader, stop, depth, message, value);
    else reader.skip(tag & 7, message.name, stop);
  }
  const map = (result[field.name] ??= {}) as DecodedMessage;
  const name = String(key ?? zeroOf(table, keyType));
  value ??= zeroOf(table, field.type);
  if (name !== "__proto__") map[name] = value;
  else Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true });
}

function readValue(
  table: PreparedTable,
  type: PreparedType,
  reader: Reader,
  end: number,
  depth: number,
  message: PreparedMessage,
  before: unknown,
): unknown {
  switch (type.kind) {
    case "scalar":
      return reader.scalar(type.scalar, table.exactInt64, message.name, end);
    case "enum": {
      reader.varint(message.name, end);
      const number = reader.low | 0;
      return type.values.names.get(number) ?? number;
    }
    case "message": {
      const stop = reader.length(message.name, end);
      const inner = table.message(type.name);
      // A message that comes twice is merged: protobuf.dev, "Last one wins".
      const into = (before as DecodedMessage | undefined) ?? emptyMessage(table, inner);
      return readFields(table, inner, reader, stop, into, depth + 1);
    }
  }
}

const doubleOf = (high: number, low: number): number => high * 4_294_967_296 + low;

/** A place in the input. Whatever it reads it first checks to lie before `end`. */
class Reader {
  at = 0;
  /** The halves of the last varint or 64-bit value read, as unsigned 32-bit numbers. */
  low = 0;
  high = 0;
  readonly #bytes: Uint8Array;
  readonly #buffer: Buffer;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fault(why: string, message: string): ProtobufError {
    return new ProtobufError(`Cannot decode protobuf message ${message} at byte ${this.at}: ${why}`);
  }

  #need(count: number, message: string, end: number): void {
    if (count > end - this.at) {
      throw this.fault(`${count} bytes are needed and ${end - this.at} are left`, message);
    }
  }

  varint(message: string, end: number): void {
    const bytes = this.#bytes;
    let byte = this.at < end ? (bytes[this.at] as number) : 256;
    if (byte < 128) {
      this.at++;
      this.low = byte;
      this.high = 0;
      return;
    }
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      this.#need(1, message, end);
      byte = bytes[this.at++] as number;
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32); // at 63 only the lowest bit stays: 64 bits are all there are
      if (byte < 128) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw this.fault("a varint is longer than 10 bytes", message);
  }

  tag(message: string, end: number): number {
    this.varint(message, end);
    if (this.high !== 0 || this.low < 8) throw this.fault("a field number is out of range", message);
    return this.low;
  }

  /** Reads a length and answers where what it measures ends. */
  length(message: string, end: number): number {
    this.varint(message, end);
    this.#need(doubleOf(this.high, this.low), message, end);
    return this.at + this.low;
  }

  skip(wire: number, message: string, end: number): void {
    if (wire === 0) this.varint(message, end);
    else if (wire === 2) this.at = this.length(message, end);
    else if (wire === 1 || wire === 5) {
      const count = wire === 1 ? 8 : 4;
      this.#need(count, message, end);
      this.at += count;
    } else throw this.fault(`wire type ${wire} is not supported`, message);
  }

  scalar(type: Scalar, exact: boolean, message: string, end: number): unknown {
    switch (type) {
      case "string":
        return this.#string(message, end);
      case "bytes": {
        const start = this.length(message, end) - this.low;
        this.at = start + this.low;
        return this.#bytes.subarray(start, this.at);
      }
      case "bool":
        this.varint(message, end);
        return this.low !== 0 || this.high !== 0;
      case "int32":
        this.varint(message, end);
        return this.low | 0;
      case "uint32":
        this.varint(message, end);
        return this.low;
      case "sint32":
        this.varint(message, end);
        return (this.low >>> 1) ^ -(this.low & 1);
      case "int64":
        this.varint(message, end);
        return this.#signed(exact);
      case "uint64":
        this.varint(message, end);
        return this.#unsigned(exact);
      case "sint64": {
        this.varint(message, end);
        const sign = -(this.low & 1);
        const low = ((this.low >>> 1) | (this.high << 31)) ^ sign;
        this.high = ((this.high >>> 1) ^ sign) >>> 0;
        this.low = low >>> 0;
        return this.#signed(exact);
      }
      case "fixed64":
        this.#fixed64(message, end);
        return this.#unsigned(exact);
      case "sfixed64":
        this.#fixed64(message, end);
        return this.#signed(exact);
      case "fixed32":
        return this.#view.getUint32(this.#fixed(4, message, end), true);
      case "sfixed32":
        return this.#view.getInt32(this.#fixed(4, message, end), true);
      case "float":
        return this.#view.getFloat32(this.#fixed(4, message, end), true);
      case "double":
        return this.#view.getFloat64(this.#fixed(8, message, end), true);
    }
  }

  #fixed(count: number, message: string, end: number): number {
    this.#need(count, message, end);
    const start = this.at;
    this.at += count;
    return start;
  }

  #fixed64(message: string, end: number): void {
    const start = this.#fixed(8, message, end);
    this.low = this.#view.getUint32(start, true);
    this.high = this.#view.getUint32(start + 4, true);
  }

  #unsigned(exact: boolean): bigint | number {
    if (!exact) return doubleOf(this.high, this.low);
    return this.high === 0 ? BigInt(this.low) : (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  #signed(exact: boolean): bigint | number {
    if (!exact) return doubleOf(this.high | 0, this.low);
    return this.high === 0 ? BigInt(this.low) : (BigInt(this.high | 0) << 32n) | BigInt(this.low);
  }

  #string(message: string, end: number): string {
    const stop = this.length(message, end);
    const start = this.at;
    this.at = stop;
    if (stop - start > SHORT_STRING) return this.#buffer.toString("utf8", start, stop);
    let text = "";
    for (let i = start; i < stop; i++) {
      const byte = this.#bytes[i] as number;
      if (byte > 127) return this.#buffer.toString("utf8", start, stop);
      text += String.fromCharCode(byte);
    }
    return text;
  }
}
