import {
  apiVersionOf,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  badRequest,
  definition,
  notFound,
  type Json,
  type Kind,
  type KubeObject,
  type ObjectKey,
} from "@skerry/machinery";
import type { PatchRequest, WriteResult } from "../api.ts";
import type { RequestContext } from "../request.ts";
import { acceptPatched } from "./accept.ts";
import { locked, stored, type Core } from "./core.ts";
import { createObject } from "./create.ts";
import { applyFields } from "./field-managers.ts";
import type { KindRow, ViewRow } from "./kind-row.ts";
import { changeObject, checkIdentity } from "./update.ts";
import { viewOf, wholeView } from "./views.ts";

/** Changes an object by one of the four kinds of patch. A server-side apply creates what isn't there. */
export const patchObject = (
  core: Core,
  context: RequestContext,
  row: KindRow,
  key: ObjectKey,
  view: ViewRow,
  request: PatchRequest,
): Promise<WriteResult> => locked(core, row, key, () => patchLocked(core, context, row, key, view, request));

async function patchLocked(
  core: Core,
  context: RequestContext,
  row: KindRow,
  key: ObjectKey,
  view: ViewRow,
  request: PatchRequest,
): Promise<WriteResult> {
  const applies = request.type === "application/apply-patch+yaml";
  if (applies && view.name === "" && stored(core, row, key) === undefined) {
    return { object: await createApplied(core, context, row, key, request), created: true };
  }
  const kind = view.kind ?? row.kind;
  const object = await changeObject(core, context, row, {
    key,
    view,
    applied: applies,
    propose: (current) => {
      const old = current.decode();
      const body = applies
        ? applied(core, context, row, view, old, request)
        : acceptPatched(context, kind, patched(kind, view.read?.(old) ?? old, request), request);
      checkIdentity(row, key, body, current);
      return body;
    },
  });
  if (!object) throw notFound(row.kind, key.name);
  return { object: viewOf(view, object), created: false };
}

function patched(kind: Kind, base: KubeObject, { type, body }: PatchRequest): KubeObject {
  const original = asJson(base);
  const patch = body as Json;
  switch (type) {
    case "application/json-patch+json":
      return asObject(applyJsonPatch(original, patch));
    case "application/merge-patch+json":
      return asObject(applyMergePatch(original, patch));
    case "application/strategic-merge-patch+json":
      return asObject(applyStrategicMergePatch(original, asJson(asObject(patch)), kind.schema, definition));
    case "application/apply-patch+yaml":
      throw new TypeError("An apply is no patch of an object's text");
  }
}

const asJson = (object: KubeObject): { [key: string]: Json } => object as unknown as { [key: string]: Json };

function asObject(value: Json): KubeObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as unknown as KubeObject;
  throw badRequest("A patch must be, and must result in, a JSON object");
}

/** The whole object after an apply, whichever view the configuration is written in. */
function applied(
  core: Core,
  context: RequestContext,
  row: KindRow,
  view: ViewRow,
  live: KubeObject | undefined,
  request: PatchRequest,
): KubeObject {
  const configuration = asObject(request.body as Json);
  const result = applyFields(core, context, row, {
    view,
    live,
    configuration: view.kind ? inOwnForm(row, view, view.kind, configuration) : configuration,
    force: request.force === true,
  });
  return acceptPatched(context, row.kind, result, request);
}

/** A configuration of another kind, such as a Scale, as one of the object that it is a view of. */
function inOwnForm(row: KindRow, view: ViewRow, kind: Kind, configuration: KubeObject): KubeObject {
  const wanted = [apiVersionOf(kind), kind.kind];
  if (configuration.apiVersion !== wanted[0] || configuration.kind !== wanted[1]) {
    throw badRequest(
      `Incorrect version specified in apply patch. Specified: ${configuration.apiVersion}, ${configuration.kind}, ` +
        `expected: ${wanted.join(", ")}`,
    );
  }
  const { name, namespace } = configuration.metadata ?? {};
  const metadata = { ...(name !== undefined && { name }), ...(namespace !== undefined && { namespace }) };
  return view.write(configuration, { apiVersion: apiVersionOf(row.kind), kind: row.kind.kind, metadata });
}

async function createApplied(
  core: Core,
  context: RequestContext,
  row: KindRow,
  key: ObjectKey,
  request: PatchRequest,
): ReturnType<typeof createObject> {
  const draft = applied(core, context, row, wholeView(row), undefined, request);
  if (draft.metadata.uid || draft.metadata.resourceVersion) throw notFound(row.kind, key.name);
  checkIdentity(row, key, draft, undefined);
  draft.metadata.name = key.name;
  return createObject(core, context, row, { draft, namespace: key.namespace, applied: true });
}
