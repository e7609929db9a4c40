import {
  apiVersionOf,
  badRequest,
  conflict,
  fieldError,
  invalid,
  type Encoded,
  type FieldError,
  type KubeObject,
  type ObjectKey,
} from "@skerry/machinery";
import { admit } from "../admission/admission.ts";
import type { RequestContext } from "../request.ts";
import { put, remove, stored, tellUnsupported, type Core } from "./core.ts";
import { trackFields } from "./field-managers.ts";
import { copyJson, equalJson } from "./json.ts";
import type { KindRow, ViewRow } from "./kind-row.ts";
import { keep, keepMetadata, tidyMetadata, validateMetadataUpdate } from "./metadata.ts";

export interface Change {
  key: ObjectKey;
  view: ViewRow;
  /**
   * The wanted body in the view's form, worked out from what is stored, as a draft; throws when the change is about
   * another version.
   */
  propose(current: Encoded): KubeObject;
  /** Whether metadata.managedFields stand already, from an apply. */
  applied?: boolean;
}

/** Changes an object that is there; undefined when it isn't. The caller holds the object's lock. */
export async function changeObject(
  core: Core,
  context: RequestContext,
  row: KindRow,
  change: Change,
): Promise<Encoded | undefined> {
  const current = stored(core, row, change.key);
  if (!current) return undefined;
  const old = current.decode();
  const draft = draftOf(change, current, old);
  const admitted = finishDraft(core, context, row, change, draft, old);
  if (admitted) await admitted;
  prepare(row, change, draft, old);

  if (equalJson(draft, old)) return current;
  const gaps = change.view.name === "" ? (row.unsupported?.(draft) ?? []) : [];
  const before = gaps.length > 0 ? (row.unsupported?.(old) ?? []) : [];
  const news = gaps.filter((text) => !before.includes(text));
  // Whoever changes something of what is wanted hears all of it again; where nothing tells that from other changes, what is new.
  for (const text of draft.metadata.generation === old.metadata.generation ? news : gaps) context.warn(text);
  if (isReleased(row, draft)) return remove(core, row, current, draft, context.dryRun);
  const written = await put(core, row, draft, current, context.dryRun);
  tellUnsupported(core, context, row, written, news);
  return written;
}

function draftOf(change: Change, current: Encoded, old: KubeObject): KubeObject {
  const body = change.propose(current);
  const written = change.view.write(body, old);
  // Other views than the whole share what they leave alone with what is stored, which is frozen.
  const draft = change.view.name === "" ? written : copyJson(written);
  keepMetadata(draft.metadata, old.metadata);
  if (change.applied) keep(draft.metadata, body.metadata, "managedFields");
  return draft;
}

/** Defaults, managed fields and admission. */
function finishDraft(
  core: Core,
  context: RequestContext,
  row: KindRow,
  { key, view, applied }: Change,
  draft: KubeObject,
  old: KubeObject,
): void | Promise<void> {
  draft.apiVersion = apiVersionOf(row.kind);
  draft.kind = row.kind.kind;
  row.defaults?.(draft);
  tidyMetadata(draft.metadata);
  if (!applied) trackFields(core, context, row, { draft, old, view });
  return admit(core.admission, {
    context,
    row,
    operation: "UPDATE",
    subresource: view.name,
    key,
    object: draft,
    old,
  });
}

/** What the server sets, and whether the result is allowed. */
function prepare(row: KindRow, { key, view }: Change, draft: KubeObject, old: KubeObject): void {
  if (view.name === "") row.prepareForUpdate?.(draft, old);
  tidyMetadata(draft.metadata);
  if (row.generation?.(draft, old)) draft.metadata.generation = (old.metadata.generation ?? 0) + 1;
  draft.metadata.resourceVersion = old.metadata.resourceVersion ?? "";
  const errors: FieldError[] = [];
  validateMetadataUpdate(draft.metadata, old.metadata, errors);
  view.validate?.(draft, old, errors);
  if (errors.length > 0) throw invalid(row.kind, key.name, errors);
}

/** Deleted, and nothing holds it any more. */
export const isReleased = (row: KindRow, object: KubeObject): boolean =>
  object.metadata.deletionTimestamp !== undefined &&
  (object.metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
  (object.metadata.finalizers?.length ?? 0) === 0 &&
  row.holdsDeletion?.(object) !== true;

/** Refuses a body that is about another object or another version of it than the request and storage. */
export function checkIdentity(row: KindRow, key: ObjectKey, body: KubeObject, current: Encoded | undefined): void {
  const { name, namespace, resourceVersion, uid } = body.metadata;
  if (name !== undefined && name !== "" && name !== key.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${key.name})`);
  }
  if (row.kind.namespaced && namespace !== undefined && namespace !== "" && namespace !== key.namespace) {
    throw badRequest(
      `the namespace of the object (${namespace}) does not match the namespace on the URL (${key.namespace})`,
    );
  }
  if (!current) return;
  const storedUid = current.decode().metadata.uid;
  if (uid !== undefined && uid !== "" && uid !== storedUid) {
    throw conflict(
      row.kind,
      key.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${storedUid}`,
    );
  }
  if (resourceVersion === undefined || resourceVersion === "" || resourceVersion === "0") {
    if (row.unconditionalUpdate !== false) return;
    throw invalid(row.kind, key.name, [
      fieldError.invalid("metadata.resourceVersion", 0, "must be specified for an update"),
    ]);
  }
  if (resourceVersion !== current.revision) throw conflict(row.kind, key.name);
}
