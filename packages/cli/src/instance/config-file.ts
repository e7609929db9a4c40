import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { isMissingFile } from "@skerry/base";
import { UserError, type Call, type Option } from "../command.ts";
import type { Layout } from "./layout.ts";
import { nodeNameOf, type Settings } from "./settings.ts";

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

interface Entry {
  value: string;
  line: number;
}

/** The call with what the config file says for options that neither a flag nor the environment gives. */
export async function withConfigFile(call: Call, { configFile }: Layout): Promise<Call> {
  const entries = await readConfig(configFile);
  const entryOf = (name: string): Entry | undefined =>
    call.source(name) === undefined ? entries.get(name) : undefined;
  return {
    ...call,
    option: (name) => entryOf(name)?.value ?? call.option(name),
    source: (name) => {
      const entry = entryOf(name);
      return entry ? `${configFile}:${entry.line}: ${name}` : call.source(name);
    },
  };
}

/** What one that is not made yet would take; the rest is found out when it is. */
const USUAL: Readonly<Record<string, string>> = {
  "api-port": "6443",
  "link-port": "10000",
  "node-name": nodeNameOf(hostname()),
};

/** What `--print-config` prints: a config file of what holds, each line with who said so. */
export function configText(
  call: Call,
  kept: Settings | undefined,
  names: readonly (keyof typeof CONFIG_OPTIONS)[],
): string {
  const decided: Readonly<Record<string, string | number | undefined>> = {
    "api-port": kept?.apiPort,
    "link-port": kept?.linkPort,
    "cluster-cidr": kept?.clusterCidr,
    "node-name": kept?.nodeName,
  };
  const lines = names.map((name) => {
    const source = call.source(name);
    if (source !== undefined) return `${name}: ${call.option(name)} # ${source}`;
    if (decided[name] !== undefined) return `${name}: ${decided[name]} # kept by the instance`;
    const usual = call.option(name) ?? USUAL[name];
    return usual === undefined ? `# ${name}: found out when the instance is made` : `${name}: ${usual} # default`;
  });
  return lines.join("\n");
}

async function readConfig(file: string): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>();
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (isMissingFile(error)) return entries;
    throw error;
  }
  // Only who has such a file pays for reading it.
  const { isMap, isScalar, LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const fail = (offset: number, why: string): never => {
    throw new UserError(`${file}:${lines.linePos(offset).line}: ${why}`, { exitCode: 2 });
  };
  const [damage] = document.errors;
  if (damage) fail(damage.pos[0], damage.message.split("\n")[0]?.replace(/ at line .*$/, "") ?? "is no YAML");
  const { contents } = document;
  if (contents === null) return entries;
  if (!isMap(contents)) return fail(contents.range?.[0] ?? 0, "it takes lines like log-level: debug");
  for (const { key, value } of contents.items) {
    const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
    const name = isScalar(key) ? String(key.value) : "";
    if (!Object.hasOwn(CONFIG_OPTIONS, name)) {
      const names = Object.keys(CONFIG_OPTIONS);
      const [nearest] = names.toSorted((a, b) => distance(a, name) - distance(b, name));
      fail(offset, `there is no "${name}"; the nearest is ${nearest}, of ${names.join(", ")}`);
    }
    const one: unknown = isScalar(value) ? value.value : undefined;
    const isOne = typeof one === "number" || (typeof one === "string" && one !== "");
    if (!isOne) return fail(offset, `${name} takes one value`);
    entries.set(name, { value: String(one), line: lines.linePos(offset).line });
  }
  return entries;
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
