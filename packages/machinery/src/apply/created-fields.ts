import type { FieldsV1, Json } from "../object.ts";
import type { FieldSet } from "./field-set.ts";
import {
  asList,
  asObject,
  fieldPlace,
  isEmpty,
  isZero,
  itemElement,
  type JsonObject,
  type Place,
  type Shapes,
} from "./shape.ts";

/** Stands for an endpoint that resets no fields. */
const NO_RESET: FieldsV1 = {};

/** As many parts of forms, and fields of what was worked out for them, are remembered; with more, remembering starts afresh. */
const MAX_KNOWN = 10_000;
/** An object with more fields and items, or with a longer name among them, is not remembered: there is hardly another of its form, and it could be any size. */
const MAX_STEPS = 500;
const MAX_NAME = 256;

/** What tells one leaf from another as far as owners go. */
const VALUE = Symbol("value");
const ZERO = Symbol("zero");
const EMPTY = Symbol("empty");

/** The form of a value: which fields and items it has, whatever stands in them. Values of one form have the very same one. */
type Form = typeof VALUE | typeof ZERO | typeof EMPTY | Known;

/** The form of an object whose first fields are known; one with one field more is reached by its name and form. */
class Known {
  readonly more = new Map<string, Map<Form, Known>>();
  /** By the fields that the endpoint resets; null stands for no fields. */
  readonly fields = new WeakMap<FieldsV1, FieldsV1 | null>();
}

/**
 * Remembers which fields a manager comes to own by creating an object of a certain form. Most objects are made by the
 * same few programs of the same few forms, and finding a form again costs a tenth of working its fields out. What is
 * given out is shared by all objects of the form.
 */
export class CreatedFields {
  readonly #shapes: Shapes;
  readonly #roots = new Map<string, Known>();
  #size = 0;
  #steps = 0;

  constructor(shapes: Shapes) {
    this.#shapes = shapes;
  }

  /** The fields of `object` of the kind with definition `ref`: those known of its form, otherwise what `make` works out. `make` goes by the form and by `reset` alone, which is known again by being the same set. */
  of(ref: string, reset: FieldSet, object: JsonObject, make: () => FieldSet): FieldSet {
    if (this.#size > MAX_KNOWN) {
      this.#roots.clear();
      this.#size = 0;
    }
    let root = this.#roots.get(ref);
    if (root === undefined) {
      root = new Known();
      this.#roots.set(ref, root);
    }
    this.#steps = 0;
    const form = this.#formOf(root, { type: { type: "object", ref } }, object);
    if (!(form instanceof Known) || this.#steps > MAX_STEPS) return make();
    const endpoint = reset ?? NO_RESET;
    let fields = form.fields.get(endpoint);
    if (fields === undefined) {
      fields = make() ?? null;
      form.fields.set(endpoint, fields);
      this.#size += this.#steps;
    }
    return fields ?? undefined;
  }

  #formOf(root: Known, place: Place, value: Json): Form {
    const shape = this.#shapes.of(place, value);
    if (shape.kind === "leaf") return isZero(place.type, value) ? ZERO : VALUE;
    if (isEmpty(value)) return EMPTY;
    let form = root;
    if (shape.kind === "list") {
      const items: Place = { type: shape.items };
      for (const item of asList(value)) {
        const element = itemElement(shape, item);
        if (!this.#takes(element)) break;
        form = this.#next(form, element, this.#formOf(root, items, item));
      }
      return form;
    }
    const object = asObject(value);
    const values: Place | undefined = shape.kind === "map" ? { type: shape.values } : undefined;
    const definition = shape.kind === "struct" ? shape.definition : undefined;
    for (const name in object) {
      if (!this.#takes(name)) break;
      const field = object[name] ?? null;
      form = this.#next(form, name, this.#formOf(root, values ?? fieldPlace(definition, name), field));
    }
    return form;
  }

  /** Counts a field or item; false when the object has too many, or this one too long a name, and is not to be remembered. */
  #takes(name: string): boolean {
    this.#steps += name.length > MAX_NAME ? MAX_STEPS + 1 : 1;
    return this.#steps <= MAX_STEPS;
  }

  #next(form: Known, name: string, field: Form): Known {
    let byForm = form.more.get(name);
    if (byForm === undefined) {
      byForm = new Map();
      form.more.set(name, byForm);
    }
    let next = byForm.get(field);
    if (next === undefined) {
      next = new Known();
      byForm.set(field, next);
      this.#size++;
    }
    return next;
  }
}
