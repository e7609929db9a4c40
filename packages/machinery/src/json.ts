import type { Json } from "./object.ts";
import { childPath, itemPath } from "./field-error.ts";

/**
 * How deep arrays and objects may nest. Upstream stops at 10,000; every walk of ours is recursive and must not exhaust
 * the stack, and no object that means something comes near.
 */
export const MAX_JSON_DEPTH = 1000;

/** As many duplicates are reported as upstream reports. */
const MAX_DUPLICATES = 100;

/** Reads JSON (RFC 8259). Throws a SyntaxError that says where it went wrong, or that it nests too deeply. */
export function parseJson(text: string): Json {
  // Something that deep takes two characters a level: most texts need no counting.
  if (text.length > 2 * MAX_JSON_DEPTH && measure(text).depth > MAX_JSON_DEPTH) {
    throw new SyntaxError(`exceeded max depth of ${MAX_JSON_DEPTH}`);
  }
  return JSON.parse(text) as Json;
}

/**
 * The paths of fields that stand more than once in an object of `text`, which `JSON.parse` hides: it keeps the last.
 * `value` is what `parseJson(text)` gave. Costs little when there are none.
 */
export function duplicateFields(text: string, value: Json): string[] {
  return measure(text).fields === countFields(value) ? [] : findDuplicates(text);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The index behind the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  for (; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE) break;
    if (unit === BACKSLASH) i++;
  }
  return i + 1;
}

/** Counts without decoding. Colons outside strings stand after field names only. */
function measure(text: string): { fields: number; depth: number } {
  let fields = 0;
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE) i = endOfString(text, i) - 1;
    else if (unit === COLON) fields++;
    else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      if (++depth > deepest) deepest = depth;
    } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth--;
  }
  return { fields, depth: deepest };
}

function countFields(value: Json): number {
  if (typeof value !== "object" || value === null) return 0;
  let fields = 0;
  if (Array.isArray(value)) {
    for (const item of value) fields += countFields(item);
    return fields;
  }
  for (const key in value) fields += 1 + countFields(value[key] ?? null);
  return fields;
}

/** Where the scan stands: in an object with the names seen so far, or in an array. */
interface Frame {
  readonly path: string;
  readonly names: Set<string> | undefined;
  /** The field or item being read. */
  at: string;
  index: number;
}

/** `text` is known to be well-formed. */
function findDuplicates(text: string): string[] {
  const found = new Set<string>();
  const frames: Frame[] = [];
  let frame: Frame | undefined;
  let expectsName = false;
  for (let i = 0; i < text.length && found.size < MAX_DUPLICATES; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const end = endOfString(text, i);
        if (expectsName && frame?.names !== undefined) {
          const name = JSON.parse(text.slice(i, end)) as string;
          frame.at = childPath(frame.path, name);
          if (frame.names.has(name)) found.add(frame.at);
          frame.names.add(name);
          expectsName = false;
        }
        i = end - 1;
        break;
      }
      case OPEN_BRACE:
      case OPEN_BRACKET: {
        const names = text.charCodeAt(i) === OPEN_BRACE ? new Set<string>() : undefined;
        const path = frame?.at ?? "";
        if (frame !== undefined) frames.push(frame);
        frame = { path, names, at: names === undefined ? itemPath(path, 0) : path, index: 0 };
        expectsName = names !== undefined;
        break;
      }
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        frame = frames.pop();
        expectsName = false;
        break;
      case COMMA:
        if (frame === undefined) break;
        if (frame.names === undefined) frame.at = itemPath(frame.path, ++frame.index);
        else expectsName = true;
        break;
    }
  }
  return [...found];
}

/** Whether two JSON values say the same; the order of fields does not matter. */
export function jsonEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!jsonEqual(a[i], b[i])) return false;
    return true;
  }
  let fields = 0;
  for (const key in a) {
    if (!Object.hasOwn(b, key) || !jsonEqual(a[key], b[key])) return false;
    fields++;
  }
  for (const _ in b) fields--;
  return fields === 0;
}

/** An object of JSON: neither an array nor null. */
export const isJsonObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Sets a field, even one that JavaScript gives a meaning of its own. */
export function setField(object: { [key: string]: Json }, name: string, value: Json): void {
  if (name !== "__proto__") object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** The field of an object, never what its prototype has under that name. */
export const getField = (object: { readonly [key: string]: Json }, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;
