import type { FieldsV1 } from "../object.ts";
import { hasChildren, isMember, LEAF, nodeOf, type FieldSet } from "./field-set.ts";
import { ANY, fieldPlace, type Place, type Shapes } from "./shape.ts";

/**
 * Brings a set that was written under an older schema in line with this one: whoever owned parts of what is now owned
 * as a whole owns the whole. Returns the very set when there is nothing to do.
 */
export function reconcileFields(shapes: Shapes, place: Place, set: FieldSet): FieldSet {
  if (set === undefined || place.type.type === "any") return set;
  const shape = shapes.of(place, null);
  let out: FieldsV1 | undefined;
  for (const element in set) {
    const node = set[element];
    if (element === "." || node === undefined || !hasChildren(node)) continue;
    let inner: Place = ANY;
    if (shape.kind === "list") inner = { type: shape.items };
    else if (shape.kind === "map") inner = { type: shape.values };
    else if (shape.kind === "struct") inner = fieldPlace(shape.definition, element.slice(2));
    const reconciled = isWhole(shapes, inner) ? LEAF : reconcileFields(shapes, inner, node);
    if (reconciled === node || reconciled === undefined) continue;
    out ??= { ...set };
    out[element] = nodeOf(isMember(node), reconciled === LEAF ? undefined : reconciled) ?? LEAF;
  }
  return out ?? set;
}

const isWhole = (shapes: Shapes, place: Place): boolean =>
  place.type.type !== "any" && shapes.of(place, null).kind === "leaf";
