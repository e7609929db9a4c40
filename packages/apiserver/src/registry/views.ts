import type { Encoded, FieldSet } from "@skerry/machinery";
import { Detached } from "./encoding.ts";
import { copyJson } from "./json.ts";
import type { KindRow, ViewRow } from "./kind-row.ts";
import { validateMetadata } from "./metadata.ts";

/** The same for every kind and request, so that what depends on it can be remembered. */
const STATUS: FieldSet = { "f:status": {} };

/** The object's own form: all but its status, if that has a path of its own. */
export const wholeView = (row: KindRow): ViewRow => ({
  form: "view",
  name: "",
  verbs: ["get", "update", "patch"],
  ...(row.hasStatus && { resets: STATUS }),
  write: (body, old) => {
    if (row.hasStatus) copyField(body, old, "status");
    return body;
  },
  validate: (object, old, errors) => {
    validateMetadata(object.metadata, row, errors);
    row.validate?.(object, errors);
    row.validateUpdate?.(object, old, errors);
  },
});

function copyField(draft: object, old: object, field: string): void {
  const from = old as Record<string, unknown>;
  const to = draft as Record<string, unknown>;
  if (from[field] === undefined) delete to[field];
  else to[field] = copyJson(from[field]);
}

/** An object as a view shows it. */
export const viewOf = (view: ViewRow, object: Encoded): Encoded =>
  view.read ? new Detached(view.read(object.decode())) : object;
