import { timestamp } from "@skerry/base";
import type { DeleteOptions } from "@skerry/client";
import { conflict, notFound, type Encoded, type KubeObject, type ObjectKey, type ObjectMeta } from "@skerry/machinery";
import { admit } from "../admission/admission.ts";
import type { DeleteResult } from "../api.ts";
import type { RequestContext } from "../request.ts";
import { locked, put, remove, stored, type Core } from "./core.ts";
import { copyJson, equalJson } from "./json.ts";
import type { KindRow } from "./kind-row.ts";
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from "./metadata.ts";
import { isReleased } from "./update.ts";

/**
 * Deletes an object, or marks it as deleted when finalizers or its grace period hold it.
 * Source: Kubernetes API conventions, "Verbs"; "Garbage Collection", "Finalizers"; apiserver `registry/rest/delete.go`.
 */
export const deleteObject = (
  core: Core,
  context: RequestContext,
  row: KindRow,
  key: ObjectKey,
  options: DeleteOptions,
): Promise<DeleteResult> => locked(core, row, key, () => deleteLocked(core, context, row, key, options));

async function deleteLocked(
  core: Core,
  context: RequestContext,
  row: KindRow,
  key: ObjectKey,
  options: DeleteOptions,
): Promise<DeleteResult> {
  const current = stored(core, row, key);
  if (!current) throw notFound(row.kind, key.name);
  const old = current.decode();
  checkPreconditions(row, current, old, options);
  const admitted = admit(core.admission, {
    context,
    row,
    operation: "DELETE",
    subresource: "",
    key,
    object: old,
    old,
  });
  if (admitted) await admitted;

  const draft = deletedDraft(core, row, old, options);
  if (isReleased(row, draft)) {
    // Nothing but the marks of deletion would be added to its last state: it is kept as it was.
    return { outcome: "gone", object: await remove(core, row, current, undefined, context.dryRun) };
  }
  if (equalJson(draft, old)) return { outcome: "pending", object: current };
  return { outcome: "pending", object: await put(core, row, draft, current, context.dryRun) };
}

function checkPreconditions(row: KindRow, current: Encoded, old: KubeObject, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid !== undefined && uid !== old.metadata.uid) {
    throw conflict(
      row.kind,
      current.key.name,
      `the UID in the precondition (${uid}) does not match the UID in record (${old.metadata.uid}). ` +
        "The object might have been deleted and then recreated",
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== current.revision) {
    throw conflict(
      row.kind,
      current.key.name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record ` +
        `(${current.revision}). The object might have been modified`,
    );
  }
}

/** The object with its deletion begun, or shortened. */
function deletedDraft(core: Core, row: KindRow, old: KubeObject, options: DeleteOptions): KubeObject {
  const draft = copyJson(old);
  const { metadata } = draft;
  const nowMs = core.clock.now();
  if (row.collected !== false) setPropagation(metadata, options);

  const asked = options.gracePeriodSeconds === undefined ? undefined : atLeastOne(options.gracePeriodSeconds);
  const pending = metadata.deletionGracePeriodSeconds ?? 0;
  if (metadata.deletionTimestamp === undefined) {
    const seconds = row.gracePeriod ? atLeastOne(row.gracePeriod(old, asked)) : 0;
    metadata.deletionTimestamp = timestamp(nowMs + seconds * 1000);
    metadata.deletionGracePeriodSeconds = seconds;
    if (metadata.generation !== undefined) metadata.generation += 1;
    row.markDeleted?.(draft);
  } else if (asked !== undefined && asked < pending) {
    // A grace period that runs can only be shortened.
    const startedMs = Date.parse(metadata.deletionTimestamp) - pending * 1000;
    metadata.deletionTimestamp = timestamp(startedMs + asked * 1000);
    metadata.deletionGracePeriodSeconds = asked;
  }
  return draft;
}

/** A negative grace period is the smallest there is. */
const atLeastOne = (seconds: number): number => (seconds < 0 ? 1 : seconds);

/** What becomes of the dependents is told to the garbage collector by a finalizer. */
function setPropagation(metadata: ObjectMeta, { propagationPolicy }: DeleteOptions): void {
  if (propagationPolicy === undefined) return;
  const others = (metadata.finalizers ?? []).filter(
    (finalizer) => finalizer !== ORPHAN_FINALIZER && finalizer !== FOREGROUND_FINALIZER,
  );
  if (propagationPolicy === "Orphan") others.push(ORPHAN_FINALIZER);
  if (propagationPolicy === "Foreground") others.push(FOREGROUND_FINALIZER);
  if (others.length > 0) metadata.finalizers = others;
  else delete metadata.finalizers;
}
