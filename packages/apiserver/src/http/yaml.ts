import { badRequest } from "@skerry/machinery";
import type { Tags, YAMLError } from "yaml";

export interface ParsedText {
  value: unknown;
  /** What the parser noticed and got over: duplicate fields. */
  problems: string[];
}

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

/** Reads one YAML document by the rules of YAML 1.1, as Kubernetes does: `yes` and `on` are booleans. Throws BadRequest. */
export async function parseYaml(text: string): Promise<ParsedText> {
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
    if (error.code !== "DUPLICATE_KEY") throw unreadable(error);
    problems.push(`line ${error.linePos?.[0].line ?? 0}: ${duplicateOf(text, error)}`);
  }
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown, problems };
  } catch (error) {
    throw badRequest(`Cannot read YAML: ${(error as Error).message}`, { cause: error });
  }
}

const isSexagesimal = (tag: object): boolean => "format" in tag && tag.format === "TIME";

const unreadable = (error: YAMLError): Error =>
  badRequest(`Cannot read YAML: line ${error.linePos?.[0].line ?? 0}: ${firstLine(error.message)}`);

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? "";

function duplicateOf(text: string, error: YAMLError): string {
  const key = /^["']?([^:"'\n]+?)["']?\s*:/.exec(text.slice(error.pos[0]))?.[1];
  return key === undefined ? "a key is already set in map" : `key "${key}" already set in map`;
}
