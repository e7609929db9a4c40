import { quote } from "../quote.ts";
import { StatusError, type StatusCause } from "../status.ts";
import { forEachPath, type FieldSet } from "./field-set.ts";
import type { Manager } from "./managed-fields.ts";

/** What an applier wants to change although another manager owns it. */
export interface Conflict {
  readonly owner: Manager;
  readonly fields: FieldSet;
}

/** The 409 that names each field and its owner, word for word as kubectl explains it. */
export function conflictError(conflicts: readonly Conflict[]): StatusError {
  const causes: StatusCause[] = [];
  const byOwner = new Map<string, string[]>();
  for (const { owner, fields } of conflicts) {
    const name = formatManager(owner);
    const paths = byOwner.get(name) ?? [];
    byOwner.set(name, paths);
    forEachPath(fields, (field) => {
      paths.push(field);
      causes.push({ reason: "FieldManagerConflict", message: `conflict with ${name}`, field });
    });
  }
  const [cause] = causes;
  const message =
    cause !== undefined && causes.length === 1
      ? `1 conflict: ${cause.message}: ${cause.field}`
      : `${causes.length} conflicts: ${[...byOwner]
          .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
          .map(([name, paths]) => [`conflicts with ${name}:`, ...paths.map((path) => `- ${path}`)].join("\n"))
          .join("\n")}`;
  return new StatusError("Conflict", `Apply failed with ${message}`, { details: { causes } });
}

function formatManager({ manager, operation, apiVersion, subresource }: Manager): string {
  const name = subresource === "" ? quote(manager) : `${quote(manager)} with subresource ${quote(subresource)}`;
  return operation === "Update" ? `${name} using ${apiVersion}` : name;
}
