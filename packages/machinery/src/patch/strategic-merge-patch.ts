import { getField, isJsonObject, setField } from "../json.ts";
import type { Json } from "../object.ts";
import type { Field, FieldType } from "../schema.ts";
import { badRequest, type StatusError } from "../status.ts";
import type { Lookup } from "../strict.ts";
import { deleteItems, isScalar, mergeScalars, orderItems, sameItem } from "./lists.ts";

type JsonObject = { [key: string]: Json };

const PATCH = "$patch";
const RETAIN_KEYS = "$retainKeys";
const DELETE_FROM = "$deleteFromPrimitiveList/";
const ORDER = "$setElementOrder/";

/**
 * Applies a strategic merge patch to an object of the kind that the definition `ref` describes. Like a JSON merge patch,
 * but lists whose field says so are merged by a key; `$patch: replace|delete`, `$deleteFromPrimitiveList/<field>`,
 * `$setElementOrder/<field>` and `$retainKeys` tell more. Neither argument changes; what did not change is shared with
 * the result. Throws a BadRequest when the patch is malformed.
 *
 * Source: Kubernetes "Strategic Merge Patch" (sig-api-machinery), "Update API Objects in Place Using kubectl patch".
 */
export function applyStrategicMergePatch(
  original: JsonObject,
  patch: JsonObject,
  ref: string,
  lookup: Lookup,
): JsonObject {
  return mergeObject(original, patch, { type: "object", ref }, lookup);
}

function mergeObject(original: JsonObject, patch: JsonObject, type: FieldType | undefined, lookup: Lookup): JsonObject {
  const directive = getField(patch, PATCH);
  if (directive === "replace") return withoutDirectives(patch);
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge") throw unknownDirective(directive);

  const result = { ...original };
  retainKeys(result, patch);
  const ordered = mergeOrderedLists(result, patch, type, lookup);
  for (const key in patch) {
    if (key === PATCH || key === RETAIN_KEYS || key.startsWith(ORDER) || ordered.has(key)) continue;
    const deletes = key.startsWith(DELETE_FROM);
    const name = deletes ? key.slice(DELETE_FROM.length) : key;
    const value = patch[key] ?? null;
    const old = getField(result, name);
    if (value === null) delete result[name];
    else if (deletes) {
      if (!Array.isArray(value)) throw badRequest("invalid patch format of primitive list");
      if (Array.isArray(old)) result[name] = deleteItems(old, value);
    } else mergeField(result, name, old, value, fieldOf(type, name, lookup), lookup);
  }
  return result;
}

function mergeField(
  result: JsonObject,
  name: string,
  old: Json | undefined,
  value: Json,
  field: Pick<Field, "type" | "patchStrategy" | "patchMergeKey"> | undefined,
  lookup: Lookup,
): void {
  if (isJsonObject(old) && isJsonObject(value) && !field?.patchStrategy?.includes("replace")) {
    setField(result, name, mergeObject(old, value, field?.type, lookup));
  } else if (Array.isArray(old) && Array.isArray(value) && field?.patchStrategy?.includes("merge") === true) {
    setField(result, name, mergeList(old, value, field, lookup));
  } else if (isJsonObject(value) && PATCH in value) {
    // There is nothing that the directive could be about, or something of another type.
    delete result[name];
  } else setField(result, name, clean(value));
}

/** What the schema says about a field; nothing where it is silent, so that objects merge and lists are replaced. */
function fieldOf(
  type: FieldType | undefined,
  name: string,
  lookup: Lookup,
): Pick<Field, "type" | "patchStrategy" | "patchMergeKey"> | undefined {
  if (type?.type === "object") return lookup(type.ref)?.fields.get(name);
  return type?.type === "map" ? { type: type.values } : undefined;
}

/** Keeps what `$retainKeys` names, as in a union whose other members must go. */
function retainKeys(result: JsonObject, patch: JsonObject): void {
  const retained = getField(patch, RETAIN_KEYS);
  if (retained === undefined) return;
  if (!Array.isArray(retained)) throw badRequest("invalid patch format of retainKeys");
  for (const key in patch) {
    if (patch[key] === null || key === RETAIN_KEYS || key.startsWith(DELETE_FROM) || key.startsWith(ORDER)) continue;
    if (!retained.includes(key)) throw badRequest("invalid patch format of retainKeys");
  }
  for (const key of Object.keys(result)) if (!retained.includes(key)) delete result[key];
}

/** Merges the lists whose order the patch sets, and returns which they were. */
function mergeOrderedLists(
  result: JsonObject,
  patch: JsonObject,
  type: FieldType | undefined,
  lookup: Lookup,
): ReadonlySet<string> {
  const merged = new Set<string>();
  for (const directive in patch) {
    if (!directive.startsWith(ORDER)) continue;
    const order = patch[directive];
    const name = directive.slice(ORDER.length);
    const old = getField(result, name);
    const value = getField(patch, name);
    if (!Array.isArray(order) || isNoList(old) || isNoList(value)) {
      throw badRequest("invalid patch format of setElementOrder list");
    }
    const field = fieldOf(type, name, lookup);
    const key = field?.patchMergeKey;
    const change = Array.isArray(value) ? value : undefined;
    if (change !== undefined) validateOrder(change, order, key);

    let items: readonly Json[] | undefined;
    if (Array.isArray(old) && change !== undefined) {
      items =
        field?.patchStrategy?.includes("merge") === true ? mergeList(old, change, field, lookup) : cleanList(change);
    } else if (Array.isArray(old)) items = old;
    else if (change !== undefined) items = cleanList(change);
    if (items === undefined) continue;
    setField(result, name, orderItems(items, order, Array.isArray(old) ? old : [], key));
    merged.add(name);
  }
  return merged;
}

const isNoList = (value: Json | undefined): boolean => value !== undefined && value !== null && !Array.isArray(value);

/** What a patch adds must stand in the order that it sets, and in the same sequence. */
function validateOrder(change: readonly Json[], order: readonly Json[], key: string | undefined): void {
  if (order.length === 0) return;
  let at = 0;
  for (const item of change) {
    if (isJsonObject(item) && PATCH in item) continue;
    while (at < order.length && !sameItem(item, order[at] ?? null, key)) at++;
    if (at === order.length) {
      throw badRequest(
        `The order in the patch list ${JSON.stringify(change)} doesn't match the $setElementOrder list ${JSON.stringify(order)}`,
      );
    }
    at++;
  }
}

function mergeList(
  original: readonly Json[],
  patch: readonly Json[],
  field: Pick<Field, "type" | "patchMergeKey">,
  lookup: Lookup,
): Json[] {
  const sample = original[0] ?? patch[0];
  if (sample === undefined) return [];
  if (Array.isArray(sample)) throw badRequest("lists of lists are not supported");
  if (isScalar(sample)) return mergeScalars(original, patch);

  const key = field.patchMergeKey;
  if (key === undefined) throw badRequest(`Cannot merge a list without a merge key: ${JSON.stringify(patch)}`);
  const items = field.type.type === "list" ? field.type.items : undefined;
  const added: JsonObject[] = [];
  const deleted = new Set<Json>();
  let replaces = false;
  for (const item of patch) {
    if (!isJsonObject(item)) throw badRequest(`Cannot merge ${JSON.stringify(item)} into a list of objects`);
    const directive = getField(item, PATCH);
    if (directive === undefined) added.push(item);
    else if (directive === "replace") replaces = true;
    else if (directive === "delete") deleted.add(keyOf(item, key));
    else if (directive === "merge") throw badRequest("merging lists cannot yet be specified in the patch");
    else throw unknownDirective(directive);
  }
  if (replaces) return cleanList(added);

  const live = original.filter((item) => !isJsonObject(item) || !deleted.has(getField(item, key) ?? null));
  const result = [...live];
  const places = new Map<Json, number>();
  const place = (item: JsonObject, index: number): void => {
    const value = getField(item, key);
    // Where a key stands twice, as 53/TCP and 53/UDP may, the first is meant.
    if (value !== undefined && !places.has(value)) places.set(value, index);
  };
  for (const [i, item] of live.entries()) if (isJsonObject(item)) place(item, i);
  for (const item of added) {
    const at = places.get(keyOf(item, key));
    const old = at === undefined ? undefined : result[at];
    if (at !== undefined && isJsonObject(old)) result[at] = mergeObject(old, item, items, lookup);
    else place(item, result.push(clean(item)) - 1);
  }
  return orderItems(result, added, live, key);
}

function keyOf(item: JsonObject, key: string): Json {
  const value = getField(item, key);
  if (value === undefined) {
    throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
  }
  return value;
}

const unknownDirective = (directive: Json): StatusError =>
  badRequest(`unknown patch type: ${JSON.stringify(directive)}`);

/** A value that the original did not have: without directives, and without the nulls that would have removed something. */
function clean(value: Json): Json {
  if (Array.isArray(value)) return cleanList(value);
  return isJsonObject(value) ? withoutDirectives(value) : value;
}

function cleanList(list: readonly Json[]): Json[] {
  return list.filter((item) => !(isJsonObject(item) && PATCH in item)).map(clean);
}

function withoutDirectives(value: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const key in value) {
    const field = value[key] ?? null;
    if (field === null || isDirective(key) || (isJsonObject(field) && PATCH in field)) continue;
    setField(result, key, clean(field));
  }
  return result;
}

const isDirective = (key: string): boolean =>
  key === PATCH || key === RETAIN_KEYS || key.startsWith(DELETE_FROM) || key.startsWith(ORDER);
