import type { TableDefinition, TableField } from "./definitions.ts";

const HEADING = `/**
 * The built-in kinds as TypeScript sees them, made by \`npm run codegen\`. Do not edit.
 * What the API requires is required here; \`metadata\` of an object is, because the API always answers it.
 */`;

/** Types that are written by hand, and where. */
const BY_HAND: Readonly<Record<string, string>> = {
  "meta.v1.ManagedFieldsEntry": "ManagedFieldsEntry",
  "meta.v1.ObjectMeta": "ObjectMeta",
  "meta.v1.OwnerReference": "OwnerReference",
};

const SCALARS: Readonly<Record<string, string>> = {
  any: "Json",
  bool: "boolean",
  bytes: "string",
  double: "number",
  int32: "number",
  int64: "number",
  intstr: "IntOrString",
  microtime: "string",
  quantity: "Quantity",
  string: "string",
  strings: "string[]",
  time: "string",
};

/** Core and apps keep their plain names; another group's type that is called alike gets its group before it. */
export function kindTypes(definitions: ReadonlyMap<string, TableDefinition>): string {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  const order = [...definitions.keys()].toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  for (const definition of order) {
    const [group = "", , plain = ""] = definition.split(".");
    const name =
      BY_HAND[definition] ?? (taken.has(plain) ? group.charAt(0).toUpperCase() + group.slice(1) + plain : plain);
    if (taken.has(name)) throw new Error(`Cannot name the type of ${definition}: ${name} is taken`);
    taken.add(name);
    names.set(definition, name);
  }

  const baseOf = (base: string): string => SCALARS[base] ?? names.get(base) ?? "never";
  const typeOf = (field: TableField): string => {
    const base = baseOf(field.base);
    if (field.shape === "list") return `${base}[]`;
    return field.shape === "map" ? `Record<string, ${base}>` : base;
  };
  const isObject = ({ fields }: TableDefinition): boolean =>
    fields.some((field) => field.base === "meta.v1.ObjectMeta" && fields[0]?.name === "apiVersion");

  const lines = [
    HEADING,
    'import type { Json, ManagedFieldsEntry, ObjectMeta, OwnerReference } from "../object.ts";',
    "",
    "export type { ManagedFieldsEntry, ObjectMeta, OwnerReference };",
    "/** A number with a suffix, as `500m` or `1Gi`; see `parseQuantity`. */",
    "export type Quantity = string;",
    "export type IntOrString = number | string;",
    "",
  ];
  for (const [definition, each] of [...definitions].toSorted(([a], [b]) => (names.get(a)! < names.get(b)! ? -1 : 1))) {
    if (definition in BY_HAND) continue;
    const bases = each.fields.filter(({ inline }) => inline).map(({ base }) => baseOf(base));
    const own = each.fields.filter(({ inline }) => !inline);
    const heritage = bases.length === 0 ? "" : ` extends ${bases.join(", ")}`;
    if (own.length === 0) {
      lines.push(
        `export type ${names.get(definition)} = ${bases.length > 0 ? bases.join(" & ") : "Record<string, never>"};`,
      );
      continue;
    }
    lines.push(`export interface ${names.get(definition)}${heritage} {`);
    for (const field of own) {
      const needed = field.required || (field.name === "metadata" && isObject(each));
      lines.push(`  ${field.name}${needed ? "" : "?"}: ${typeOf(field)};`);
    }
    lines.push("}");
  }
  lines.push("");
  return lines.join("\n");
}

const rank = (definition: string): number =>
  definition.startsWith("core.") ? 0 : definition.startsWith("apps.") ? 1 : 2;
