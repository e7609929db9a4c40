import {
  definitionNames,
  isAtomic,
  once,
  refOf,
  shortNameOf,
  tableFields,
  type Scalar,
  type TableField,
} from "./table.ts";

/**
 * What a field may hold. Built-in kinds have theirs generated (see `tools/codegen`); a CustomResourceDefinition's schema
 * can be expressed in it too, so that patches, apply and validation know one form only.
 */
export type FieldType =
  /** Formats: `int32`, `int64`, `double`, `byte` (base64), `date-time` (whole seconds), `micro-time` (six digits more). */
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

/** Finds a built-in definition by its full name, `io.k8s.api.core.v1.Pod`. Read from the generated tables at first use. */
export function definition(ref: string): Definition | undefined {
  const known = cache();
  let found = known.get(ref);
  if (found === undefined) {
    found = readDefinition(ref);
    if (found !== undefined) known.set(ref, found);
  }
  return found;
}

/** The full names of all built-in definitions. */
export const definitionRefs = (): string[] => definitionNames().map(refOf);

/** Bounded by the number of built-in definitions. */
const cache = once(() => new Map<string, Definition>());

function readDefinition(ref: string): Definition | undefined {
  const name = shortNameOf(ref);
  const fields = name === undefined ? undefined : tableFields(name);
  if (name === undefined || fields === undefined) return undefined;
  return {
    name: ref,
    fields: new Map(fields.flatMap(schemaFields)),
    ...(isAtomic(name) && { atomic: true }),
  };
}

/** One field; or those of a definition that is flattened into the outer one. */
function schemaFields(field: TableField): [string, Field][] {
  if (field.inline) return (tableFields(field.base) ?? []).flatMap(schemaFields);
  return [
    [
      field.name,
      {
        type: typeOf(field),
        required: field.required,
        ...(field.strategy !== "" && {
          patchStrategy: field.strategy.split(",") as ("merge" | "replace" | "retainKeys")[],
        }),
        ...(field.mergeKey !== "" && { patchMergeKey: field.mergeKey }),
        ...(field.atomic && { atomic: true }),
        ...(field.default !== undefined && { default: field.default }),
      },
    ],
  ];
}

function typeOf(field: TableField): FieldType {
  const items = baseType(field.base);
  if (field.shape === "map") return { type: "map", values: items };
  return field.shape === "list" ? { type: "list", items, list: listType(field.keys) } : items;
}

function listType(keys: readonly string[] | undefined): ListType {
  if (keys === undefined) return { kind: "atomic" };
  return keys.length === 0 ? { kind: "set" } : { kind: "map", keys };
}

function baseType(base: string): FieldType {
  if (base.includes(".")) return { type: "object", ref: refOf(base) };
  switch (base as Scalar) {
    case "any":
      return { type: "any" };
    case "bool":
      return { type: "boolean" };
    case "bytes":
      return { type: "string", format: "byte" };
    case "double":
      return { type: "number", format: "double" };
    case "int32":
    case "int64":
      return { type: "integer", format: base };
    case "intstr":
      return { type: "int-or-string" };
    case "microtime":
      return { type: "string", format: "micro-time" };
    case "quantity":
      return { type: "quantity" };
    case "string":
      return { type: "string" };
    case "strings":
      return { type: "list", items: { type: "string" }, list: { kind: "atomic" } };
    case "time":
      return { type: "string", format: "date-time" };
  }
}
