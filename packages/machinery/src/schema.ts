/**
 * What a field may hold. Built-in kinds have theirs generated (see `tools/codegen`); a CustomResourceDefinition's schema
 * can be expressed in it too, so that patches, apply and validation know one form only.
 */
export type FieldType =
  | { type: "string" | "integer" | "number" | "boolean"; format?: string }
  /** Written as a string, a number or both: a resource.Quantity, or an IntOrString. */
  | { type: "quantity" | "int-or-string" }
  /** Any JSON at all. */
  | { type: "any" }
  /** A named definition: look it up with `definition(ref)`. */
  | { type: "object"; ref: string }
  | { type: "map"; values: FieldType }
  | { type: "list"; items: FieldType; list: ListType };

/**
 * How a list is merged by server-side apply (KEP-555): `atomic` is replaced whole, `set` has unique scalars, `map` has items told apart by `keys`.
 */
export type ListType = { kind: "atomic" } | { kind: "set" } | { kind: "map"; keys: readonly string[] };

export interface Field {
  readonly type: FieldType;
  readonly required: boolean;
  /** Strategic merge patch: how a list or map is merged; absent means replaced. */
  readonly patchStrategy?: readonly ("merge" | "replace" | "retainKeys")[];
  readonly patchMergeKey?: string;
  /** An object or map that server-side apply owns as a whole (x-kubernetes-map-type: atomic). */
  readonly atomic?: boolean;
  /**
   * What stands for a missing value where the field is a key of list items: `TCP` for the protocol of a port. Server-side
   * apply tells items apart by it before defaults are filled in.
   */
  readonly default?: string | number | boolean;
}

/** A named object type of the schema. */
export interface Definition {
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  /** Owned as a whole by server-side apply, wherever it stands. */
  readonly atomic?: boolean;
}
