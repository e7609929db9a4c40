import { getField, isJsonObject, jsonEqual } from "../json.ts";
import type { FieldsV1, Json } from "../object.ts";
import type { Definition, FieldType } from "../schema.ts";
import { LEAF, nodeOf, type FieldSet } from "./field-set.ts";
import {
  asList,
  asObject,
  fieldPlace,
  isEmpty,
  isZero,
  itemElement,
  type JsonObject,
  type ListShape,
  type Place,
  type Shapes,
} from "./shape.ts";

/** What became of an object's fields. No field is in both sets. */
export interface Comparison {
  /** Added, or there before with another value. */
  readonly set: FieldSet;
  readonly removed: FieldSet;
}

const NOTHING: Comparison = { set: undefined, removed: undefined };

/**
 * Compares two versions of a value, as structured-merge-diff does. Parts that are the very same object are not looked
 * into, so a patched object that shares its rest costs only what the patch touched.
 */
export function compare(shapes: Shapes, place: Place, old: Json, now: Json): Comparison {
  if (old === now) return NOTHING;
  // Null takes the form of the other.
  const before = shapes.of(place, old ?? now);
  const after = shapes.of(place, now ?? old);
  if (before.kind !== after.kind) {
    // Only where the schema is silent. The value as a whole is another; what an object held is gone, or new.
    const gone = before.kind === "leaf" ? undefined : childrenOnly(allPaths(shapes, place, old));
    const come = after.kind === "leaf" ? undefined : childrenOnly(allPaths(shapes, place, now));
    return { set: nodeOf(true, come), removed: gone };
  }
  if (after.kind === "leaf") return sameLeaf(place, old, now) ? NOTHING : { set: LEAF, removed: undefined };
  if (isEmpty(old) && isEmpty(now)) return NOTHING;
  if (after.kind === "list") return compareLists(shapes, after, asList(old), asList(now));
  const definition = after.kind === "struct" ? after.definition : undefined;
  const values = after.kind === "map" ? after.values : undefined;
  return compareObjects(shapes, definition, values, asObject(old), asObject(now));
}

/** Null is the same as zero: what a field is that nobody wrote. */
const sameLeaf = ({ type }: Place, old: Json, now: Json): boolean =>
  jsonEqual(old, now) || (isZero(type, old) && isZero(type, now));

/** Gathers the comparisons of parts. */
class Gathered implements Comparison {
  set: FieldsV1 | undefined;
  removed: FieldsV1 | undefined;

  add(element: string, { set, removed }: Comparison): void {
    if (set !== undefined) (this.set ??= {})[element] = set;
    if (removed !== undefined) (this.removed ??= {})[element] = removed;
  }
}

function compareObjects(
  shapes: Shapes,
  definition: Definition | undefined,
  values: FieldType | undefined,
  old: JsonObject,
  now: JsonObject,
): Comparison {
  const out = new Gathered();
  const always = shapes.alwaysThere(definition);
  const mapPlace: Place | undefined = values && { type: values };
  for (const name in now) {
    const value = now[name] ?? null;
    const before = getField(old, name);
    if (before === value) continue;
    const place = mapPlace ?? fieldPlace(definition, name);
    out.add(`f:${name}`, compareField(shapes, place, before ?? implied(always, name), value));
  }
  for (const name in old) {
    if (Object.hasOwn(now, name)) continue;
    const place = mapPlace ?? fieldPlace(definition, name);
    out.add(`f:${name}`, compareField(shapes, place, old[name], implied(always, name)));
  }
  return out;
}

/** What a field is that nobody wrote. */
const implied = (always: readonly string[], name: string): Json | undefined =>
  always.length > 0 && always.includes(name) ? null : undefined;

/** One of the two may be missing. Null stands for what is there and empty. */
function compareField(shapes: Shapes, place: Place, old: Json | undefined, now: Json | undefined): Comparison {
  if (old === undefined)
    return { set: now === undefined ? undefined : allPaths(shapes, place, now), removed: undefined };
  if (now === undefined) return { set: undefined, removed: allPaths(shapes, place, old) };
  return compare(shapes, place, old, now);
}

function compareLists(shapes: Shapes, list: ListShape, old: readonly Json[], now: readonly Json[]): Comparison {
  const out = new Gathered();
  const place: Place = { type: list.items };
  const before = groupItems(list, old);
  const after = groupItems(list, now);
  for (const [element, news] of after) {
    out.add(element, compareItems(shapes, place, before.get(element) ?? [], news));
  }
  for (const [element, olds] of before) {
    if (!after.has(element)) out.add(element, compareItems(shapes, place, olds, []));
  }
  return out;
}

/** Items by their path element. More than one with the same is possible, in objects that older validation let in. */
function groupItems(list: ListShape, items: readonly Json[]): Map<string, Json[]> {
  const groups = new Map<string, Json[]>();
  for (const item of items) {
    const element = itemElement(list, item);
    const group = groups.get(element);
    if (group === undefined) groups.set(element, [item]);
    else group.push(item);
  }
  return groups;
}

/** Duplicates are owned together, as if they were one leaf. */
function compareItems(shapes: Shapes, place: Place, old: readonly Json[], now: readonly Json[]): Comparison {
  if (old.length <= 1 && now.length <= 1) return compareField(shapes, place, old[0], now[0]);
  if (old.length > 1 && now.length > 1) {
    const same = jsonEqual([...old], [...now]);
    return same ? NOTHING : { set: LEAF, removed: undefined };
  }
  if (old.length > 1) {
    const come = now[0] === undefined ? undefined : allPaths(shapes, place, now[0]);
    return { set: come, removed: LEAF };
  }
  const gone = old[0] === undefined ? undefined : allPaths(shapes, place, old[0]);
  return { set: LEAF, removed: gone };
}

/** All that is in a value, and the value itself: what a field is made of when it appears or goes. */
function allPaths(shapes: Shapes, place: Place, value: Json): FieldsV1 {
  const shape = shapes.of(place, value);
  if (shape.kind === "leaf" || isEmpty(value)) return LEAF;
  let children: FieldsV1 | undefined;
  if (shape.kind === "list") {
    for (const [element, items] of groupItems(shape, asList(value))) {
      const [item] = items;
      (children ??= {})[element] =
        items.length > 1 || item === undefined ? LEAF : allPaths(shapes, { type: shape.items }, item);
    }
  } else {
    const object = asObject(value);
    for (const name in object) {
      const field = shape.kind === "map" ? { type: shape.values } : fieldPlace(shape.definition, name);
      (children ??= {})[`f:${name}`] = allPaths(shapes, field, object[name] ?? null);
    }
    const definition = shape.kind === "struct" ? shape.definition : undefined;
    for (const name of shapes.alwaysThere(definition)) {
      if (!Object.hasOwn(object, name)) (children ??= {})[`f:${name}`] = LEAF;
    }
  }
  return nodeOf(true, children) ?? LEAF;
}

/** Without the mark of the node itself. */
function childrenOnly(node: FieldsV1): FieldSet {
  const { ".": _, ...children } = node;
  return isJsonObject(children) && Object.keys(children).length > 0 ? children : undefined;
}
