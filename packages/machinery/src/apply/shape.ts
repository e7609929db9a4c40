import { getField, isJsonObject } from "../json.ts";
import type { Json } from "../object.ts";
import type { Definition, Field, FieldType } from "../schema.ts";
import type { Lookup } from "../strict.ts";
import { alwaysThere } from "./always-there.ts";

/**
 * How server-side apply sees a place in an object: owned as a whole, or by its parts.
 * Source: KEP-555, structured-merge-diff's schema.
 */
export type Shape =
  | { readonly kind: "leaf" }
  /** Fields with names; without a definition, all that there may be. */
  | { readonly kind: "struct"; readonly definition: Definition | undefined }
  /** Any keys, values of one type. */
  | { readonly kind: "map"; readonly values: FieldType }
  | ListShape;

export interface ListShape {
  readonly kind: "list";
  readonly items: FieldType;
  /** Sorted; none for a set of scalars. */
  readonly keys: readonly string[];
  /** Stands for keys that an item leaves out. */
  readonly definition: Definition | undefined;
}

export type JsonObject = { [key: string]: Json };

/** The part of a field's schema that shapes it. */
export type Place = Pick<Field, "type" | "atomic">;

const NONE: readonly string[] = [];
const LEAF_SHAPE: Shape = { kind: "leaf" };
/** Where the schema is silent, objects are owned by their fields and lists as a whole. */
export const ANY: Place = { type: { type: "any" } };
const UNKNOWN_STRUCT: Shape = { kind: "struct", definition: undefined };

/** The shapes of a schema, worked out once for each place in it. */
export class Shapes {
  readonly #lookup: Lookup;
  readonly #known = new Map<FieldType, Shape>();
  readonly #always = new Map<Definition, readonly string[]>();

  constructor(lookup: Lookup) {
    this.#lookup = lookup;
  }

  /** What `value` is at `place`; a value that the schema says nothing about is shaped by itself. */
  of(place: Place, value: Json): Shape {
    if (place.atomic === true) return LEAF_SHAPE;
    const { type } = place;
    switch (type.type) {
      case "string":
      case "integer":
      case "number":
      case "boolean":
      case "quantity":
      case "int-or-string":
        return LEAF_SHAPE;
      case "any":
        return isJsonObject(value) ? UNKNOWN_STRUCT : LEAF_SHAPE;
      case "object":
      case "map":
      case "list": {
        let shape = this.#known.get(type);
        if (shape === undefined) {
          shape = this.#resolve(type);
          this.#known.set(type, shape);
        }
        return shape === UNKNOWN_STRUCT && !isJsonObject(value) ? LEAF_SHAPE : shape;
      }
    }
  }

  /** The names of fields that objects of a definition have whether or not anybody wrote them. */
  alwaysThere(definition: Definition | undefined): readonly string[] {
    if (definition === undefined) return NONE;
    let names = this.#always.get(definition);
    if (names === undefined) {
      names = alwaysThere(definition);
      this.#always.set(definition, names);
    }
    return names;
  }

  definition(ref: string): Definition | undefined {
    return this.#lookup(ref);
  }

  #resolve(type: FieldType & { type: "object" | "map" | "list" }): Shape {
    switch (type.type) {
      case "object": {
        const definition = this.#lookup(type.ref);
        if (definition === undefined) return UNKNOWN_STRUCT;
        return definition.atomic === true ? LEAF_SHAPE : { kind: "struct", definition };
      }
      case "map":
        return { kind: "map", values: type.values };
      case "list": {
        if (type.list.kind === "atomic") return LEAF_SHAPE;
        const keys = type.list.kind === "map" ? type.list.keys.toSorted() : [];
        const definition = type.items.type === "object" ? this.#lookup(type.items.ref) : undefined;
        return { kind: "list", items: type.items, keys, definition };
      }
    }
  }
}

/** The place of a field of a struct. */
export const fieldPlace = (definition: Definition | undefined, name: string): Place =>
  definition?.fields.get(name) ?? ANY;

/** An object does not fit the schema, so that its parts cannot be told apart. */
export class ShapeError extends Error {
  override name = "ShapeError";
}

/**
 * The path element of an item of a list that is merged by its parts: `k:{"name":"x"}`, or `v:"x"` in a set. Keys that
 * are missing have their default, or are left out. Throws a ShapeError when nothing tells the item from others.
 */
export function itemElement(list: ListShape, item: Json): string {
  if (list.keys.length === 0) {
    if (typeof item === "object")
      throw new ShapeError("associative list without keys has an element that is no scalar");
    return `v:${JSON.stringify(item)}`;
  }
  if (!isJsonObject(item)) throw new ShapeError("associative list with keys may not have non-map elements");
  let element = "";
  for (const key of list.keys) {
    const value = getField(item, key) ?? list.definition?.fields.get(key)?.default;
    if (value === undefined) continue;
    element += `${element === "" ? "k:{" : ","}${JSON.stringify(key)}:${JSON.stringify(value)}`;
  }
  if (element === "") {
    const keys = list.keys.map((key) => JSON.stringify(key)).join(" ");
    throw new ShapeError(
      `associative list with keys has an element that omits all key fields [${keys}] ` +
        "(and doesn't have default values for any key fields)",
    );
  }
  return `${element}}`;
}

/** Null, or a map or list without anything in it: the same to server-side apply as nothing, but that it is there. */
export function isEmpty(value: Json): boolean {
  if (typeof value !== "object" || value === null) return value === null;
  if (Array.isArray(value)) return value.length === 0;
  for (const _ in value) return false;
  return true;
}

/** What a field is that nobody wrote. */
export const isZero = ({ type }: FieldType, value: Json): boolean =>
  value === null || value === "" || value === 0 || value === false || (value === "0" && type === "quantity");

export const asObject = (value: Json): JsonObject => (isJsonObject(value) ? value : {});
export const asList = (value: Json): readonly Json[] => (Array.isArray(value) ? value : []);
