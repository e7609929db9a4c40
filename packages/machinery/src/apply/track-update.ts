import { jsonEqual } from "../json.ts";
import type { Json, ManagedFieldsEntry } from "../object.ts";
import type { CreatedFields } from "./created-fields.ts";
import { sortedFields, union, type FieldSet } from "./field-set.ts";
import {
  capUpdaters,
  entryOf,
  identityOf,
  readManagers,
  writeManagers,
  type Manager,
  type Managers,
} from "./managed-fields.ts";
import { compareObjects, disown, managedFieldsOf, ownable, withoutManagedFields } from "./owners.ts";
import { ShapeError, type JsonObject, type Shapes } from "./shape.ts";

/** A write other than apply, whose result is at hand. */
export interface Update {
  /** The stored object; undefined on create. */
  readonly old: JsonObject | undefined;
  /** The object to be stored, its managedFields as the client sent them. */
  readonly now: JsonObject;
  /** The fieldManager of the request, or its user agent up to the first `/`. */
  readonly manager: string;
  /** RFC 3339, whole seconds. */
  readonly time: string;
  /** `apps/v1`. */
  readonly apiVersion: string;
  /** `status`, `scale`, …; "" for the object itself. */
  readonly subresource: string;
  /** The definition of the kind. */
  readonly ref: string;
  readonly shapes: Shapes;
  /** Of the same shapes. */
  readonly created: CreatedFields;
  /** Fields that this endpoint does not write, and that nobody can come to own through it: `{"f:status": {}}`. */
  readonly resetFields?: FieldSet;
}

/**
 * Works out who owns which fields after a create, update or patch: the manager owns what it changed, others lose it.
 * Returns the managedFields to store; undefined stands for none. The very list of the old object is returned when
 * nothing changed hands, with its times, so that a write without an effect stays one.
 *
 * Source: KEP-555; apimachinery's `managedfields`.
 */
export function trackUpdate(update: Update): readonly ManagedFieldsEntry[] | undefined {
  const { old, now, ref, shapes } = update;
  const stored = old && managedFieldsOf(old);
  const { entries, managers } = startingPoint(update, stored);
  // An object that was never tracked isn't from some later moment on: its owners could not be told.
  if (old !== undefined && managers.size === 0) return undefined;

  try {
    const reset = update.resetFields;
    if (old === undefined && managers.size === 0) {
      const fields = update.created.of(ref, reset, withoutManagedFields(now), () => createdFields(update));
      return fields && [entryOf(writerOf(update), fields)];
    }
    const changed = compareObjects(shapes, { type: { type: "object", ref } }, old ?? {}, now, reset);
    const mine = ownable(changed.set, reset);
    if (changed.set === undefined && changed.removed === undefined && entries !== undefined) return entries;
    const before = [...managers.values()];
    disown(managers, changed, undefined);
    if (mine !== undefined) {
      const self: Manager = { ...writerOf(update), fields: mine };
      const id = identityOf(self);
      managers.set(id, { ...self, fields: union(mine, managers.get(id)?.fields) });
      capUpdaters(managers);
    } else if (entries !== undefined && isSame(before, managers)) return entries;
    return writeManagers(managers);
  } catch (error) {
    // Owners that cannot be told apart are forgotten rather than refusing a write that is otherwise right.
    if (error instanceof ShapeError) return undefined;
    throw error;
  }
}

/** What its creator comes to own of an object, in the order in which it is written. */
function createdFields({ now, ref, shapes, resetFields }: Update): FieldSet {
  const { set } = compareObjects(shapes, { type: { type: "object", ref } }, {}, now, resetFields);
  const mine = ownable(set, resetFields);
  return mine && sortedFields(mine);
}

/** Who makes the update, as managedFields name it. */
const writerOf = ({ manager, time, apiVersion, subresource }: Update): Omit<Manager, "fields"> => ({
  manager: manager === "" ? "unknown" : manager,
  operation: "Update",
  apiVersion,
  subresource,
  time,
});

/** The owners before the write: those that the client sends, or else the stored ones. */
function startingPoint(
  { now, subresource }: Update,
  stored: readonly ManagedFieldsEntry[] | undefined,
): { entries: readonly ManagedFieldsEntry[] | undefined; managers: Managers } {
  const sent = subresource === "" ? managedFieldsOf(now) : undefined;
  if (sent !== undefined && sent !== stored) {
    if (isReset(sent)) return { entries: undefined, managers: new Map() };
    const same = stored !== undefined && jsonEqual(sent as unknown as Json, stored as unknown as Json);
    const managers = same ? undefined : readManagers(sent, false);
    if (managers !== undefined && managers.size > 0) return { entries: undefined, managers };
  }
  return { entries: stored, managers: readManagers(stored ?? [], true) ?? new Map() };
}

/** `managedFields: []` or `[{}]`: the client wants them cleared. */
function isReset(entries: readonly ManagedFieldsEntry[]): boolean {
  const [first] = entries;
  return first === undefined || (entries.length === 1 && Object.keys(first).length === 0);
}

const isSame = (before: readonly Manager[], after: Managers): boolean =>
  before.length === after.size && before.every((manager) => after.get(identityOf(manager)) === manager);
