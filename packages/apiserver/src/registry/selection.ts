import type { Selection } from "@skerry/client";
import {
  exactFieldValue,
  matchesFields,
  matchesSelector,
  parseFieldSelector,
  parseLabelSelector,
  type Encoded,
  type KubeObject,
} from "@skerry/machinery";
import type { KindRow } from "./kind-row.ts";

/** A list's or watch's selectors, made ready. */
export interface Filter {
  readonly namespace: string | undefined;
  /** The only name that can match, when the selector says so. */
  readonly name: string | undefined;
  /** No selector at all: objects needn't be decoded. */
  readonly all: boolean;
  matches(object: Encoded): boolean;
}

/** Throws BadRequest for a malformed selector, and for a field that the kind doesn't offer. */
export function filterOf(row: KindRow, { namespace, labelSelector, fieldSelector }: Selection): Filter {
  const labels = parseLabelSelector(labelSelector ?? "");
  const fields = parseFieldSelector(
    fieldSelector ?? "",
    (field) =>
      field === "metadata.name" || field === "metadata.namespace" || Object.hasOwn(row.selectable ?? {}, field),
  );
  // What the key tells needs no decoding.
  const ofKey = fields.filter(({ field }) => field === "metadata.name" || field === "metadata.namespace");
  const ofObject = fields.filter((requirement) => !ofKey.includes(requirement));
  const needsObject = labels.length > 0 || ofObject.length > 0;

  const matches = (encoded: Encoded): boolean => {
    const { key } = encoded;
    if (!matchesFields(ofKey, (field) => (field === "metadata.name" ? key.name : key.namespace))) return false;
    if (!needsObject) return true;
    const object = encoded.decode();
    return (
      matchesSelector(labels, object.metadata.labels) &&
      matchesFields(ofObject, (field) => fieldValue(row, object, field))
    );
  };
  return {
    namespace:
      row.kind.namespaced && namespace !== "" ? (namespace ?? exactFieldValue(ofKey, "metadata.namespace")) : undefined,
    name: exactFieldValue(ofKey, "metadata.name"),
    all: fields.length === 0 && labels.length === 0,
    matches,
  };
}

const fieldValue = (row: KindRow, object: KubeObject, field: string): string => row.selectable?.[field]?.(object) ?? "";
