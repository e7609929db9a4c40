import { isJsonObject, parseJson } from "../json.ts";
import { validateAnnotations } from "../labels.ts";
import type { Json } from "../object.ts";
import { compare } from "./compare.ts";
import { difference, union, type FieldSet } from "./field-set.ts";
import { fieldsOf } from "./fields-of.ts";
import { asObject, type JsonObject, type Place, type Shapes } from "./shape.ts";
import { validateConfig } from "./validate-config.ts";

/** Where client-side apply keeps the configuration that it applied last. */
const ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";

const annotationsOf = (object: JsonObject): JsonObject =>
  asObject(asObject(object["metadata"] ?? null)["annotations"] ?? null);

export function hasLastApplied(object: JsonObject): boolean {
  const text = annotationsOf(object)[ANNOTATION];
  return typeof text === "string" && text !== "";
}

/** The fields that client-side apply set last and that have not changed since; none when the annotation is no use. */
export function lastAppliedFields(shapes: Shapes, place: Place, live: JsonObject, apiVersion: string): FieldSet {
  const text = annotationsOf(live)[ANNOTATION];
  const config = typeof text === "string" ? readConfig(text) : undefined;
  if (config === undefined || config["apiVersion"] !== apiVersion) return undefined;
  if (validateConfig(shapes, place, config).length > 0) return undefined;
  const { set, removed } = compare(shapes, place, config, live);
  return difference(fieldsOf(shapes, place, config), union(set, removed));
}

function readConfig(text: string): JsonObject | undefined {
  try {
    const config: Json = parseJson(text);
    return isJsonObject(config) ? config : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Keeps the annotation, where there is one, in step with what kubectl applies on the server. */
export function syncLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  if (!hasLastApplied(object)) return object;
  const { [ANNOTATION]: _, ...others } = annotationsOf(config);
  const metadata = asObject(config["metadata"] ?? null);
  const bare = "annotations" in metadata ? { ...config, metadata: { ...metadata, annotations: others } } : config;
  const annotations: JsonObject = { ...annotationsOf(object), [ANNOTATION]: `${JSON.stringify(bare)}\n` };
  if (validateAnnotations(annotations as Record<string, string>, "").some(({ type }) => type === "FieldValueTooLong")) {
    delete annotations[ANNOTATION];
  }
  return { ...object, metadata: { ...asObject(object["metadata"] ?? null), annotations } };
}
