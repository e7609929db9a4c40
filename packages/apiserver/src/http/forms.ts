import type { Encoded } from "@skerry/machinery";
import { apiVersionOf } from "@skerry/machinery";
import type { ApiList, Resource } from "../api.ts";
import type { AnswerForm } from "./negotiate.ts";
import { columnsJson, partialJson, rowJson, tableJson, type RowObject } from "./table.ts";

const COMMA = Buffer.from(",");
const LIST_END = Buffer.from("]}\n");

/** The bytes of one object in the form that the client wants. */
export function objectBytes(
  resource: Resource,
  object: Encoded,
  form: AnswerForm,
  row: RowObject,
  nowMs: number,
): Uint8Array {
  switch (form) {
    case "object":
      return object.bytes;
    case "metadata":
      return Buffer.from(partialJson(object.decode()));
    case "table":
      return Buffer.from(
        tableJson([rowJson(resource, object, row, nowMs)], columnsJson(resource), { resourceVersion: object.revision }),
      );
  }
}

/** A list in the form that the client wants, in pieces. Whole objects are put together from their bytes and not decoded. */
export function listPieces(
  resource: Resource,
  list: ApiList,
  form: AnswerForm,
  row: RowObject,
  nowMs: number,
): Uint8Array[] {
  const metadata = {
    resourceVersion: list.revision,
    ...(list.continue !== undefined && { continue: list.continue }),
    ...(list.remaining !== undefined && list.remaining > 0 && { remainingItemCount: list.remaining }),
  };
  switch (form) {
    case "object":
      return wrap(`${resource.kind.kind}List`, apiVersionOf(resource.kind), metadata, list.items.map(bytesOf));
    case "metadata":
      return wrap("PartialObjectMetadataList", "meta.k8s.io/v1", metadata, list.items.map(partialBytes));
    case "table": {
      const rows = list.items.map((item) => rowJson(resource, item, row, nowMs));
      return [Buffer.from(`${tableJson(rows, columnsJson(resource), metadata)}\n`)];
    }
  }
}

const bytesOf = (object: Encoded): Uint8Array => object.bytes;
const partialBytes = (object: Encoded): Uint8Array => Buffer.from(partialJson(object.decode()));

function wrap(kind: string, apiVersion: string, metadata: object, items: readonly Uint8Array[]): Uint8Array[] {
  const head = `{"kind":"${kind}","apiVersion":"${apiVersion}","metadata":${JSON.stringify(metadata)},"items":[`;
  const pieces: Uint8Array[] = [Buffer.from(head)];
  for (const [index, item] of items.entries()) {
    if (index > 0) pieces.push(COMMA);
    pieces.push(item);
  }
  pieces.push(LIST_END);
  return pieces;
}
