import { createHash } from "node:crypto";
import type { Container } from "@skerry/machinery/types";

/** The label under which a container in the runtime keeps the version of the spec that it was made from. */
export const VERSION_LABEL = "skerry.io/container-version";

/** The parts of a container's spec that make it another container when they change. */
const VERSIONED_FIELDS = [
  "name",
  "image",
  "command",
  "args",
  "workingDir",
  "env",
  "envFrom",
  "resources",
  "volumeMounts",
  "securityContext",
  "terminationMessagePath",
  "stdin",
  "tty",
] as const satisfies readonly (keyof Container)[];

/**
 * The version of a container's spec: `v1-` and a hash of the fields that matter, empty ones left out and keys in order, so
 * that neither an API server that spells a default out nor a field that nobody here knows yet restarts anything.
 */
export function containerVersion(container: Container): string {
  const hash = createHash("sha256");
  for (const field of VERSIONED_FIELDS) {
    const value = canonical(container[field]);
    if (value !== "") hash.update(`${field}=${value}\n`);
  }
  return `v1-${hash.digest("hex").slice(0, 32)}`;
}

/**
 * Whether a running container was made from this spec. A version that this agent cannot compute, of another release, counts as
 * the same: not to understand a label is no reason to stop what runs.
 */
export function isSameVersion(label: string, container: Container): boolean {
  return !label.startsWith("v1-") || label === containerVersion(container);
}

/** JSON with sorted keys and without empty values; "" for an empty one. */
function canonical(value: unknown): string {
  if (value === undefined || value === null || value === "") return "";
  if (Array.isArray(value)) return value.length === 0 ? "" : `[${value.map((item) => canonical(item)).join(",")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const fields = Object.entries(value)
    .map(([key, child]) => [key, canonical(child)] as const)
    .filter(([, text]) => text !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return fields.length === 0 ? "" : `{${fields.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",")}}`;
}
