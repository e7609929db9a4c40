import type { FieldsV1, Json } from "../object.ts";
import { LEAF, nodeOf, type FieldSet } from "./field-set.ts";
import { asList, asObject, fieldPlace, isEmpty, itemElement, type Place, type Shapes } from "./shape.ts";

/**
 * The fields that an applied configuration sets: its leaves, the keys of maps, the items of lists. Objects with named
 * fields are not owned, only what is in them, unless they are empty.
 */
export function fieldsOf(shapes: Shapes, place: Place, value: Json): FieldSet {
  const shape = shapes.of(place, value);
  if (shape.kind === "leaf") return LEAF;
  let out: FieldsV1 | undefined;
  if (shape.kind === "list") {
    const duplicates = new Map<string, boolean>();
    const items = asList(value);
    const elements = items.map((item) => itemElement(shape, item));
    for (const element of elements) duplicates.set(element, duplicates.has(element));
    for (const [i, element] of elements.entries()) {
      const node = duplicates.get(element) === true ? LEAF : fieldsOf(shapes, { type: shape.items }, items[i] ?? null);
      (out ??= {})[element] = member(node);
    }
    return out;
  }

  const object = asObject(value);
  for (const name in object) {
    const field = object[name] ?? null;
    const named = shape.kind === "struct" && shape.definition?.fields.has(name) === true;
    const node = fieldsOf(
      shapes,
      shape.kind === "map" ? { type: shape.values } : fieldPlace(shape.definition, name),
      field,
    );
    const owned = !named || field === null || (!Array.isArray(field) && isEmpty(field));
    const result = owned ? member(node) : node;
    if (result !== undefined) (out ??= {})[`f:${name}`] = result;
  }
  return out;
}

const member = (node: FieldSet): FieldsV1 => (node === LEAF ? LEAF : (nodeOf(true, node) ?? LEAF));
