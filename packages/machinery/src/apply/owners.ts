import { isJsonObject, jsonEqual } from "../json.ts";
import type { FieldsV1, Json, ManagedFieldsEntry } from "../object.ts";
import { compare, type Comparison } from "./compare.ts";
import { difference, LEAF, recursiveDifference, union, type FieldSet } from "./field-set.ts";
import type { Managers } from "./managed-fields.ts";
import type { JsonObject, Place, Shapes } from "./shape.ts";

/** Fields that nobody owns: they tell which object it is, or the server writes them. Source: apimachinery. */
const STRIPPED: FieldsV1 = {
  "f:apiVersion": LEAF,
  "f:kind": LEAF,
  "f:metadata": {
    ".": LEAF,
    "f:name": LEAF,
    "f:namespace": LEAF,
    "f:creationTimestamp": LEAF,
    "f:selfLink": LEAF,
    "f:uid": LEAF,
    "f:clusterName": LEAF,
    "f:generation": LEAF,
    "f:managedFields": LEAF,
    "f:resourceVersion": LEAF,
  },
};

/** The set without the fields that nobody owns, and without those that this endpoint resets. */
export const ownable = (set: FieldSet, reset: FieldSet): FieldSet =>
  difference(recursiveDifference(set, reset), STRIPPED);

/** Compares two versions of an object, managedFields aside and without the fields that this endpoint resets. */
export function compareObjects(
  shapes: Shapes,
  place: Place,
  old: JsonObject,
  now: JsonObject,
  reset: FieldSet,
): Comparison {
  const { set, removed } = compare(shapes, place, withoutManagedFields(old), withoutManagedFields(now));
  return { set: recursiveDifference(set, reset), removed: recursiveDifference(removed, reset) };
}

export function withoutManagedFields(object: JsonObject): JsonObject {
  const { metadata } = object;
  if (!isJsonObject(metadata) || !("managedFields" in metadata)) return object;
  const { managedFields: _, ...rest } = metadata;
  return { ...object, metadata: rest };
}

/** The managedFields of an object, whose form nobody has checked yet. */
export function managedFieldsOf(object: JsonObject): readonly ManagedFieldsEntry[] | undefined {
  const metadata = object["metadata"];
  const entries = isJsonObject(metadata) ? metadata["managedFields"] : undefined;
  return Array.isArray(entries) ? (entries.filter((entry) => isJsonObject(entry)) as ManagedFieldsEntry[]) : undefined;
}

/** The object with these managedFields. */
export function withManagedFields(object: JsonObject, entries: ManagedFieldsEntry[] | undefined): JsonObject {
  const bare = withoutManagedFields(object);
  if (entries === undefined) return bare;
  const metadata = isJsonObject(bare["metadata"]) ? bare["metadata"] : {};
  return { ...bare, metadata: { ...metadata, managedFields: entries as unknown as Json } };
}

/** Takes what changed from all managers but `keeper`. */
export function disown(managers: Managers, changed: Comparison, keeper: string | undefined): void {
  const lost = union(changed.set, changed.removed);
  if (lost === undefined) return;
  for (const [id, manager] of managers) {
    if (id === keeper) continue;
    const fields = difference(manager.fields, lost);
    if (fields === manager.fields) continue;
    if (fields === undefined) managers.delete(id);
    else managers.set(id, { ...manager, fields, entry: undefined });
  }
}

/**
 * Whether two versions of an object say the same, the times of managedFields aside: a write that comes to nothing else
 * is none, and leaves the stored object as it is.
 */
export function equalButTimes(old: JsonObject, now: JsonObject): boolean {
  if (!jsonEqual(withoutManagedFields(old), withoutManagedFields(now))) return false;
  const timeless = (object: JsonObject): Json =>
    (managedFieldsOf(object) ?? []).map((entry) => ({ ...entry, time: "" })) as unknown as Json;
  return jsonEqual(timeless(old), timeless(now));
}
