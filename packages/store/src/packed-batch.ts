import type { Batch, BatchRow } from "./commit-log.ts";

/**
 * A batch in the form that crosses to the worker: one array of plain values and one buffer with all objects' bytes, which is
 * moved, not copied.
 */
export interface PackedBatch {
  /** Seven values a row: revision, resource, namespace, name, flags, previous revision, length of the bytes. */
  fields: (number | string)[];
  bytes: ArrayBuffer;
  ceiling: number | undefined;
  volatile: Batch["volatile"];
}

const WIDTH = 7;
const DELETED = 1;
const VOLATILE = 2;

export function packBatch({ rows, ceiling, volatile }: Batch): PackedBatch {
  let length = 0;
  for (const row of rows) length += row.bytes.byteLength;
  const bytes = new Uint8Array(length);
  const fields: (number | string)[] = [];
  let offset = 0;
  for (const row of rows) {
    const flags = (row.deleted ? DELETED : 0) | (row.volatile ? VOLATILE : 0);
    fields.push(row.revision, row.resource, row.namespace, row.name, flags, row.previous, row.bytes.byteLength);
    bytes.set(row.bytes, offset);
    offset += row.bytes.byteLength;
  }
  return { fields, bytes: bytes.buffer, ceiling, volatile };
}

export function unpackBatch({ fields, bytes, ceiling, volatile }: PackedBatch): Batch {
  const rows: BatchRow[] = [];
  let offset = 0;
  for (let at = 0; at < fields.length; at += WIDTH) {
    const [revision, resource, namespace, name, flags, previous, length] = fields.slice(at, at + WIDTH) as [
      number,
      string,
      string,
      string,
      number,
      number,
      number,
    ];
    rows.push({
      revision,
      resource,
      namespace,
      name,
      deleted: (flags & DELETED) !== 0,
      volatile: (flags & VOLATILE) !== 0,
      previous,
      bytes: new Uint8Array(bytes, offset, length),
    });
    offset += length;
  }
  return { rows, ...(ceiling !== undefined && { ceiling }), ...(volatile !== undefined && { volatile }) };
}
