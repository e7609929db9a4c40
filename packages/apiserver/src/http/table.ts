import type { Encoded, KubeObject } from "@skerry/machinery";
import type { Column, Resource } from "../api.ts";

/** What of each object a Table's row carries besides its cells: `?includeObject=`. */
export type RowObject = "None" | "Metadata" | "Object";

const NAME_COLUMN = {
  name: "Name",
  type: "string",
  format: "name",
  description:
    "The name of the object, unique within its namespace and kind. It is chosen when the object is made and stays as it is.",
  priority: 0,
};

const definitionOf = ({ name, type, format, description, priority }: Column): object => ({
  name,
  type,
  format: format ?? "",
  description,
  priority,
});

export function readRowObject(query: URLSearchParams): RowObject {
  const wanted = query.get("includeObject");
  return wanted === "None" || wanted === "Object" ? wanted : "Metadata";
}

/** The JSON of a Table's `columnDefinitions` (KEP-193). */
export const columnsJson = (resource: Resource): string =>
  JSON.stringify([...(placesName(resource) ? [] : [NAME_COLUMN]), ...resource.columns.map(definitionOf)]);

/** Most kinds leave it to the table to show their names first. */
const placesName = ({ columns }: Resource): boolean => columns.some(({ format }) => format === NAME_COLUMN.format);

/** The JSON of one row. The object's own bytes are put in as they are. */
export function rowJson(resource: Resource, object: Encoded, include: RowObject, nowMs: number): string {
  const decoded = object.decode();
  const cells = resource.columns.map((column) => column.cell(decoded, nowMs));
  if (!placesName(resource)) cells.unshift(decoded.metadata.name ?? "");
  return `{"cells":${JSON.stringify(cells)},"object":${rowObject(object, decoded, include)}}`;
}

function rowObject(object: Encoded, decoded: KubeObject, include: RowObject): string {
  switch (include) {
    case "None":
      return "null";
    case "Object":
      return Buffer.from(object.bytes).toString("utf8");
    case "Metadata":
      return partialJson(decoded);
  }
}

/** The JSON of an object's PartialObjectMetadata. */
export const partialJson = ({ metadata }: KubeObject): string =>
  `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":${JSON.stringify(metadata)}}`;

/** The JSON of a Table. `columns` is left out of all but the first event of a watch. */
export function tableJson(
  rows: readonly string[],
  columns: string | undefined,
  metadata: Readonly<Record<string, unknown>>,
): string {
  const definitions = columns === undefined ? "null" : columns;
  return (
    `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":${JSON.stringify(metadata)},` +
    `"columnDefinitions":${definitions},"rows":[${rows.join(",")}]}`
  );
}
