/**
 * A set of messages as facts: what protoc would have read from a `.proto` file, small enough to be kept as JSON.
 * Source: protobuf.dev, "Encoding" and "Language guide (proto 3)".
 */
export interface ProtobufTable {
  /**
   * Message name → its fields in the order of their numbers, each `number:name:type`, separated by spaces.
   *
   * A type is a scalar of the language (`int64`, `string`, …), the name of an enum or message of the table, or
   * `{key,value}` for a map, where both are such types. Before it may stand `*` for a repeated field, `+` for a
   * repeated field whose scalars are packed, or `?` for a scalar that tells absent from zero.
   */
  readonly messages: Readonly<Record<string, string>>;
  /** Enum name → its values as `number:name`, separated by spaces. */
  readonly enums?: Readonly<Record<string, string>>;
  /** Service name → method name → `request response`; a `*` before either says that it is a stream. */
  readonly services?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /**
   * What an absent scalar means: `implicit` (the default; proto 3), its zero, or `explicit` (proto 2), nothing.
   * With `explicit` decoding yields only the fields that were there.
   */
  readonly presence?: "implicit" | "explicit";
  /**
   * How 64-bit integers are decoded: `bigint` (the default), exactly, or `number`, rounded as `JSON.parse` would.
   * Encoding takes both from either.
   */
  readonly int64?: "bigint" | "number";
}

export type Scalar =
  | "bool"
  | "bytes"
  | "double"
  | "fixed32"
  | "fixed64"
  | "float"
  | "int32"
  | "int64"
  | "sfixed32"
  | "sfixed64"
  | "sint32"
  | "sint64"
  | "string"
  | "uint32"
  | "uint64";

/** Values of an enum by number, and the other way about. */
export interface PreparedEnum {
  readonly names: ReadonlyMap<number, string>;
  readonly numbers: ReadonlyMap<string, number>;
}

export type PreparedType =
  | { readonly kind: "scalar"; readonly scalar: Scalar; readonly wire: WireType }
  | { readonly kind: "enum"; readonly name: string; readonly values: PreparedEnum; readonly wire: WireType }
  | { readonly kind: "message"; readonly name: string; readonly wire: WireType };

export interface PreparedField {
  readonly number: number;
  readonly name: string;
  readonly type: PreparedType;
  readonly label: "singular" | "list" | "packed" | "map";
  /** Singular and no message: zero is not written and is what an absent field is read as. */
  readonly implicit: boolean;
  /** Of a map: the type of its keys. `type` is the type of its values. */
  readonly key: PreparedType | undefined;
}

export interface PreparedMessage {
  readonly name: string;
  /** In the order of the table. */
  readonly fields: readonly PreparedField[];
  readonly byNumber: readonly (PreparedField | undefined)[];
}

/** Protobuf's wire types: varint, 64 bits, length-delimited, 32 bits. Groups (3 and 4) are not supported. */
export type WireType = 0 | 1 | 2 | 5;

const WIRE: Readonly<Record<Scalar, WireType>> = {
  bool: 0,
  bytes: 2,
  double: 1,
  fixed32: 5,
  fixed64: 1,
  float: 5,
  int32: 0,
  int64: 0,
  sfixed32: 5,
  sfixed64: 1,
  sint32: 0,
  sint64: 0,
  string: 2,
  uint32: 0,
  uint64: 0,
};

/** Field numbers index an array, so a table must not name huge ones. */
const MAX_FIELD_NUMBER = 65_535;

const isScalar = (type: string): type is Scalar => Object.hasOwn(WIRE, type);

/** A table made ready for use, a message at a time, when it is first asked for. */
export interface PreparedTable {
  readonly table: ProtobufTable;
  readonly exactInt64: boolean;
  message(name: string): PreparedMessage;
}

export function prepareTable(table: ProtobufTable): PreparedTable {
  const messages = new Map<string, PreparedMessage>();
  const enums = new Map<string, PreparedEnum>();
  const implicitTable = table.presence !== "explicit";

  const enumOf = (name: string): PreparedEnum => {
    let prepared = enums.get(name);
    if (prepared === undefined) {
      const names = new Map<number, string>();
      const numbers = new Map<string, number>();
      for (const value of (table.enums?.[name] ?? "").split(" ")) {
        const colon = value.indexOf(":");
        const number = Number(value.slice(0, colon));
        const valueName = value.slice(colon + 1);
        if (!names.has(number)) names.set(number, valueName); // a second name of a number is an alias
        numbers.set(valueName, number);
      }
      prepared = { names, numbers };
      enums.set(name, prepared);
    }
    return prepared;
  };

  const typeOf = (type: string, where: string): PreparedType => {
    if (isScalar(type)) return { kind: "scalar", scalar: type, wire: WIRE[type] };
    if (table.enums !== undefined && Object.hasOwn(table.enums, type)) {
      return { kind: "enum", name: type, values: enumOf(type), wire: 0 };
    }
    if (Object.hasOwn(table.messages, type)) return { kind: "message", name: type, wire: 2 };
    throw new TypeError(`Cannot read the protobuf table: ${where} has the unknown type ${JSON.stringify(type)}`);
  };

  const fieldOf = (text: string, message: string): PreparedField => {
    const first = text.indexOf(":");
    const second = text.indexOf(":", first + 1);
    const number = Number(text.slice(0, first));
    const name = text.slice(first + 1, second);
    const where = `${message}.${name}`;
    if (second < 0 || !Number.isInteger(number) || number < 1 || number > MAX_FIELD_NUMBER) {
      throw new TypeError(`Cannot read the protobuf table: ${message} has the malformed field ${JSON.stringify(text)}`);
    }
    const mark = text.charAt(second + 1);
    if (mark === "{") {
      const [key = "", value = ""] = text.slice(second + 2, -1).split(",");
      return { number, name, type: typeOf(value, where), label: "map", implicit: false, key: typeOf(key, where) };
    }
    if (mark === "*" || mark === "+") {
      const type = typeOf(text.slice(second + 2), where);
      return { number, name, type, label: mark === "+" ? "packed" : "list", implicit: false, key: undefined };
    }
    const type = typeOf(text.slice(mark === "?" ? second + 2 : second + 1), where);
    const implicit = implicitTable && mark !== "?" && type.kind !== "message";
    return { number, name, type, label: "singular", implicit, key: undefined };
  };

  return {
    table,
    exactInt64: table.int64 !== "number",
    message(name) {
      let prepared = messages.get(name);
      if (prepared === undefined) {
        if (!Object.hasOwn(table.messages, name)) {
          throw new TypeError(`Cannot find the protobuf message ${JSON.stringify(name)} in the table`);
        }
        const text = table.messages[name] ?? "";
        const fields = text === "" ? [] : text.split(" ").map((field) => fieldOf(field, name));
        const byNumber: (PreparedField | undefined)[] = [];
        for (const field of fields) {
          while (byNumber.length < field.number) byNumber.push(undefined);
          byNumber[field.number] = field;
        }
        prepared = { name, fields, byNumber };
        messages.set(name, prepared);
      }
      return prepared;
    },
  };
}
