import { getField, isJsonObject, jsonEqual, setField } from "../json.ts";
import type { Json } from "../object.ts";
import { quote } from "../quote.ts";
import { badRequest, requestEntityTooLarge, StatusError } from "../status.ts";

/** As many operations as upstream takes. */
const MAX_OPERATIONS = 10_000;
/** How much the copies of one patch may add, in characters of JSON: what a request may bring. */
const MAX_COPIED = 3 * 1024 * 1024;

type JsonObject = { [key: string]: Json };

/**
 * Applies a JSON Patch (RFC 6902) and returns the result; `document` and `patch` stay as they are, and what did not
 * change is shared. Throws a BadRequest when the patch is malformed, an Invalid (422) when it cannot be applied: a test
 * fails, or something isn't where the patch says.
 */
export function applyJsonPatch(document: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest("A JSON patch must be a list of operations");
  if (patch.length > MAX_OPERATIONS) {
    throw requestEntityTooLarge(
      `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`,
    );
  }
  const editor: Editor = { root: document, own: new Set(), copied: 0 };
  for (const operation of patch) apply(editor, operation);
  return editor.root;
}

interface Editor {
  root: Json;
  /** Containers that this patch made, and may therefore change. */
  readonly own: Set<Json>;
  copied: number;
}

function apply(editor: Editor, operation: Json): void {
  if (!isJsonObject(operation)) throw badRequest("An operation of a JSON patch must be an object");
  const path = pointer(operation, "path");
  const op = operation["op"];
  switch (typeof op === "string" ? op : "") {
    case "add":
      return put(editor, path, operand(operation), true);
    case "replace":
      return put(editor, path, operand(operation), false);
    case "remove":
      remove(editor, path);
      return;
    case "move": {
      const from = pointer(operation, "from");
      if (path.length > from.length && from.every((token, i) => token === path[i])) {
        throw unappliable(`cannot move ${show(from)} into itself`);
      }
      return put(editor, path, remove(editor, from), true);
    }
    case "copy": {
      const value = get(editor.root, pointer(operation, "from"));
      const text = JSON.stringify(value);
      editor.copied += text.length;
      if (editor.copied > MAX_COPIED) {
        throw requestEntityTooLarge(`The copies of a JSON patch may add ${MAX_COPIED} characters in all`);
      }
      return put(editor, path, JSON.parse(text) as Json, true);
    }
    case "test": {
      const wanted = operand(operation);
      // Upstream takes a missing value for null here.
      const value = wanted === null ? find(editor.root, path) : get(editor.root, path);
      if (!jsonEqual(value ?? null, wanted)) throw unappliable(`testing value ${show(path)} failed`);
      return;
    }
    default:
      throw badRequest(`Unknown operation ${JSON.stringify(op)} in a JSON patch`);
  }
}

function operand(operation: JsonObject): Json {
  const value = getField(operation, "value");
  if (value === undefined) throw badRequest(`The operation ${JSON.stringify(operation["op"])} needs a value`);
  return value;
}

/** RFC 6901. */
function pointer(operation: JsonObject, name: "path" | "from"): string[] {
  const text = operation[name];
  if (typeof text !== "string" || (text !== "" && !text.startsWith("/"))) {
    throw badRequest(`The ${name} of an operation of a JSON patch must be a JSON pointer, not ${JSON.stringify(text)}`);
  }
  return text
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

const show = (path: readonly string[]): string =>
  quote(path.map((token) => `/${token.replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""));

const unappliable = (why: string): StatusError =>
  new StatusError("Invalid", `the server rejected our request due to an error in our request: ${why}`, { details: {} });

/** The index of a list that a token means, `size` at most. */
function indexOf(token: string, size: number): number {
  const index = /^(?:0|[1-9]\d{0,8})$/.test(token) ? Number(token) : NaN;
  return index <= size ? index : NaN;
}

function child(container: Json, token: string): Json | undefined {
  if (Array.isArray(container)) return container[indexOf(token, container.length - 1)];
  return isJsonObject(container) ? getField(container, token) : undefined;
}

function find(root: Json, path: readonly string[]): Json | undefined {
  let value: Json | undefined = root;
  for (const token of path) {
    if (value === undefined) return undefined;
    value = child(value, token);
  }
  return value;
}

function get(root: Json, path: readonly string[]): Json {
  const value = find(root, path);
  if (value === undefined) throw unappliable(`there is nothing at ${show(path)}`);
  return value;
}

/** The container that `path` ends in, made ours on the way, so that it may be changed. */
function ownParent(editor: Editor, path: readonly string[]): JsonObject | Json[] {
  editor.root = own(editor, editor.root, path, 0);
  let container = editor.root;
  for (let i = 0; i < path.length - 1; i++) {
    const token = path[i] ?? "";
    const next = own(editor, child(container, token), path, i + 1);
    if (Array.isArray(container)) container[Number(token)] = next;
    else setField(container, token, next);
    container = next;
  }
  return container;
}

function own(editor: Editor, value: Json | undefined, path: readonly string[], depth: number): JsonObject | Json[] {
  if (typeof value !== "object" || value === null) {
    throw unappliable(`there is no object or list at ${show(path.slice(0, depth))}`);
  }
  if (editor.own.has(value)) return value;
  const copy = Array.isArray(value) ? [...value] : { ...value };
  editor.own.add(copy);
  return copy;
}

/** Adds a value, or replaces one that must be there. */
function put(editor: Editor, path: readonly string[], value: Json, add: boolean): void {
  const token = path.at(-1);
  if (token === undefined) {
    editor.root = value;
    return;
  }
  const parent = ownParent(editor, path);
  if (!Array.isArray(parent)) {
    if (!add && !Object.hasOwn(parent, token)) throw unappliable(`there is nothing to replace at ${show(path)}`);
    setField(parent, token, value);
    return;
  }
  if (add && token === "-") {
    parent.push(value);
    return;
  }
  const index = indexOf(token, add ? parent.length : parent.length - 1);
  if (Number.isNaN(index)) throw unappliable(`there is no item ${show(path)} in a list of ${parent.length}`);
  if (add) parent.splice(index, 0, value);
  else parent[index] = value;
}

function remove(editor: Editor, path: readonly string[]): Json {
  const token = path.at(-1);
  if (token === undefined) throw unappliable("the whole object cannot be removed");
  const value = get(editor.root, path);
  const parent = ownParent(editor, path);
  if (Array.isArray(parent)) parent.splice(Number(token), 1);
  else delete parent[token];
  return value;
}
