import { parseArgs } from "node:util";
import { writeFileAtomic } from "@skerry/base";
import type { Row } from "./row.ts";

/** Every benchmark by name, loaded when it is asked for. */
const BENCHMARKS: Record<string, () => Promise<() => Promise<Row[]>>> = {
  store: async () => (await import("./store.ts")).store,
  api: async () => (await import("./api.ts")).api,
  "pod-start": async () => (await import("./pod-start.ts")).podStart,
  join: async () => (await import("./join.ts")).join,
  footprint: async () => (await import("./footprint.ts")).footprint,
};

const USAGE = `Usage: npm run bench -- NAME… [--json FILE]

Measures and prints each figure beside its target. NAME is one of: ${Object.keys(BENCHMARKS).join(", ")}.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string" }, help: { type: "boolean", short: "h" } },
});
const unknown = positionals.find((name) => !(name in BENCHMARKS));
if (values.help || positionals.length === 0 || unknown !== undefined) {
  if (unknown !== undefined) console.error(`There is no benchmark "${unknown}"`);
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}

const rows: Row[] = [];
for (const name of positionals) {
  console.log(`${name}:`);
  const measured = await (await BENCHMARKS[name]!())();
  for (const row of measured) {
    const figure = `${format(row.value)} ${row.unit}`;
    const target = row.target === null ? "" : `target ${row.target}`;
    console.log(
      `  ${row.ok === null ? " " : row.ok ? "✓" : "✗"} ${row.name.padEnd(58)} ${figure.padStart(16)}   ${target}`,
    );
  }
  rows.push(...measured);
}
if (values.json !== undefined) await writeFileAtomic(values.json, `${JSON.stringify(rows, undefined, 2)}\n`);

function format(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
