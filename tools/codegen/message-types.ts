import type { ProtobufTable } from "@skerry/base";

const TYPES: Readonly<Record<string, string>> = {
  bool: "boolean",
  bytes: "Uint8Array",
  double: "number",
  fixed32: "number",
  fixed64: "bigint",
  float: "number",
  int32: "number",
  int64: "bigint",
  sfixed32: "number",
  sfixed64: "bigint",
  sint32: "number",
  sint64: "bigint",
  string: "string",
  uint32: "number",
  uint64: "bigint",
};

/** Writes TypeScript types for what a codec of `table` decodes, and `Messages`, its type argument. */
export function messageTypes(table: ProtobufTable, heading: string): string {
  const typeOf = (type: string): string => TYPES[type] ?? type;
  const isMessage = (type: string): boolean => type in table.messages;
  const lines = [heading, ""];

  for (const [name, values] of Object.entries(table.enums ?? {})) {
    const names = values.split(" ").map((value) => JSON.stringify(value.slice(value.indexOf(":") + 1)));
    const line = `export type ${name} = ${names.join(" | ")};`;
    if (line.length <= 120) lines.push(line);
    else
      lines.push(`export type ${name} =`, ...names.map((each, i) => `  | ${each}${i === names.length - 1 ? ";" : ""}`));
  }
  lines.push("");

  for (const [name, text] of Object.entries(table.messages)) {
    if (text === "") {
      lines.push(`export type ${name} = Record<string, never>;`);
      continue;
    }
    lines.push(`export interface ${name} {`);
    for (const field of text.split(" ")) {
      const [, fieldName = "", type = ""] = field.split(":");
      const map = /^\{(.*),(.*)\}$/.exec(type);
      if (map !== null) lines.push(`  ${fieldName}: Record<string, ${typeOf(map[2] ?? "")}>;`);
      else if (/^[*+]/.test(type)) lines.push(`  ${fieldName}: ${typeOf(type.slice(1))}[];`);
      else if (type.startsWith("?")) lines.push(`  ${fieldName}?: ${typeOf(type.slice(1))};`);
      else lines.push(`  ${fieldName}${isMessage(type) ? "?" : ""}: ${typeOf(type)};`);
    }
    lines.push("}");
  }

  lines.push("", "export interface Messages {");
  for (const name of Object.keys(table.messages)) lines.push(`  ${name}: ${name};`);
  lines.push("}", "");
  return lines.join("\n");
}
