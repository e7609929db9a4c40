import { decodeMessage } from "./protobuf-decode.ts";
import { encodeMessage } from "./protobuf-encode.ts";
import { prepareTable, type ProtobufTable } from "./protobuf-table.ts";

/** What `encode` takes where `decode` yields `T`: any field may be absent, and 64-bit integers may be numbers. */
export type ProtobufInput<T> = T extends bigint
  ? bigint | number
  : T extends Uint8Array
    ? Uint8Array
    : T extends readonly (infer Item)[]
      ? readonly ProtobufInput<Item>[]
      : T extends object
        ? { readonly [K in keyof T]?: ProtobufInput<T[K]> | undefined }
        : T;

/** A method of a gRPC service. */
export interface ProtobufMethod {
  /** The HTTP path of a call: `/package.Service/Method`. */
  readonly path: string;
  readonly request: string;
  readonly response: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/**
 * Writes and reads the messages of one table. `Messages` maps their names to the types of what `decode` yields.
 *
 * Enum values are strings (an unknown one, its number), maps are objects, `bytes` are `Uint8Array`s; how absent fields and
 * 64-bit integers look is the table's choice. Nested messages that are absent are absent.
 */
export interface ProtobufCodec<Messages extends object = Record<string, Record<string, unknown>>> {
  /**
   * Encodes a message. Properties that the message has no field for are passed over, as are `undefined` and `null`.
   * With `headroom` so many zero bytes stand before it, for a frame's header.
   *
   * @throws {ProtobufError} when a value does not fit its field.
   */
  encode<K extends keyof Messages & string>(name: K, value: ProtobufInput<Messages[K]>, headroom?: number): Uint8Array;
  /**
   * Decodes a message that fills `bytes`; fields that the table does not know are passed over.
   * `bytes` fields are views of the input, not copies. The size of the input bounds what it makes; nesting is bounded by 100.
   *
   * @throws {ProtobufError} when the input is truncated or malformed.
   */
  decode<K extends keyof Messages & string>(name: K, bytes: Uint8Array): Messages[K];
  /** Looks a method up in the table's services. */
  method(service: string, name: string): ProtobufMethod;
}

/** Makes a codec of a table. Messages are prepared when they are first used; the table must not change. */
export function protobufCodec<Messages extends object = Record<string, Record<string, unknown>>>(
  table: ProtobufTable,
): ProtobufCodec<Messages> {
  const prepared = prepareTable(table);
  return {
    encode: (name, value, headroom = 0) => encodeMessage(prepared, name, value as object, headroom),
    decode: <K extends keyof Messages & string>(name: K, bytes: Uint8Array) =>
      decodeMessage(prepared, name, bytes) as Messages[K],
    method(service, name) {
      const text = table.services?.[service]?.[name];
      if (text === undefined) throw new TypeError(`Cannot find the method ${service}/${name} in the protobuf table`);
      const [request = "", response = ""] = text.split(" ");
      return {
        path: `/${service}/${name}`,
        request: request.replace("*", ""),
        response: response.replace("*", ""),
        requestStream: request.startsWith("*"),
        responseStream: response.startsWith("*"),
      };
    },
  };
}
