import type { FieldsV1, ManagedFieldsEntry } from "../object.ts";
import { LEAF, parseFields, sortedFields, union, type FieldSet } from "./field-set.ts";

/**
 * Who set which fields of an object, decoded from metadata.managedFields. One entry for each manager, operation and
 * subresource — and, for updates, API version.
 */
export interface Manager {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string | undefined;
  readonly fields: FieldSet;
  /** The entry that this was read from, if nothing has changed since. */
  readonly entry?: ManagedFieldsEntry | undefined;
}

/** Managers by their identity. */
export type Managers = Map<string, Manager>;

/** As many Update entries are kept apart; older ones become one. */
const MAX_UPDATERS = 10;
const ANCIENT = "ancient-changes";

type Identity = Pick<Manager, "manager" | "operation" | "apiVersion" | "subresource">;

/** An applier keeps its identity when it changes to another API version. */
export const identityOf = ({ manager, operation, apiVersion, subresource }: Identity): string =>
  JSON.stringify([operation, manager, subresource, operation === "Apply" ? "" : apiVersion]);

/**
 * Reads managedFields. `trusted` ones were written by us, and their sets are taken as they are; those of a client are
 * brought into our form first. Returns undefined when they are malformed.
 */
export function readManagers(entries: readonly ManagedFieldsEntry[], trusted: boolean): Managers | undefined {
  const managers: Managers = new Map();
  for (const entry of entries) {
    const { manager = "", operation, apiVersion = "", subresource = "", time, fieldsType, fieldsV1 } = entry;
    if ((operation !== "Apply" && operation !== "Update") || apiVersion === "" || fieldsType !== "FieldsV1") {
      return undefined;
    }
    const fields = trusted ? ownFields(fieldsV1) : foreignFields(fieldsV1);
    if (fields === null) return undefined;
    const read: Manager = {
      manager,
      operation,
      apiVersion,
      subresource,
      time,
      fields,
      entry: trusted ? entry : undefined,
    };
    managers.set(identityOf(read), read);
  }
  return managers;
}

function ownFields(fields: FieldsV1 | undefined): FieldSet {
  for (const _ in fields) return fields;
  return undefined;
}

/** Null when they are malformed. */
function foreignFields(fields: FieldsV1 | undefined): FieldSet | null {
  try {
    return parseFields(fields ?? LEAF);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Writes managedFields in upstream's order: appliers first, then by time and name. Managers without fields are gone. */
export function writeManagers(managers: Managers): ManagedFieldsEntry[] | undefined {
  const entries = [...managers.values()].filter(({ fields }) => fields !== undefined).toSorted(byOperationTimeAndName);
  return entries.length === 0 ? undefined : entries.map((manager) => manager.entry ?? writeManager(manager));
}

const writeManager = (manager: Manager): ManagedFieldsEntry =>
  entryOf(manager, manager.fields === undefined ? LEAF : sortedFields(manager.fields));

/** The entry of a manager that owns `fieldsV1`, which are sorted. */
export const entryOf = (
  { manager, operation, apiVersion, subresource, time }: Omit<Manager, "fields">,
  fieldsV1: FieldsV1,
): ManagedFieldsEntry => ({
  manager,
  operation,
  apiVersion,
  ...(time !== undefined && { time }),
  fieldsType: "FieldsV1",
  fieldsV1,
  ...(subresource !== "" && { subresource }),
});

const seconds = (time: string | undefined): number => (time === undefined ? 0 : Date.parse(time));
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const byOperationTimeAndName = (a: Manager, b: Manager): number =>
  compareText(a.operation, b.operation) ||
  seconds(a.time) - seconds(b.time) ||
  compareText(a.manager, b.manager) ||
  compareText(a.apiVersion, b.apiVersion) ||
  compareText(a.subresource, b.subresource);

/** Joins the oldest updaters of an API version when there are too many. */
export function capUpdaters(managers: Managers): void {
  const updaters = [...managers.entries()]
    .filter(([, { operation }]) => operation === "Update")
    .toSorted(([aId, a], [bId, b]) => seconds(a.time) - seconds(b.time) || compareText(aId, bId));
  let excess = updaters.length - MAX_UPDATERS;
  const firsts = new Map<string, string>();
  for (const [id, updater] of updaters) {
    if (excess <= 0) return;
    const { apiVersion } = updater;
    const first = firsts.get(apiVersion);
    if (first === undefined) {
      firsts.set(apiVersion, id);
      continue;
    }
    const bucket: Identity = { manager: ANCIENT, operation: "Update", apiVersion, subresource: "" };
    const bucketId = identityOf(bucket);
    if (id === bucketId) continue;
    let joined = managers.get(bucketId);
    if (joined === undefined) {
      joined = managers.get(first);
      managers.delete(first);
    }
    managers.set(bucketId, { ...bucket, time: updater.time, fields: union(updater.fields, joined?.fields) });
    managers.delete(id);
    excess--;
  }
}
