import { once, readGenerated, shortNameOf } from "./table.ts";

/**
 * What the API's documentation says of a built-in definition, or of one of its fields; undefined when it says nothing.
 * The texts are read when first asked for (a third of a megabyte), for OpenAPI documents and `kubectl explain` alone.
 */
export function descriptionOf(ref: string, field = ""): string | undefined {
  const name = shortNameOf(ref);
  if (name === undefined) return undefined;
  const text = texts()[name]?.[field];
  return text === "" ? undefined : text;
}

const texts = once(() => readGenerated("docs.json") as Readonly<Record<string, Readonly<Record<string, string>>>>);
