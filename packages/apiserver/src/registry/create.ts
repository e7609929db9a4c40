import {
  apiVersionOf,
  badRequest,
  invalid,
  isAlreadyExists,
  type Encoded,
  type FieldError,
  type KubeObject,
} from "@skerry/machinery";
import { admit } from "../admission/admission.ts";
import type { RequestContext } from "../request.ts";
import { put, tellUnsupported, type Core } from "./core.ts";
import { trackFields } from "./field-managers.ts";
import { copyJson } from "./json.ts";
import type { KindRow } from "./kind-row.ts";
import { generatedName, settleNamespace, startMetadata, tidyMetadata, validateMetadata } from "./metadata.ts";
import { wholeView } from "./views.ts";

/** How often another name is tried when a generated one is taken. */
const NAME_ATTEMPTS = 8;

export interface NewObject {
  /** Held against its schema; the registry's to change. */
  draft: KubeObject;
  namespace: string;
  /** Whether metadata.managedFields stand already, from an apply. */
  applied?: boolean;
}

/** Creates an object: defaults, admission, what only the server sets, validation, write. Source: Kubernetes API conventions, "Verbs"; KEP-555. */
export async function createObject(
  core: Core,
  context: RequestContext,
  row: KindRow,
  { draft, namespace, applied }: NewObject,
): Promise<Encoded> {
  context.authorizeCreate?.();
  if (draft.metadata.resourceVersion) {
    throw badRequest("resourceVersion should not be set on objects to be created");
  }
  settleNamespace(row.kind, draft.metadata, namespace);
  draft.apiVersion = apiVersionOf(row.kind);
  draft.kind = row.kind.kind;
  startMetadata(draft.metadata, row, { uid: core.newUid(), nowMs: core.clock.now() });
  if (row.hasStatus && !row.keepsStatusOnCreate) delete (draft as { status?: unknown }).status;
  row.defaults?.(draft);
  if (!applied) trackFields(core, context, row, { draft, old: undefined, view: wholeView(row) });

  const admitted = admit(core.admission, {
    context,
    row,
    operation: "CREATE",
    subresource: "",
    key: { namespace: draft.metadata.namespace ?? "", name: draft.metadata.name ?? "" },
    object: draft,
    old: undefined,
  });
  if (admitted) await admitted;
  row.prepareForCreate?.(draft);
  tidyMetadata(draft.metadata);

  const { name, generateName } = draft.metadata;
  const generates = (name === undefined || name === "") && generateName !== undefined && generateName !== "";
  for (let attempt = 1; ; attempt++) {
    const last = !generates || attempt === NAME_ATTEMPTS || context.dryRun;
    // What storage refuses is tried again, so it must stay a draft.
    const object = last ? draft : copyJson(draft);
    if (generates) {
      object.metadata.name = generatedName(generateName, core.random);
      // Some defaults are made of the name.
      row.defaults?.(object);
    }
    const errors: FieldError[] = [];
    validateMetadata(object.metadata, row, errors);
    row.validate?.(object, errors);
    if (errors.length > 0) throw invalid(row.kind, object.metadata.name ?? "", errors);
    const gaps = row.unsupported?.(object) ?? [];
    if (attempt === 1) for (const text of gaps) context.warn(text);
    try {
      const created = await put(core, row, object, undefined, context.dryRun);
      tellUnsupported(core, context, row, created, gaps);
      return created;
    } catch (error) {
      if (last || !isAlreadyExists(error)) throw error;
    }
  }
}
