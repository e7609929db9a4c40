import { fullName, type GoField, type GoType } from "./go-types.ts";
import { readMarks, readModel, type Marks, type Model } from "./openapi.ts";

/** One field as the table has it; see `packages/machinery/src/table.ts` for the form. */
export interface TableField {
  /** Of protobuf; 0 when it does not travel there. */
  number: number;
  name: string;
  required: boolean;
  /** JSON writes it even when it is zero: it has no omitempty. */
  keepsZero: boolean;
  pointer: boolean;
  inline: boolean;
  shape: "one" | "list" | "map";
  /** A scalar of ours, or a definition's name. */
  base: string;
  list: readonly string[] | "set" | undefined;
  strategy: string;
  mergeKey: string;
  atomic: boolean;
}

export interface TableDefinition {
  fields: TableField[];
  atomic: boolean;
  description: string;
  descriptions: Record<string, string>;
}

/** Structs that are written as something else in JSON. */
const SCALAR_STRUCTS: Readonly<Record<string, string>> = {
  "k8s.io/apimachinery/pkg/api/resource.Quantity": "quantity",
  "k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1": "any",
  "k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime": "microtime",
  "k8s.io/apimachinery/pkg/apis/meta/v1.Time": "time",
  "k8s.io/apimachinery/pkg/runtime.RawExtension": "any",
  "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "intstr",
};

const SCALARS: Readonly<Record<string, string>> = {
  bool: "bool",
  float64: "double",
  int32: "int32",
  int64: "int64",
  string: "string",
};

/**
 * What was marked after 1.27 and does not follow from a merge key. By hand, from the `+listType` and `+mapType` markers of
 * Kubernetes 1.35's types.
 */
const LATER_MARKS: Readonly<Record<string, Marks>> = {
  "core.v1.ContainerRestartRuleOnExitCodes.values": { listType: "set", atomicMap: false },
  "core.v1.FileKeySelector": { atomicMap: true },
  "core.v1.PodStatus.hostIPs": { listType: "atomic", atomicMap: false },
  "core.v1.ResourceStatus.resources": { listType: "map", listMapKeys: ["resourceID"], atomicMap: false },
};

/** `core.v1.Pod`. */
export function definitionName(type: GoType): string {
  const match = /^k8s\.io\/(?:api|apimachinery\/pkg\/apis)\/(\w+)\/(v\d\w*)\.(\w+)$/.exec(fullName(type));
  if (match === null) throw new Error(`Cannot name a definition after ${fullName(type)}`);
  return match.slice(1).join(".");
}

/** Follows the roots to all definitions they need. `missing` gets what OpenAPI has no text for. */
export function collectDefinitions(roots: readonly GoType[], missing: string[]): Map<string, TableDefinition> {
  const marks = readMarks();
  const found = new Map<string, TableDefinition>();
  /** A struct that is only ever flattened into another has no model of its own: the other one's tells of its fields. */
  const outer = new Map<string, Model>();
  const waiting = [...roots];
  for (let type = waiting.pop(); type !== undefined; type = waiting.pop()) {
    const name = definitionName(type);
    if (found.has(name)) continue;
    const own = readModel(name);
    const model = own ?? outer.get(name);
    if (model === undefined) missing.push(name);
    const fields: TableField[] = [];
    for (const goField of type.fields()) {
      if (goField.type.name === "v1.TypeMeta") {
        fields.push(...TYPE_META);
        continue;
      }
      const { field, refersTo } = tableField(name, goField, marks);
      const documented = model?.fields.get(field.name);
      if (!field.inline && model !== undefined && documented === undefined) missing.push(`${name}.${field.name}`);
      fields.push({ ...field, required: documented?.required ?? false });
      if (field.inline && model !== undefined) outer.set(field.base, model);
      if (refersTo !== undefined) waiting.push(refersTo);
    }
    found.set(name, {
      fields,
      atomic: marks(name).atomicMap || (LATER_MARKS[name]?.atomicMap ?? false),
      description: own?.description ?? "",
      descriptions: Object.fromEntries(
        [...(own?.fields ?? [])]
          .map(([field, { description }]) => [field, description] as const)
          .filter(([, text]) => text !== ""),
      ),
    });
  }
  return found;
}

const plainField = (name: string): TableField => ({
  number: 0,
  name,
  required: false,
  keepsZero: false,
  pointer: false,
  inline: false,
  shape: "one",
  base: "string",
  list: undefined,
  strategy: "",
  mergeKey: "",
  atomic: false,
});
const TYPE_META: readonly TableField[] = [plainField("apiVersion"), plainField("kind")];

const tagValue = (tag: string, key: string): string => new RegExp(`(?:^| )${key}:"([^"]*)"`).exec(tag)?.[1] ?? "";

function tableField(
  definition: string,
  goField: GoField,
  marks: ReturnType<typeof readMarks>,
): { field: TableField; refersTo: GoType | undefined } {
  const [jsonName = "", ...jsonOptions] = tagValue(goField.tag, "json").split(",");
  const protobuf = tagValue(goField.tag, "protobuf").split(",");
  const inline = jsonOptions.includes("inline");
  const name = jsonName !== "" ? jsonName : goField.name.charAt(0).toLowerCase() + goField.name.slice(1);

  let type = goField.type;
  const pointer = type.kind === "pointer";
  if (pointer) type = type.element();
  let shape: TableField["shape"] = "one";
  if (type.kind === "map") shape = "map";
  else if (type.kind === "slice" && type.element().kind !== "uint8" && !type.named) shape = "list";
  if (shape !== "one") type = type.element();

  let base: string;
  let refersTo: GoType | undefined;
  if (type.kind === "struct") {
    base = SCALAR_STRUCTS[fullName(type)] ?? definitionName(type);
    if (!(fullName(type) in SCALAR_STRUCTS)) refersTo = type;
  } else if (type.kind === "slice" && type.element().kind === "uint8") base = "bytes";
  // A slice with a name of its own travels as a message around the list.
  else if (type.kind === "slice" && type.named && type.element().kind === "string") base = "strings";
  else base = SCALARS[type.kind] ?? "";
  if (base === "" || protobuf.length < 2)
    throw new Error(`Cannot describe ${definition}.${name}: ${goField.type.name} ${goField.tag}`);

  const mergeKey = tagValue(goField.tag, "patchMergeKey");
  const strategy = tagValue(goField.tag, "patchStrategy");
  const marked = LATER_MARKS[`${definition}.${name}`] ?? marks(definition, name);
  const field: TableField = {
    ...plainField(name),
    number: Number(protobuf[1]),
    keepsZero: !inline && !jsonOptions.includes("omitempty"),
    pointer,
    inline,
    shape,
    base,
    list: shape === "list" ? listType(marked, strategy, mergeKey) : undefined,
    strategy,
    mergeKey,
    atomic: marked.atomicMap,
  };
  return { field, refersTo };
}

/**
 * What is not marked follows from strategic merge, as kube-openapi's schema conversion has it: a merge key makes a map, merging
 * without one a set, anything else is atomic.
 */
function listType(marked: Marks, strategy: string, mergeKey: string): readonly string[] | "set" | undefined {
  if (marked.listType === "map") return marked.listMapKeys ?? [mergeKey];
  if (marked.listType === "set") return "set";
  if (marked.listType === "atomic") return undefined;
  if (mergeKey !== "") return [mergeKey];
  return strategy.split(",").includes("merge") ? "set" : undefined;
}
