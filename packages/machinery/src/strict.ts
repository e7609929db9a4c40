import { childPath, itemPath } from "./field-error.ts";
import { isJsonObject, setField } from "./json.ts";
import type { Json } from "./object.ts";
import { canonicalQuantity } from "./quantity.ts";
import type { Definition, FieldType } from "./schema.ts";

/** Finds the definition that a schema refers to; undefined stands for one that says nothing. */
export type Lookup = (ref: string) => Definition | undefined;

type JsonObject = { [key: string]: Json };

/** What a typed decoder makes of an object. */
export interface CheckedFields {
  /**
   * The object without unknown fields and without nulls, its amounts and times in the form that the API keeps. The very
   * input when there was nothing to change; otherwise what did not change is shared with it.
   */
  object: JsonObject;
  /** Paths of fields that the schema doesn't know: `spec.containers[0].foo`. At most 100. */
  unknown: string[];
  /** Why the object cannot be of this kind: the first value of a wrong type, in upstream's words. */
  typeError: string | undefined;
}

/** As many unknown fields are reported as upstream reports. */
const MAX_UNKNOWN = 100;

/**
 * Reads an object as upstream's typed decoder does: field names are case-sensitive, unknown fields are dropped and
 * reported, null is the same as missing (and zero inside lists and maps), and a value of the wrong type is an error.
 * Source: KEP-2885 "Server Side Unknown Field Validation"; encoding/json for the words.
 */
export function checkFields(object: JsonObject, ref: string, lookup: Lookup): CheckedFields {
  const walk: Walk = { lookup, unknown: [], typeError: undefined, names: [], at: undefined };
  const checked = checkObject(walk, object, ref);
  return { object: isJsonObject(checked) ? checked : {}, unknown: walk.unknown, typeError: walk.typeError };
}

interface Walk {
  readonly lookup: Lookup;
  readonly unknown: string[];
  typeError: string | undefined;
  /** The way to the value in hand: field names, indexes of lists and keys of maps. */
  readonly names: (string | number | { key: string })[];
  /** The definition that the innermost field belongs to. */
  at: Definition | undefined;
}

function checkObject(walk: Walk, value: Json, ref: string): Json {
  const definition = walk.lookup(ref);
  if (definition === undefined) return value;
  if (!isJsonObject(value)) return wrongType(walk, value, goType({ type: "object", ref }));

  let copy: JsonObject | undefined;
  let hasUnknown = false;
  const outer = walk.at;
  walk.at = definition;
  for (const name in value) {
    const old = value[name] ?? null;
    const field = definition.fields.get(name);
    if (field === undefined) {
      hasUnknown = true;
      if (walk.unknown.length < MAX_UNKNOWN) walk.unknown.push(childPath(pathOf(walk), name));
      continue;
    }
    if (old !== null) {
      walk.names.push(name);
      const checked = checkValue(walk, old, field.type);
      walk.names.pop();
      if (checked === old) continue;
      copy ??= { ...value };
      setField(copy, name, checked);
      continue;
    }
    copy ??= { ...value };
    delete copy[name];
  }
  walk.at = outer;
  return hasUnknown ? knownOf(copy ?? value, definition) : (copy ?? value);
}

/** The fields that a definition has. What is unknown may be much more: it is left behind, not copied and deleted. */
function knownOf(value: JsonObject, definition: Definition): JsonObject {
  const known: JsonObject = {};
  for (const name in value) if (definition.fields.has(name)) setField(known, name, value[name] ?? null);
  return known;
}

function checkValue(walk: Walk, value: Json, type: FieldType): Json {
  switch (type.type) {
    case "string":
      return typeof value === "string" && type.format === undefined ? value : checkString(walk, value, type);
    case "integer":
      return typeof value === "number" ? checkInteger(walk, value, type) : wrongType(walk, value, goType(type));
    case "number":
      return typeof value === "number" ? value : wrongType(walk, value, goType(type));
    case "boolean":
      return typeof value === "boolean" ? value : wrongType(walk, value, goType(type));
    case "quantity":
      return checkQuantity(walk, value);
    case "int-or-string":
      if (typeof value === "string") return value;
      if (typeof value === "number") return checkInteger(walk, value, { type: "integer", format: "int32" });
      return fail(walk, value, `json: cannot unmarshal ${jsonType(value)} into Go value of type int32`);
    case "any":
      return value;
    case "object":
      return checkObject(walk, value, type.ref);
    case "map":
      return checkMap(walk, value, type.values);
    case "list":
      return checkList(walk, value, type.items);
  }
}

function checkMap(walk: Walk, value: Json, values: FieldType): Json {
  if (!isJsonObject(value)) return wrongType(walk, value, goType({ type: "map", values }));
  let copy: JsonObject | undefined;
  for (const key in value) {
    const old = value[key] ?? null;
    if (old !== null && typeof old === "string" && values.type === "string" && values.format === undefined) continue;
    walk.names.push({ key });
    const checked = old === null ? zero(values) : checkValue(walk, old, values);
    walk.names.pop();
    if (checked === old) continue;
    copy ??= { ...value };
    setField(copy, key, checked);
  }
  return copy ?? value;
}

function checkList(walk: Walk, value: Json, items: FieldType): Json {
  if (!Array.isArray(value)) return wrongType(walk, value, `[]${goType(items)}`);
  let copy: Json[] | undefined;
  for (const [i, old] of value.entries()) {
    walk.names.push(i);
    const checked = old === null ? zero(items) : checkValue(walk, old, items);
    walk.names.pop();
    if (checked === old) continue;
    copy ??= [...value];
    copy[i] = checked;
  }
  return copy ?? value;
}

function checkInteger(walk: Walk, value: number, type: FieldType & { format?: string }): Json {
  const inRange = type.format === "int32" ? (value | 0) === value : Math.abs(value) <= 2 ** 63;
  return inRange && Number.isInteger(value) ? value : wrongType(walk, value, goType(type), `number ${value}`);
}

function checkQuantity(walk: Walk, value: Json): Json {
  try {
    // No JSON of another type reads as an amount.
    const text = typeof value === "number" ? value : typeof value === "string" ? value.trim() : jsonType(value);
    return canonicalQuantity(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail(walk, value, error.message);
  }
}

/** RFC 3339. */
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
/** As the API writes times: UTC, in whole seconds. */
const CANONICAL_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function checkString(walk: Walk, value: Json, type: FieldType & { format?: string }): Json {
  if (typeof value !== "string") return wrongType(walk, value, goType(type));
  switch (type.format) {
    case "byte": {
      const text = /[\r\n]/.test(value) ? value.replace(/[\r\n]/g, "") : value;
      if (text.length % 4 === 0 && BASE64.test(text)) return text;
      return fail(walk, value, `illegal base64 data at input byte ${illegalByte(text)}`);
    }
    case "date-time":
      if (CANONICAL_TIME.test(value) && !Number.isNaN(Date.parse(value))) return value;
      return normalTime(walk, value, 0);
    case "micro-time":
      return normalTime(walk, value, 6);
    case undefined:
    default:
      return value;
  }
}

function illegalByte(text: string): number {
  const at = text.search(/[^A-Za-z0-9+/]/);
  return at < 0 ? Math.floor(text.length / 4) * 4 : at;
}

/** `digits` of a second's fraction are kept. */
function normalTime(walk: Walk, value: string, digits: number): Json {
  const match = TIME.exec(value);
  const ms = match === null ? NaN : Date.parse(value.toUpperCase());
  if (match === null || Number.isNaN(ms)) {
    const layout = digits === 0 ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00";
    return fail(
      walk,
      value,
      `parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(value)}`,
    );
  }
  const seconds = new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19);
  return digits === 0 ? `${seconds}Z` : `${seconds}.${(match[1] ?? "").slice(1).padEnd(digits, "0").slice(0, digits)}Z`;
}

/** What Go makes of a null where a value must be. */
function zero(type: FieldType): Json {
  switch (type.type) {
    case "string":
      return "";
    case "integer":
    case "number":
    case "int-or-string":
      return 0;
    case "quantity":
      return "0";
    case "boolean":
      return false;
    case "object":
      return {};
    case "any":
    case "map":
    case "list":
      return null;
  }
}

/** The path of the value in hand as KEP-2885's messages have it. */
function pathOf(walk: Walk): string {
  let path = "";
  for (const name of walk.names) {
    if (typeof name === "number") path = itemPath(path, name);
    else path = childPath(path, typeof name === "string" ? name : name.key);
  }
  return path;
}

/** Go names the innermost struct and the way to the field, without indexes and keys of maps. */
function wrongType(walk: Walk, value: Json, type: string, what = jsonType(value)): Json {
  if (walk.at === undefined) return fail(walk, value, `json: cannot unmarshal ${what} into Go value of type ${type}`);
  const field = walk.names.filter((name) => typeof name === "string").join(".");
  const message = `json: cannot unmarshal ${what} into Go struct field ${shortName(walk.at.name)}.${field} of type ${type}`;
  return fail(walk, value, message);
}

function fail(walk: Walk, value: Json, message: string): Json {
  walk.typeError ??= message;
  return value;
}

/** The Go type that a decoder of Go would name. */
function goType(type: FieldType): string {
  switch (type.type) {
    case "string":
      return type.format === "byte" ? "[]uint8" : "string";
    case "integer":
      return type.format ?? "int64";
    case "number":
      return "float64";
    case "boolean":
      return "bool";
    case "quantity":
      return "resource.Quantity";
    case "int-or-string":
      return "intstr.IntOrString";
    case "any":
      return "interface {}";
    case "object":
      return type.ref.split(".").slice(-2).join(".");
    case "map":
      return `map[string]${goType(type.values)}`;
    case "list":
      return `[]${goType(type.items)}`;
  }
}

function jsonType(value: Json): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

const shortName = (ref: string): string => ref.slice(ref.lastIndexOf(".") + 1);
