import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { isMissingFile } from "@skerry/base";
import { UsageError, UserError, type Call, type Option, type Said } from "../command.ts";
import { logLevelOf } from "../daemons/life.ts";
import type { Layout } from "./layout.ts";
import { clusterCidrOption, nodeNameOption, portClash, portOption } from "./request.ts";
import { contradiction, nodeNameOf, USUAL_PORTS, type Settings } from "./settings.ts";

/** The options that may stand in an instance's config file, by their names; each command takes those of them that concern it. */
export const CONFIG_OPTIONS = {
  "api-port": { type: "string", value: "PORT", summary: "Of the Kubernetes API (6443)" },
  "link-port": { type: "string", value: "PORT", summary: "That edges dial into (10000)" },
  "cluster-cidr": {
    type: "string",
    value: "CIDR",
    summary: "Where pods get addresses from (the first free of 10.42.0.0/16, 10.44.0.0/16 …)",
  },
  "node-name": { type: "string", value: "NAME", summary: "Of this machine as a node (its host name)" },
  "log-level": { type: "string", value: "LEVEL", default: "info", summary: "debug, info, warn or error" },
} as const satisfies Record<string, Option>;

type ConfigName = keyof typeof CONFIG_OPTIONS;

/** Throws what is wrong with a value, found out as the commands do that take it. */
const CHECKS: Readonly<Record<ConfigName, (said: Said) => unknown>> = {
  "api-port": (said) => portOption(said, "api-port"),
  "link-port": (said) => portOption(said, "link-port"),
  "cluster-cidr": clusterCidrOption,
  "node-name": nodeNameOption,
  "log-level": logLevelOf,
};

const checkEntry = (name: ConfigName, { value, source }: Entry): unknown =>
  CHECKS[name]({ option: () => value, source: () => source });

interface Entry {
  value: string;
  /** `FILE:LINE: NAME`, as messages name it. */
  source: string;
}

/** What a config file says. */
export interface Config {
  /** By the names of options: all that can be taken, whatever is wrong beside it. */
  entries: ReadonlyMap<string, Entry>;
  /** What is wrong with the file, the first of it, with file and line. */
  mistake?: string;
}

/** Reads an instance's config file, for what must go on whatever that says. What contradicts what is kept of the instance is a mistake in it, too. */
export async function readConfig(layout: Layout, kept: Settings | undefined): Promise<Config> {
  const { configFile } = layout;
  let text: string;
  try {
    text = await readFile(configFile, "utf8");
  } catch (error) {
    if (isMissingFile(error)) return { entries: new Map() };
    const mistake = `Cannot read ${configFile}: ${(error as Error).message}; make it a file that root can read, or remove it`;
    return { entries: new Map(), mistake };
  }
  const config = parseConfig(text, configFile, (name, entry) => {
    checkEntry(name, entry);
    const { value, source } = entry;
    // An edge alone has no network of its own: a file that names one says nothing to it.
    if (!kept || (name === "cluster-cidr" && !kept.roles.includes("cloud"))) return;
    const why = contradiction(layout, kept, { name, value, source });
    if (why !== undefined) throw new UsageError(why);
  });
  // To an edge alone, ports of a cloud say nothing either.
  const clash = kept?.roles.includes("cloud") === false ? undefined : portClash(saidBy(config), kept);
  if (clash === undefined) return config;
  const others = [...config.entries].filter(([name]) => name !== "api-port" && name !== "link-port");
  return { entries: new Map(others), mistake: config.mistake ?? clash };
}

/** What the file says, and where, with nothing that outranks it. */
export const saidBy = ({ entries }: Config): Said => ({
  option: (name) => entries.get(name)?.value,
  source: (name) => entries.get(name)?.source,
});

/** The same for a person, who can mend it first: throws `UsageError` for what is wrong with it. */
export async function requireConfig(layout: Layout, kept: Settings | undefined): Promise<Config> {
  const config = await readConfig(layout, kept);
  if (config.mistake !== undefined) throw new UsageError(config.mistake);
  return config;
}

/** The call with what the config file says for options that neither a flag nor the environment gives. */
export function withConfig(call: Call, { entries }: Config): Call {
  const entryOf = (name: string): Entry | undefined =>
    call.source(name) === undefined ? entries.get(name) : undefined;
  return {
    ...call,
    option: (name) => entryOf(name)?.value ?? call.option(name),
    source: (name) => entryOf(name)?.source ?? call.source(name),
  };
}

/** What one that is not made yet would take; the rest is found out when it is. */
const USUAL: Readonly<Record<string, string>> = {
  "api-port": String(USUAL_PORTS.apiPort),
  "link-port": String(USUAL_PORTS.linkPort),
  "node-name": nodeNameOf(hostname()),
};

/** What `--print-config` prints: a config file of what holds, each line with who said so. */
export function configText(call: Call, kept: Settings | undefined, names: readonly ConfigName[]): string {
  const decided: Readonly<Record<string, string | number | undefined>> = {
    "api-port": kept?.apiPort,
    "link-port": kept?.linkPort,
    "cluster-cidr": kept?.clusterCidr || undefined,
    "node-name": kept?.nodeName,
  };
  const lines = names.map((name) => {
    const usual = call.option(name) ?? USUAL[name];
    const source = call.source(name);
    const [value, who] =
      source !== undefined
        ? [call.option(name), source]
        : decided[name] !== undefined
          ? [String(decided[name]), "kept by the instance"]
          : [usual, "default"];
    return value === undefined
      ? `# ${name}: found out when the instance is made`
      : `${name}: ${valueText(value)} # ${who}`;
  });
  return lines.join("\n");
}

/** A value as `parseConfig` reads it again. */
const valueText = (value: string): string => (scalar(value.trim()) === value ? value : JSON.stringify(value));

/**
 * The YAML that a config file may be: one mapping of names to plain or quoted words, one a line, with comments. Whatever else YAML knows is a mistake, so
 * nothing is read otherwise than a YAML reader would that takes all words for words; one of those would cost the agent a tenth of its memory.
 * `check` throws a `UserError` for an entry that cannot be taken; when absent, what no option takes.
 */
export function parseConfig(
  text: string,
  file: string,
  check: (name: ConfigName, entry: Entry) => void = checkEntry,
): Config {
  const entries = new Map<string, Entry>();
  let mistake: string | undefined;
  let isBegun = false;
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    if (/^[ \t]*(#.*)?$/.test(line)) continue;
    const isStart = !isBegun && /^---[ \t]*$/.test(line);
    isBegun = true;
    if (isStart) continue;
    try {
      const { name, value } = parseLine(line, `${file}:${index + 1}`);
      const entry = { value, source: `${file}:${index + 1}: ${name}` };
      if (entries.has(name)) throw new UsageError(`${entry.source} is set twice; leave one of the lines out`);
      check(name, entry);
      entries.set(name, entry);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      mistake ??= error.message;
    }
  }
  return { entries, ...(mistake !== undefined && { mistake }) };
}

function parseLine(line: string, where: string): { name: ConfigName; value: string } {
  const [, name, rest = ""] = /^([\w.-]+)[ \t]*:(?:[ \t]+(.*))?$/.exec(line) ?? [];
  // Its words stay out of logs: who takes this for a file of variables may have a proxy's password there.
  if (name === undefined) throw new UsageError(`${where}: cannot read this line; write it like log-level: debug`);
  if (!isConfigName(name)) {
    const names = Object.keys(CONFIG_OPTIONS);
    const [nearest] = names.toSorted((a, b) => distance(a, name) - distance(b, name));
    throw new UsageError(`${where}: there is no "${name}"; the nearest is ${nearest}, of ${names.join(", ")}`);
  }
  const value = scalar(rest.replace(/[ \t]+$/, ""));
  if (value === undefined) throw new UsageError(`${where}: ${name} takes one value on its line, quoted or not`);
  if (value === "") throw new UsageError(`${where}: ${name} needs a value`);
  return { name, value };
}

const isConfigName = (name: string): name is ConfigName => Object.hasOwn(CONFIG_OPTIONS, name);

/** A YAML scalar as text; undefined when it is none, or one that goes on elsewhere. */
function scalar(text: string): string | undefined {
  if (/[^\P{Cc}\t]/u.test(text)) return undefined;
  const [, double, single] = /^(?:("(?:[^"\\]|\\.)*")|'((?:[^']|'')*)')[ \t]*(?:[ \t]#.*)?$/.exec(text) ?? [];
  if (single !== undefined) return single.replaceAll("''", "'");
  if (double !== undefined) {
    try {
      return JSON.parse(double) as string;
    } catch {
      return undefined; // an escape that YAML knows and JSON does not
    }
  }
  const plain = text.replace(/(^|[ \t]+)#.*$/, "");
  return /^[[\]{}&*!|>%@`"',?-]|:[ \t]|:$/.test(plain) ? undefined : plain;
}

/** How many letters are to be put in, taken out or changed to make one word of another (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const changed = (row[j] ?? 0) + (from[i] === to[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
