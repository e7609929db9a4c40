import { byteLength, checkConfigMapKey, fieldError, kinds, type FieldError } from "@skerry/machinery";
import type { ConfigMap } from "@skerry/machinery/types";
import { equalOrEmpty } from "../registry/json.ts";
import type { KindRow } from "../registry/kind-row.ts";
import { addInvalid, at } from "../registry/metadata.ts";
import { AGE, column } from "./columns.ts";

/** All values of a ConfigMap or Secret together, in bytes. */
export const MAX_DATA_BYTES = 1024 * 1024;

export const configMapRow: KindRow<ConfigMap> = {
  kind: kinds.ConfigMap,
  columns: [
    column<ConfigMap>(
      "Data",
      "integer",
      "How many entries it has",
      ({ binaryData, data }) => countOf(data) + countOf(binaryData),
    ),
    AGE,
  ],
  validate: ({ data = {}, binaryData = {} }, errors) => {
    let bytes = 0;
    for (const [key, value] of Object.entries(data)) {
      addInvalid(errors, at("data", key), key, checkConfigMapKey(key));
      if (Object.hasOwn(binaryData, key)) {
        errors.push(fieldError.invalid(at("data", key), key, "duplicate of key present in binaryData"));
      }
      bytes += byteLength(value);
    }
    for (const [key, value] of Object.entries(binaryData)) {
      addInvalid(errors, at("binaryData", key), key, checkConfigMapKey(key));
      bytes += base64Bytes(value);
    }
    if (bytes > MAX_DATA_BYTES) errors.push(fieldError.tooLong("", MAX_DATA_BYTES));
  },
  validateUpdate: (draft, old, errors) => validateImmutable(draft, old, ["data", "binaryData"], errors),
};

export const countOf = (entries: object | undefined): number => Object.keys(entries ?? {}).length;

/** How many bytes a base64 text stands for (RFC 4648). */
export const base64Bytes = (text: string): number => Math.floor((text.replace(/=+$/, "").length * 3) / 4);

/** An object that was made immutable stays so, and its data too (KEP-1412). */
export function validateImmutable<T extends { immutable?: boolean }>(
  draft: T,
  old: T,
  fields: readonly (keyof T & string)[],
  errors: FieldError[],
): void {
  if (old.immutable !== true) return;
  const detail = "field is immutable when `immutable` is set";
  if (draft.immutable !== true) errors.push(fieldError.forbidden("immutable", detail));
  for (const field of fields) {
    if (!equalOrEmpty(draft[field], old[field])) errors.push(fieldError.forbidden(field, detail));
  }
}
