import { setField } from "../json.ts";
import type { FieldsV1, Json } from "../object.ts";
import { hasChildren, isMember, nodeOf, type FieldSet } from "./field-set.ts";
import {
  ANY,
  asList,
  asObject,
  fieldPlace,
  isEmpty,
  itemElement,
  type JsonObject,
  type Place,
  type Shapes,
} from "./shape.ts";

/**
 * The value without the fields of `set`, undefined when nothing is left. Parts that stay are shared. A field that lost all
 * that was in it is null: it is still there for whoever owns it by itself.
 */
export function removeFields(shapes: Shapes, place: Place, value: Json, set: FieldsV1): Json | undefined {
  const shape = shapes.of(place, value);
  // What is owned as a whole goes as a whole.
  if (shape.kind === "leaf") return typeof value === "object" ? undefined : value;
  if (isEmpty(value)) return undefined;
  if (shape.kind === "list") {
    const out: Json[] = [];
    for (const item of asList(value)) {
      const node = set[itemElement(shape, item)];
      if (node === undefined) out.push(item);
      else if (!isMember(node)) out.push(removeFields(shapes, { type: shape.items }, item, node) ?? {});
    }
    return out.length === 0 ? undefined : out;
  }

  const object = asObject(value);
  const out: JsonObject = {};
  let left = false;
  for (const name in object) {
    const node = set[`f:${name}`];
    let field: Json = object[name] ?? null;
    if (node !== undefined) {
      if (isMember(node)) continue;
      const inner = shape.kind === "map" ? { type: shape.values } : fieldPlace(shape.definition, name);
      if (hasChildren(node)) field = removeFields(shapes, inner, field, node) ?? null;
    }
    setField(out, name, field);
    left = true;
  }
  return left ? out : undefined;
}

/**
 * The set with the named fields on the way to its members made members too: whoever owns `spec.replicas` has a say in
 * whether there is a `spec`. Keys of maps and items of lists are members only if they were.
 */
export function withNamedFields(shapes: Shapes, place: Place, set: FieldSet): FieldSet {
  if (set === undefined) return undefined;
  // Shapes by the schema alone: no value is at hand.
  const shape = shapes.of(place, null);
  const out: FieldsV1 = {};
  for (const element in set) {
    const node = set[element];
    if (element === "." || node === undefined) continue;
    if (!hasChildren(node)) {
      out[element] = node;
      continue;
    }
    const name = element.startsWith("f:") ? element.slice(2) : undefined;
    let inner: Place | undefined;
    let named = false;
    if (shape.kind === "struct" && name !== undefined) {
      named = shape.definition?.fields.has(name) === true;
      inner = fieldPlace(shape.definition, name);
    } else if (shape.kind === "map" && name !== undefined) inner = { type: shape.values };
    else if (shape.kind === "list" && element.startsWith("k:")) inner = { type: shape.items };
    const { ".": _, ...children } = node;
    out[element] = nodeOf(named || isMember(node), withNamedFields(shapes, inner ?? ANY, children)) ?? {};
  }
  return out;
}
