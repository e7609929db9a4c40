import { humanDuration, type KubeObject } from "@skerry/machinery";
import type { Column } from "../api.ts";

/** Columns of `kubectl get`: how cells are made and shown. The names are those that users of Kubernetes know. */

type Cell<T> = (object: T, nowMs: number) => string | number | boolean;

/** A column that is always shown. */
export const column = <T extends KubeObject>(
  name: string,
  type: Column["type"],
  description: string,
  cell: Cell<T>,
): Column => ({ name, type, description, priority: 0, cell: (object, nowMs) => cell(object as T, nowMs) });

/** A column that `-o wide` adds. */
export const wideColumn = <T extends KubeObject>(
  name: string,
  type: Column["type"],
  description: string,
  cell: Cell<T>,
): Column => ({ ...column(name, type, description, cell), priority: 1 });

/** How long ago a time was, as `5m` or `2d3h`. */
export const ago = (time: string | undefined, nowMs: number): string =>
  time === undefined || time === "" ? "<unknown>" : humanDuration(nowMs - Date.parse(time));

export const AGE: Column = column("Age", "string", "How long ago the object was made", (object, nowMs) =>
  ago(object.metadata.creationTimestamp, nowMs),
);

export const CREATED_AT: Column = column(
  "Created At",
  "date",
  "When the object was made",
  (object) => object.metadata.creationTimestamp ?? "<unknown>",
);

export const orNone = (text: string | undefined): string => (text === undefined || text === "" ? "<none>" : text);
export const orUnknown = (text: string | undefined): string => (text === undefined || text === "" ? "<unknown>" : text);
