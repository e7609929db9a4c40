import type { Tags, YAMLError } from "yaml";

/** A YAML text as JSON, or why it cannot be read: plain, so that it can cross threads. */
export type YamlAnswer =
  /** `problems` are what the parser noticed and got over: duplicate fields. */
  { json: string; problems: string[] } | { refused: string };

/** The most times that aliases may be followed: a few nested ones make a small text into a huge object. */
const MAX_ALIASES = 100;
/** Tags of YAML 1.1 that Kubernetes' own parser does not know: dates and sexagesimal numbers stay text. */
const FOREIGN_TAGS = [
  "tag:yaml.org,2002:timestamp",
  "tag:yaml.org,2002:omap",
  "tag:yaml.org,2002:pairs",
  "tag:yaml.org,2002:set",
  "tag:yaml.org,2002:binary",
];

/** Reads one YAML document by the rules of YAML 1.1, as Kubernetes does: `yes` and `on` are booleans. */
export async function readYamlText(text: string): Promise<YamlAnswer> {
  try {
    return await read(text);
  } catch (error) {
    // Nested beyond the stack, or aliases beyond their bound.
    return { refused: (error as Error).message };
  }
}

async function read(text: string): Promise<YamlAnswer> {
  // Few clients send YAML, and the parser is large: it is loaded for the first of them.
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text, {
    version: "1.1",
    uniqueKeys: true,
    stringKeys: true,
    prettyErrors: true,
    customTags: (tags: Tags) =>
      tags.filter((tag) => typeof tag === "string" || !(FOREIGN_TAGS.includes(tag.tag) || isSexagesimal(tag))),
  });
  const problems: string[] = [];
  for (const error of document.errors) {
    const line = `line ${error.linePos?.[0].line ?? 0}`;
    if (error.code !== "DUPLICATE_KEY") return { refused: `${line}: ${firstLine(error.message)}` };
    problems.push(`${line}: ${duplicateOf(text, error)}`);
  }
  return { json: JSON.stringify(document.toJS({ maxAliasCount: MAX_ALIASES }) ?? null), problems };
}

const isSexagesimal = (tag: object): boolean => "format" in tag && tag.format === "TIME";

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? "";

function duplicateOf(text: string, error: YAMLError): string {
  const key = /^["']?([^:"'\n]+?)["']?\s*:/.exec(text.slice(error.pos[0]))?.[1];
  return key === undefined ? "a key is already set in map" : `key "${key}" already set in map`;
}
