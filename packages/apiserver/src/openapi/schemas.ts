import type { Definition, Field, FieldType, Kind, Lookup } from "@skerry/machinery";

/** Where the documents take the facts about kinds from. */
export interface SchemaSource {
  definition: Lookup;
  /** The description of a definition, or of one of its fields. */
  description(ref: string, field?: string): string | undefined;
}

/** A schema of OpenAPI 3.0, as far as these documents need it. */
export type OpenApiSchema = { [key: string]: unknown };

export const META = "io.k8s.apimachinery.pkg.apis.meta.v1";
const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

export const schemaRef = (name: string): OpenApiSchema => ({ $ref: `#/components/schemas/${name}` });

/** The schema of a kind's lists: the generated tables have the items only. */
export const listRef = (kind: Pick<Kind, "schema">): string => `${kind.schema}List`;

type NamedKind = Pick<Kind, "group" | "version" | "kind" | "schema">;

/**
 * The schemas of kinds and of everything that they are made of. `lists` are those kinds of which there are collections.
 */
export function schemasOf(
  kinds: readonly NamedKind[],
  lists: readonly NamedKind[],
  source: SchemaSource,
): Record<string, OpenApiSchema> {
  const schemas: Record<string, OpenApiSchema> = {};
  const waiting = [...kinds.map(({ schema }) => schema), `${META}.DeleteOptions`, `${META}.Status`, `${META}.ListMeta`];
  for (let ref = waiting.pop(); ref !== undefined; ref = waiting.pop()) {
    if (schemas[ref] !== undefined) continue;
    const definition = source.definition(ref);
    schemas[ref] = definition ? definitionSchema(definition, source, waiting) : (SPECIAL[ref] ?? { type: "object" });
  }
  schemas[`${META}.Patch`] = {
    description: "A change to an object, in the form that its media type says.",
    type: "object",
  };
  for (const kind of kinds) schemas[kind.schema] = { ...schemas[kind.schema], ...gvk(kind) };
  for (const kind of lists) schemas[listRef(kind)] = listSchema(kind);
  return Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Types that are written otherwise than as an object. */
const SPECIAL: Readonly<Record<string, OpenApiSchema>> = {
  [QUANTITY]: {
    description: 'An amount with an optional suffix: "100m", "1.5Gi", 2.',
    oneOf: [{ type: "string" }, { type: "number" }],
  },
  [INT_OR_STRING]: {
    description: "A number or a text.",
    format: "int-or-string",
    oneOf: [{ type: "integer" }, { type: "string" }],
  },
};

function definitionSchema(definition: Definition, source: SchemaSource, waiting: string[]): OpenApiSchema {
  const { name, fields, atomic } = definition;
  const properties: Record<string, OpenApiSchema> = {};
  const required: string[] = [];
  for (const [fieldName, field] of fields) {
    properties[fieldName] = fieldSchema(field, source.description(name, fieldName), waiting);
    if (field.required) required.push(fieldName);
  }
  const description = source.description(name);
  return {
    ...(description !== undefined && { description }),
    type: "object",
    ...(required.length > 0 && { required }),
    properties,
    ...(atomic && { "x-kubernetes-map-type": "atomic" }),
  };
}

function fieldSchema(field: Field, description: string | undefined, waiting: string[]): OpenApiSchema {
  const { patchStrategy, patchMergeKey, atomic } = field;
  const type = typeSchema(field.type, waiting);
  // A reference stands alone in OpenAPI 3.0: what belongs to the field goes around it.
  const wrapped = "$ref" in type ? { allOf: [type] } : type;
  return {
    ...(description !== undefined && { description }),
    ...wrapped,
    ...(field.default !== undefined && { default: field.default }),
    ...(patchStrategy && { "x-kubernetes-patch-strategy": patchStrategy.join(",") }),
    ...(patchMergeKey !== undefined && { "x-kubernetes-patch-merge-key": patchMergeKey }),
    ...(atomic && { "x-kubernetes-map-type": "atomic" }),
  };
}

function typeSchema(type: FieldType, waiting: string[]): OpenApiSchema {
  switch (type.type) {
    case "string":
    case "integer":
    case "number":
    case "boolean":
      return { type: type.type, ...(type.format !== undefined && { format: formatName(type.format) }) };
    case "quantity":
      waiting.push(QUANTITY);
      return schemaRef(QUANTITY);
    case "int-or-string":
      waiting.push(INT_OR_STRING);
      return schemaRef(INT_OR_STRING);
    case "any":
      return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    case "object":
      waiting.push(type.ref);
      return schemaRef(type.ref);
    case "map":
      return { type: "object", additionalProperties: typeSchema(type.values, waiting) };
    case "list": {
      const { list } = type;
      return {
        type: "array",
        items: typeSchema(type.items, waiting),
        "x-kubernetes-list-type": list.kind,
        ...(list.kind === "map" && { "x-kubernetes-list-map-keys": list.keys }),
      };
    }
  }
}

/** OpenAPI knows dates with times of any precision under one name. */
const formatName = (format: string): string => (format === "micro-time" ? "date-time" : format);

export const gvk = ({ group, version, kind }: Pick<Kind, "group" | "version" | "kind">): OpenApiSchema => ({
  "x-kubernetes-group-version-kind": [{ group, kind, version }],
});

function listSchema(kind: NamedKind): OpenApiSchema {
  return {
    description: `A list of ${kind.kind} objects.`,
    type: "object",
    required: ["items"],
    properties: {
      apiVersion: { type: "string" },
      items: { type: "array", items: schemaRef(kind.schema) },
      kind: { type: "string" },
      metadata: schemaRef(`${META}.ListMeta`),
    },
    ...gvk({ ...kind, kind: `${kind.kind}List` }),
  };
}
