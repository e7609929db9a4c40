import type { KubeObject } from "@skerry/machinery";
import type { Report } from "@skerry/wire";

/** A report that will never be taken, however often it comes: it is acknowledged, and the edge is told why. */
export class RefusedReportError extends Error {
  override name = "RefusedReportError";
}

/** The object in a report. Throws `RefusedReportError` when there is none. */
export function reportedObject<T extends KubeObject>({ bytes }: Pick<Report, "bytes">): T {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  } catch (error) {
    throw new RefusedReportError("The report is not JSON", { cause: error });
  }
  const metadata = (value as { metadata?: unknown } | null)?.metadata;
  if (typeof metadata !== "object" || metadata === null) throw new RefusedReportError("The report is not an object");
  return value as T;
}
