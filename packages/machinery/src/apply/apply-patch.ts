import { isJsonObject, jsonEqual } from "../json.ts";
import type { ManagedFieldsEntry } from "../object.ts";
import { quote } from "../quote.ts";
import { badRequest } from "../status.ts";
import type { Comparison } from "./compare.ts";
import { conflictError, type Conflict } from "./conflicts.ts";
import { difference, intersection, recursiveDifference, union, type FieldSet } from "./field-set.ts";
import { fieldsOf } from "./fields-of.ts";
import { hasLastApplied, lastAppliedFields, syncLastApplied } from "./last-applied.ts";
import { identityOf, readManagers, writeManagers, type Manager, type Managers } from "./managed-fields.ts";
import { merge } from "./merge.ts";
import { compareObjects, disown, managedFieldsOf, ownable, withManagedFields, withoutManagedFields } from "./owners.ts";
import { reconcileFields } from "./reconcile.ts";
import { removeFields, withNamedFields } from "./remove.ts";
import { asObject, ShapeError, type JsonObject, type Place, type Shapes } from "./shape.ts";
import { validateConfig } from "./validate-config.ts";

/** A server-side apply request. */
export interface Apply {
  /** The stored object; undefined when the apply creates it. */
  readonly live: JsonObject | undefined;
  /** The applied configuration: what this manager wants, and nothing else. */
  readonly config: JsonObject;
  readonly manager: string;
  /** Take fields that others own. */
  readonly force: boolean;
  /** RFC 3339, whole seconds. */
  readonly time: string;
  /** `apps/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  /** `status`, `scale`, …; "" for the object itself. */
  readonly subresource: string;
  /** The definition of the kind. */
  readonly ref: string;
  readonly shapes: Shapes;
  /** Fields that this endpoint does not write, and that nobody can come to own through it: `{"f:status": {}}`. */
  readonly resetFields?: FieldSet;
}

/** The manager in whose name kubectl applies; it takes over what client-side apply left. */
const KUBECTL = "kubectl";
const BEFORE_FIRST_APPLY = "before-first-apply";

/**
 * Server-side apply: merges a configuration into the live object, removes what this manager applied last time and
 * doesn't any more (unless others own it too), and works out the new managedFields.
 *
 * Returns the object to default, validate and store; it may hold nulls that the configuration has. Throws a Conflict with
 * a cause for each field that another manager owns, unless forced; a BadRequest when the configuration doesn't fit.
 *
 * Source: KEP-555; structured-merge-diff.
 */
export function applyPatch(apply: Apply): JsonObject {
  const { config, shapes, apiVersion, kind, ref, manager } = apply;
  if (config["apiVersion"] !== apiVersion || config["kind"] !== kind) {
    throw badRequest(
      `Incorrect version specified in apply patch. Specified: ${JSON.stringify(config["apiVersion"])}, ` +
        `${JSON.stringify(config["kind"])}, expected: ${quote(apiVersion)}, ${quote(kind)}`,
    );
  }
  const metadata = config["metadata"];
  if (isJsonObject(metadata) && (metadata["managedFields"] ?? null) !== null) {
    throw badRequest("metadata.managedFields must be nil");
  }
  const place: Place = { type: { type: "object", ref } };
  const problems = validateConfig(shapes, place, config);
  if (problems.length > 0)
    throw unfit(apply, problems.length === 1 ? (problems[0] ?? "") : `errors:\n  ${problems.join("\n  ")}`);

  try {
    const result = run(apply, place, apply.force);
    return manager === KUBECTL ? syncLastApplied(result, config) : result;
  } catch (error) {
    if (error instanceof ShapeError) throw unfit(apply, error.message);
    throw error;
  }
}

const unfit = ({ config, apiVersion, kind }: Apply, problem: string): Error => {
  const { namespace, name } = asObject(config["metadata"] ?? null);
  const where = `${typeof namespace === "string" ? namespace : ""}/${typeof name === "string" ? name : ""}`;
  return badRequest(`failed to create typed patch object (${where}; ${apiVersion}, Kind=${kind}): ${problem}`);
};

function run(apply: Apply, place: Place, force: boolean): JsonObject {
  const { config, shapes, manager, apiVersion, subresource, resetFields } = apply;
  const stored = (apply.live && managedFieldsOf(apply.live)) ?? [];
  const live = withoutManagedFields(apply.live ?? {});
  const managers = startingManagers(apply, place, stored, live);

  const identity = { manager, operation: "Apply", apiVersion, subresource } as const;
  const id = identityOf(identity);
  const last = managers.get(id);
  const fields = recursiveDifference(fieldsOf(shapes, place, config), resetFields);
  const self: Manager = { ...identity, time: last?.time, fields };
  managers.set(id, self);

  const merged = asObject(merge(shapes, place, live, config));
  const next = prune(shapes, place, merged, managers, last?.fields, fields);
  const changed = compareObjects(shapes, place, live, next, resetFields);
  const conflicts = force ? [] : conflictsWith(managers, changed, id);
  if (conflicts.length > 0) {
    const rest = mayTakeOver(apply, place, live, conflicts);
    if (rest.length > 0) throw conflictError(rest);
  }
  disown(managers, changed, id);

  const hasEffect = apply.live === undefined || !jsonEqual(live, next);
  const mine = ownable(fields, undefined);
  if (mine === undefined) managers.delete(id);
  else managers.set(id, { ...self, fields: mine, time: hasEffect ? apply.time : last?.time });
  return withManagedFields(hasEffect ? next : live, writeManagers(managers));
}

/** The owners before this apply. Who set the fields of an object that was never tracked is not known. */
function startingManagers(
  { live: exists, shapes, apiVersion, time, resetFields, subresource }: Apply,
  place: Place,
  stored: readonly ManagedFieldsEntry[],
  live: JsonObject,
): Managers {
  const managers = readManagers(stored, true) ?? new Map();
  for (const [id, manager] of managers) {
    const fields = reconcileFields(shapes, place, manager.fields);
    if (fields !== manager.fields) managers.set(id, { ...manager, fields, entry: undefined });
  }
  if (managers.size > 0 || exists === undefined) return managers;
  const { set } = compareObjects(shapes, place, {}, live, resetFields);
  const fields = ownable(set, resetFields);
  if (fields === undefined) return managers;
  const before: Manager = { manager: BEFORE_FIRST_APPLY, operation: "Update", apiVersion, subresource, time, fields };
  return managers.set(identityOf(before), before);
}

/** Removes what the manager applied last time, doesn't apply now, and nobody else owns. */
function prune(
  shapes: Shapes,
  place: Place,
  merged: JsonObject,
  managers: Managers,
  last: FieldSet,
  now: FieldSet,
): JsonObject {
  if (difference(last, now) === undefined) return merged;
  const named = (set: FieldSet): FieldSet => withNamedFields(shapes, place, set);
  const fieldsLeft = (object: JsonObject): FieldSet => named(fieldsOf(shapes, place, object));
  const without = (set: FieldSet): JsonObject =>
    set === undefined ? merged : asObject(removeFields(shapes, place, merged, set) ?? {});

  const before = fieldsLeft(merged);
  const dropped = named(last);
  let pruned = without(dropped);
  // Back comes what anybody owns, this manager's new configuration included …
  let owned: FieldSet;
  for (const { fields } of managers.values()) owned = union(owned, fields);
  pruned = without(difference(before, union(fieldsLeft(pruned), named(owned))));
  // … and what this manager never owned: it only hung below something that it did.
  return without(intersection(difference(before, fieldsLeft(pruned)), dropped));
}

function conflictsWith(managers: Managers, changed: Comparison, self: string): Conflict[] {
  const conflicts: Conflict[] = [];
  for (const [id, owner] of managers) {
    const fields = id === self ? undefined : intersection(owner.fields, changed.set);
    if (fields !== undefined) conflicts.push({ owner, fields });
  }
  return conflicts;
}

/**
 * The conflicts that remain when kubectl takes over from client-side apply: what the last configuration applied that way
 * says, and the live object still says too, is the same user's.
 */
function mayTakeOver(
  apply: Apply,
  place: Place,
  live: JsonObject,
  conflicts: readonly Conflict[],
): readonly Conflict[] {
  if (apply.manager !== KUBECTL || !hasLastApplied(live)) return conflicts;
  const allowed = lastAppliedFields(apply.shapes, place, live, apply.apiVersion);
  return conflicts
    .map(({ owner, fields }) => ({ owner, fields: difference(fields, allowed) }))
    .filter(({ fields }) => fields !== undefined);
}
