import { ByteReader, ByteWriter, MalformedFrameError, stringSize, varintSize } from "./bytes.ts";
import { packPayload, type Payload } from "./frame.ts";
import type { HeldObject, Message, Report } from "./state.ts";

/** The protocol's number; peers of another one part at the greeting. */
export const PROTOCOL_VERSION = 1;

/** Lengths that hold for every name: DNS subdomains are 253 at most, a uid 36. */
const MAX_NAME_BYTES = 512;
const MAX_REASON_BYTES = 4096;
const MAX_JSON_BYTES = 64 << 10;
/** How many objects a node may hold altogether, and how many travel in one `held` frame. */
export const MAX_HELD_OBJECTS = 100_000;
export const HELD_PER_FRAME = 1000;

/** The edge's greeting: the first frame of every connection. */
export interface Hello {
  protocol: number;
  /** Of the agent, for people. */
  version: string;
  capabilities: string[];
  /** The node's name; the certificate decides, this is compared with it. */
  node: string;
  /** A counter that the edge persists: of two sessions of a node the one with the greater epoch lives. */
  epoch: number;
  /** Random for each life of the agent process, so that two devices with one identity can be told from one that restarted. */
  instance: string;
  /** `digestOf` what the edge holds. */
  digest: string;
}

/** The hub's answer to a `Hello` that it accepts. */
export interface Welcome {
  protocol: number;
  version: string;
  capabilities: string[];
  /** How often the edge pings, in milliseconds. Twice as long without a word, and either side gives the other up. */
  heartbeatMs: number;
  /** The edge holds exactly what the cloud wants; otherwise it now sends `held` frames, and gets the difference. */
  inSync: boolean;
}

/** Why a session ended. */
export type EndReason =
  /** The peer stops and will be back, or a user asked for it. */
  | "shutdown"
  | "replaced"
  | "stale-epoch"
  | "duplicate-identity"
  | "revoked"
  | "unauthorized"
  | "not-ready"
  | "overloaded"
  | "incompatible"
  | "malformed-frame"
  | "overflow"
  | "heartbeat-lost"
  | "handshake-timeout"
  | "connection-lost"
  | "failed";

/** The last frame: why the sender parts, and when it is worth coming back. */
export interface Goodbye {
  reason: EndReason;
  message: string;
  /** The other side waits at least this long before it dials again. */
  retryAfterMs?: number;
  /** With `stale-epoch`: the epoch that has to be exceeded. */
  epoch?: number;
}

/** The head of a request over the link, and of its answer. */
export interface RequestHead {
  method: string;
  path: string;
  headers: Record<string, string>;
  /** No body follows. */
  ended: boolean;
}

export interface ResponseHead {
  status: number;
  headers: Record<string, string>;
}

export const encodeJson = (value: object): Payload => packPayload(Buffer.from(JSON.stringify(value)));

export function encodePut(object: HeldObject, bytes: Uint8Array): Payload {
  const size = nameSize(object) + stringSize(object.hash) + bytes.length;
  return packPayload(writeName(new ByteWriter(size), object).string(object.hash).raw(bytes).bytes);
}

export function decodePut(payload: Uint8Array): { object: HeldObject; bytes: Uint8Array } {
  const reader = new ByteReader(payload);
  const object = { ...readName(reader), hash: reader.string(MAX_NAME_BYTES) };
  return { object, bytes: reader.rest() };
}

export const encodeDelete = (object: Omit<HeldObject, "hash">): Payload =>
  packPayload(writeName(new ByteWriter(nameSize(object)), object).bytes);

export function decodeDelete(payload: Uint8Array): HeldObject {
  const reader = new ByteReader(payload);
  const object = { ...readName(reader), hash: "" };
  reader.end();
  return object;
}

export function encodeReport(report: Report): Payload {
  const size = nameSize(report) + 1 + report.bytes.length;
  return packPayload(
    writeName(new ByteWriter(size), report)
      .octet(report.gone ? 1 : 0)
      .raw(report.bytes).bytes,
  );
}

export function decodeReport(payload: Uint8Array): Report {
  const reader = new ByteReader(payload);
  const name = readName(reader);
  const gone = reader.octet();
  if (gone > 1) throw new MalformedFrameError(`Unknown report flags ${gone}`);
  return { ...name, gone: gone === 1, bytes: reader.rest() };
}

export function encodeMessage({ id, topic, ttlMs, bytes }: Message): Payload {
  const ttl = Math.ceil(ttlMs);
  const size = stringSize(id) + stringSize(topic) + varintSize(ttl) + bytes.length;
  return packPayload(new ByteWriter(size).string(id).string(topic).varint(ttl).raw(bytes).bytes);
}

export function decodeMessage(payload: Uint8Array): Message {
  const reader = new ByteReader(payload);
  return { id: reader.string(128), topic: reader.string(128), ttlMs: reader.varint(), bytes: reader.rest() };
}

export const encodeCredit = (bytes: number): Payload =>
  packPayload(new ByteWriter(varintSize(bytes)).varint(bytes).bytes);

export function decodeCredit(payload: Uint8Array): number {
  const reader = new ByteReader(payload);
  const bytes = reader.varint();
  reader.end();
  return bytes;
}

export const decodeHello = (payload: Uint8Array): Hello => {
  const json = jsonOf(payload);
  return {
    protocol: numberIn(json, "protocol"),
    version: stringIn(json, "version"),
    capabilities: stringsIn(json, "capabilities"),
    node: stringIn(json, "node"),
    epoch: numberIn(json, "epoch"),
    instance: stringIn(json, "instance"),
    digest: stringIn(json, "digest"),
  };
};

export const decodeWelcome = (payload: Uint8Array): Welcome => {
  const json = jsonOf(payload);
  return {
    protocol: numberIn(json, "protocol"),
    version: stringIn(json, "version"),
    capabilities: stringsIn(json, "capabilities"),
    heartbeatMs: numberIn(json, "heartbeatMs"),
    inSync: json["inSync"] === true,
  };
};

export const decodeGoodbye = (payload: Uint8Array): Goodbye => {
  const json = jsonOf(payload);
  return {
    // A reason of a newer peer is worth its message.
    reason: stringIn(json, "reason") as EndReason,
    message: stringIn(json, "message", MAX_REASON_BYTES),
    ...(json["retryAfterMs"] !== undefined && { retryAfterMs: numberIn(json, "retryAfterMs") }),
    ...(json["epoch"] !== undefined && { epoch: numberIn(json, "epoch") }),
  };
};

export const decodeRequestHead = (payload: Uint8Array): RequestHead => {
  const json = jsonOf(payload);
  return {
    method: stringIn(json, "method"),
    path: stringIn(json, "path", 16 << 10),
    headers: headersIn(json),
    ended: json["ended"] === true,
  };
};

export const decodeResponseHead = (payload: Uint8Array): ResponseHead => {
  const json = jsonOf(payload);
  const status = numberIn(json, "status");
  if (status < 200 || status > 599) throw new MalformedFrameError(`Unknown HTTP status ${status}`);
  return { status, headers: headersIn(json) };
};

/** A reason in words. */
export const encodeReason = (reason: string): Payload =>
  packPayload(Buffer.from(reason.slice(0, MAX_REASON_BYTES / 4)));

export const decodeReason = (payload: Uint8Array): string =>
  Buffer.from(payload.subarray(0, MAX_REASON_BYTES)).toString("utf8");

/** A part of what an edge holds; `channel` of its frame is 1 when more follows, 0 for the last. */
export const encodeHeld = (objects: readonly HeldObject[]): Payload => {
  let size = varintSize(objects.length);
  for (const object of objects) size += nameSize(object) + stringSize(object.hash);
  const writer = new ByteWriter(size).varint(objects.length);
  for (const object of objects) writeName(writer, object).string(object.hash);
  return packPayload(writer.bytes);
};

export function decodeHeld(payload: Uint8Array): HeldObject[] {
  const reader = new ByteReader(payload);
  const count = reader.varint();
  if (count > HELD_PER_FRAME) throw new MalformedFrameError(`Held objects: ${count} in one frame`);
  const objects: HeldObject[] = [];
  for (let i = 0; i < count; i++) objects.push({ ...readName(reader), hash: reader.string(MAX_NAME_BYTES) });
  reader.end();
  return objects;
}

type Name = Pick<HeldObject, "resource" | "namespace" | "name" | "uid">;

const nameSize = ({ resource, namespace, name, uid }: Name): number =>
  stringSize(resource) + stringSize(namespace) + stringSize(name) + stringSize(uid);

const writeName = (writer: ByteWriter, { resource, namespace, name, uid }: Name): ByteWriter =>
  writer.string(resource).string(namespace).string(name).string(uid);

const readName = (reader: ByteReader): Name => ({
  resource: reader.string(MAX_NAME_BYTES),
  namespace: reader.string(MAX_NAME_BYTES),
  name: reader.string(MAX_NAME_BYTES),
  uid: reader.string(MAX_NAME_BYTES),
});

function jsonOf(payload: Uint8Array): Record<string, unknown> {
  if (payload.length > MAX_JSON_BYTES) throw new MalformedFrameError(`JSON of ${payload.length} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"));
  } catch (error) {
    throw new MalformedFrameError("Payload is not JSON", { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new MalformedFrameError("Payload is not a JSON object");
  }
  return value as Record<string, unknown>;
}

function stringIn(json: Record<string, unknown>, key: string, maxLength = MAX_NAME_BYTES): string {
  const value = json[key];
  if (typeof value === "string" && value.length <= maxLength) return value;
  throw new MalformedFrameError(`"${key}" is not a string of at most ${maxLength} characters`);
}

function numberIn(json: Record<string, unknown>, key: string): number {
  const value = json[key];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new MalformedFrameError(`"${key}" is not a whole number`);
}

function stringsIn(json: Record<string, unknown>, key: string): string[] {
  const value = json[key];
  const fits = Array.isArray(value) && value.length <= 64 && value.every((word) => typeof word === "string");
  if (!fits) throw new MalformedFrameError(`"${key}" is not a list of strings`);
  return value as string[];
}

function headersIn(json: Record<string, unknown>): Record<string, string> {
  const value = json["headers"];
  const fits =
    typeof value === "object" && value !== null && Object.values(value).every((text) => typeof text === "string");
  if (!fits) throw new MalformedFrameError(`"headers" is not an object of strings`);
  return value as Record<string, string>;
}
