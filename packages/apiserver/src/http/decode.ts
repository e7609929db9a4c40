import { ProtobufError } from "@skerry/base";
import {
  apiVersionOf,
  badRequest,
  decodeKubernetesProtobuf,
  duplicateFields,
  parseJson,
  unsupportedMediaType,
  type Kind,
  type KubeObject,
} from "@skerry/machinery";
import type { DecodedBody, PatchRequest } from "../api.ts";
import type { ParsedText, YamlReader } from "./yaml-reader.ts";

const JSON_TYPE = "application/json";
const YAML_TYPE = "application/yaml";
const PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf";
const OBJECT_TYPES = [JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE];

const APPLY_TYPE = "application/apply-patch+yaml";
const PATCH_TYPES: readonly PatchRequest["type"][] = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  APPLY_TYPE,
];

/** A request's body, and what reads it. */
export interface Body {
  bytes: Uint8Array;
  contentType: string | undefined;
  yaml: YamlReader;
  signal: AbortSignal;
}

/** The kind that a path expects in a body. */
export type ExpectedKind = Pick<Kind, "group" | "version" | "kind">;

/** Media type without parameters, in lower case; JSON when the client says nothing. */
export function mediaTypeOf(contentType: string | undefined): string {
  const type = (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return type === "" ? JSON_TYPE : type;
}

/**
 * Reads an object of the kind that the path expects, and gives it that `apiVersion` and `kind` when it names none.
 * `strict` looks for duplicate fields too, which costs a second pass over the text.
 * Throws UnsupportedMediaType, or BadRequest for what cannot be read or is of another kind.
 */
export async function decodeObject(body: Body, expected: ExpectedKind, strict: boolean): Promise<DecodedBody> {
  const { value, problems } = await decodeBody(body, strict);
  const object = asObject(value, expected.kind);
  const apiVersion = apiVersionOf(expected);
  const saysKind = object["kind"];
  const saysVersion = object["apiVersion"];
  if (typeof saysKind === "string" && saysKind !== "" && saysKind !== expected.kind)
    throw badRequest(
      `${saysKind} in version ${JSON.stringify(versionOf(saysVersion))} cannot be handled as a ${expected.kind}: ` +
        `the path is that of ${expected.kind}`,
    );
  if (typeof saysVersion === "string" && saysVersion !== "" && saysVersion !== apiVersion)
    throw badRequest(
      `the API version in the data (${saysVersion}) does not match the expected API version (${apiVersion})`,
    );
  const metadata = object["metadata"] ?? {};
  if (typeof metadata !== "object" || Array.isArray(metadata))
    throw badRequest(`the object provided is unrecognized (must be of type ${expected.kind}): metadata is no object`);
  object["apiVersion"] = apiVersion;
  object["kind"] = expected.kind;
  object["metadata"] = metadata;
  return { object: object as unknown as KubeObject, problems };
}

/** Reads DeleteOptions; `undefined` when there is no body. Whatever group they are said in, they are the same. */
export async function decodeDeleteOptions(body: Body): Promise<Record<string, unknown> | undefined> {
  if (body.bytes.length === 0) return undefined;
  const { value } = await decodeBody(body, false);
  const options = asObject(value, "DeleteOptions");
  const kind = options["kind"];
  if (typeof kind === "string" && kind !== "" && kind !== "DeleteOptions")
    throw badRequest(`${kind} cannot be handled as a DeleteOptions`);
  return options;
}

/** Reads a patch. Throws UnsupportedMediaType with the types there are. */
export async function decodePatch(
  { bytes, contentType, yaml, signal }: Body,
  strict: boolean,
): Promise<Pick<PatchRequest, "type" | "body" | "problems">> {
  const said = mediaTypeOf(contentType);
  const type = PATCH_TYPES.find((candidate) => candidate === said);
  if (type === undefined) throw unsupportedMediaType(PATCH_TYPES);
  const text = textOf(bytes);
  // Most clients write the YAML of an apply as JSON, which is the same and quicker to read.
  const { value, problems } =
    type === APPLY_TYPE && !text.trimStart().startsWith("{")
      ? await yaml.read(text, signal)
      : parseJsonText(text, strict);
  if (type === "application/json-patch+json") {
    if (!Array.isArray(value)) throw badRequest("Cannot read the JSON patch: it is no list of operations");
  } else {
    asObject(value, "patch");
  }
  return { type, body: value, problems };
}

async function decodeBody({ bytes, contentType, yaml, signal }: Body, strict: boolean): Promise<ParsedText> {
  const type = mediaTypeOf(contentType);
  switch (type) {
    case JSON_TYPE:
      return parseJsonText(textOf(bytes), strict);
    case YAML_TYPE:
      return yaml.read(textOf(bytes), signal);
    case PROTOBUF_TYPE:
      return parseProtobuf(bytes);
    default:
      throw unsupportedMediaType(OBJECT_TYPES);
  }
}

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");

function parseProtobuf(bytes: Uint8Array): ParsedText {
  try {
    return { value: decodeKubernetesProtobuf(bytes).object, problems: [] };
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    throw badRequest(error.message, { cause: error });
  }
}

/** `strict` looks for duplicate fields, which the parser itself gets over. */
function parseJsonText(text: string, strict: boolean): ParsedText {
  try {
    const value = parseJson(text);
    const duplicates = strict ? duplicateFields(text, value) : [];
    return { value, problems: duplicates.map((path) => `duplicate field "${path}"`) };
  } catch (error) {
    throw badRequest(`Cannot read JSON: ${(error as Error).message}`, { cause: error });
  }
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badRequest(`the object provided is unrecognized (must be of type ${what}): it is no JSON object`);
  return value as Record<string, unknown>;
}

function versionOf(apiVersion: unknown): string {
  if (typeof apiVersion !== "string") return "";
  return apiVersion.slice(apiVersion.indexOf("/") + 1);
}
