import { readFileSync } from "node:fs";
import { isMissingFile } from "@skerry/base";
import { definition } from "./schema.ts";
import { once, shortNameOf } from "./table.ts";

/**
 * What the API's documentation says of a built-in definition, or of one of its fields; undefined when it says nothing.
 * A field that refers to another definition mostly has no text of its own: then that definition's stands in. The texts are
 * read when first asked for (a third of a megabyte), for OpenAPI documents and `kubectl explain` alone. A bundle may leave
 * `gen/docs.json` out; then nothing is described.
 */
export function descriptionOf(ref: string, field = ""): string | undefined {
  const name = shortNameOf(ref);
  if (name === undefined) return undefined;
  const text = texts()[name]?.[field];
  if (text) return text;
  const type = field === "" ? undefined : definition(ref)?.fields.get(field)?.type;
  return type?.type === "object" ? descriptionOf(type.ref) : undefined;
}

type Texts = Readonly<Record<string, Readonly<Record<string, string>>>>;

const texts = once((): Texts => {
  try {
    return JSON.parse(readFileSync(new URL("./gen/docs.json", import.meta.url), "utf8")) as Texts;
  } catch (error) {
    if (isMissingFile(error)) return {};
    throw error;
  }
});
