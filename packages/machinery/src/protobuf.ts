import { protobufCodec, ProtobufError, type ProtobufCodec } from "@skerry/base";
import type { Json } from "./object.ts";
import { definitionNames, once, tableFields, type Scalar, type TableField } from "./table.ts";

/** The four bytes before every Kubernetes protobuf body. */
const MAGIC = Buffer.from([0x6b, 0x38, 0x73, 0x00]);

export interface DecodedKubernetesObject {
  apiVersion: string;
  kind: string;
  /** As JSON would have had it, `apiVersion` and `kind` included. */
  object: { [key: string]: Json };
}

/** Tells whether a body begins as `application/vnd.kubernetes.protobuf` does. */
export const isKubernetesProtobuf = (bytes: Uint8Array): boolean =>
  bytes.length >= MAGIC.length && MAGIC.every((byte, i) => bytes[i] === byte);

/**
 * Decodes a body of type `application/vnd.kubernetes.protobuf` (runtime.Unknown in an envelope) into the JSON form of a
 * built-in kind. Fields that the tables do not know are passed over. Source: k8s.io/apimachinery, runtime/serializer/protobuf.
 *
 * gogo-proto writes zeros of fields that are no pointers; JSON's omitempty would not. So those are left out, and so are objects that
 * are empty without them; zeros of pointers are kept.
 *
 * @throws {ProtobufError} when the bytes are no such body, or of a kind that the tables do not have.
 */
export function decodeKubernetesProtobuf(bytes: Uint8Array): DecodedKubernetesObject {
  if (!isKubernetesProtobuf(bytes))
    throw new ProtobufError("Cannot decode the body: it does not begin as Kubernetes protobuf");
  const unknown = codec().decode(UNKNOWN, bytes.subarray(MAGIC.length)) as Unknown;
  const { apiVersion = "", kind = "" } = unknown.typeMeta ?? {};
  if ((unknown.contentEncoding ?? "") !== "") {
    throw new ProtobufError(
      `Cannot decode the body: content encoding ${JSON.stringify(unknown.contentEncoding)} is not supported`,
    );
  }
  const name = messageOf(apiVersion, kind);
  if (name === undefined) {
    throw new ProtobufError(`Cannot decode the body: no protobuf message is known for ${apiVersion}, Kind=${kind}`);
  }
  const message = codec().decode(name, unknown.raw ?? new Uint8Array());
  return { apiVersion, kind, object: { apiVersion, kind, ...objectOf(name, message) } };
}

/** Tells whether `decodeKubernetesProtobuf` knows a kind. */
export const hasProtobuf = (apiVersion: string, kind: string): boolean => messageOf(apiVersion, kind) !== undefined;

const UNKNOWN = "runtime.Unknown";

interface Unknown {
  typeMeta?: { apiVersion?: string; kind?: string };
  raw?: Uint8Array;
  contentEncoding?: string;
}

/**
 * The message of a kind: `rbac.authorization.k8s.io/v1` is Go's package `rbac/v1`. DeleteOptions and Status are registered in
 * every group, so they are looked for in meta when the group has none.
 */
function messageOf(apiVersion: string, kind: string): string | undefined {
  const [group = "", version = ""] = apiVersion.includes("/") ? apiVersion.split("/") : ["core", apiVersion];
  return [`${group.split(".")[0]}.${version}.${kind}`, `meta.v1.${kind}`].find((name) => fieldsOf().has(name));
}

/** What the scalars of the table travel as. */
const WIRE: Readonly<Record<Scalar, string>> = {
  any: "runtime.RawExtension",
  bool: "bool",
  bytes: "bytes",
  double: "double",
  int32: "int32",
  int64: "int64",
  intstr: "intstr.IntOrString",
  microtime: "meta.Time",
  quantity: "resource.Quantity",
  string: "string",
  strings: "meta.Strings",
  time: "meta.Time",
};

const MESSAGES: Readonly<Record<string, string>> = {
  [UNKNOWN]: "1:typeMeta:runtime.TypeMeta 2:raw:bytes 3:contentEncoding:string 4:contentType:string",
  "runtime.TypeMeta": "1:apiVersion:string 2:kind:string",
  "runtime.RawExtension": "1:raw:bytes",
  "intstr.IntOrString": "1:type:int64 2:intVal:int32 3:strVal:string",
  "meta.Strings": "1:items:*string",
  "meta.Time": "1:seconds:int64 2:nanos:int32",
  "resource.Quantity": "1:string:string",
};

const fieldsOf = once(
  (): ReadonlyMap<string, readonly TableField[]> =>
    new Map(definitionNames().map((name) => [name, tableFields(name)?.filter(({ number }) => number > 0) ?? []])),
);

const codec = once((): ProtobufCodec => {
  const messages: Record<string, string> = { ...MESSAGES };
  for (const [name, fields] of fieldsOf()) {
    messages[name] = fields
      .map(({ number, name: field, shape, base }) => {
        const type = WIRE[base as Scalar] ?? base;
        return `${number}:${field}:${shape === "map" ? `{string,${type}}` : shape === "list" ? `*${type}` : type}`;
      })
      .join(" ");
  }
  return protobufCodec({ messages, presence: "explicit", int64: "number" });
});

type Message = Readonly<Record<string, unknown>>;
type JsonObject = { [key: string]: Json };

function objectOf(name: string, message: Message): JsonObject {
  const result: JsonObject = {};
  for (const field of fieldsOf().get(name) ?? []) {
    const value = message[field.name];
    if (value === undefined) continue;
    if (field.inline) Object.assign(result, objectOf(field.base, value as Message));
    else if (field.shape === "list")
      result[field.name] = (value as unknown[]).map((item) => jsonOf(field.base, item) ?? null);
    else if (field.shape === "map") result[field.name] = mapOf(field.base, value as Message);
    else {
      const json = jsonOf(field.base, value);
      if (json !== undefined && (field.pointer || field.keepsZero || !isZero(json))) result[field.name] = json;
    }
  }
  return result;
}

function mapOf(base: string, map: Message): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(map)) {
    const json = jsonOf(base, value) ?? null;
    if (key !== "__proto__") result[key] = json;
    else Object.defineProperty(result, key, { value: json, enumerable: true, configurable: true, writable: true });
  }
  return result;
}

/** What omitempty leaves out, and an object that is empty because all it holds was. */
function isZero(json: Json): boolean {
  if (typeof json !== "object" || json === null) return json === 0 || json === "" || json === false || json === null;
  return Object.keys(json).length === 0;
}

/** Undefined stands for Go's null: a time that was never set, no raw JSON. */
function jsonOf(base: string, value: unknown): Json | undefined {
  if (base.includes(".")) return objectOf(base, value as Message);
  switch (base as Scalar) {
    case "bool":
    case "double":
    case "int32":
    case "int64":
    case "string":
      return value as Json;
    case "bytes":
      return base64(value as Uint8Array);
    case "any":
      return rawJson((value as { raw?: Uint8Array }).raw);
    case "intstr": {
      const { type = 0, intVal = 0, strVal = "" } = value as { type?: number; intVal?: number; strVal?: string };
      return type === 0 ? intVal : strVal;
    }
    case "quantity":
      return (value as { string?: string }).string ?? "0";
    case "strings":
      return (value as { items?: string[] }).items ?? [];
    case "time":
      return timeOf(value as Time, 0);
    case "microtime":
      return timeOf(value as Time, 6);
  }
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

function rawJson(raw: Uint8Array | undefined): Json | undefined {
  if (raw === undefined || raw.length === 0) return undefined;
  try {
    return JSON.parse(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("utf8")) as Json;
  } catch (cause) {
    throw new ProtobufError("Cannot decode the body: an embedded object is no JSON", { cause });
  }
}

interface Time {
  seconds?: number;
  nanos?: number;
}

/** RFC 3339 can write the years 0 to 9999. */
const MIN_SECONDS = -62_167_219_200;
const MAX_SECONDS = 253_402_300_799;

function timeOf({ seconds, nanos = 0 }: Time, digits: number): string | undefined {
  if (seconds === undefined) return undefined;
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > 999_999_999) {
    throw new ProtobufError(`Cannot decode the body: ${seconds} s and ${nanos} ns are no time`);
  }
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return digits === 0 ? `${whole}Z` : `${whole}.${String(nanos).padStart(9, "0").slice(0, digits)}Z`;
}
