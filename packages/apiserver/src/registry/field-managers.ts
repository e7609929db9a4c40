import { timestamp } from "@skerry/base";
import { apiVersionOf, applyPatch, trackUpdate, type Json, type KubeObject } from "@skerry/machinery";
import type { RequestContext } from "../request.ts";
import type { Core } from "./core.ts";
import type { KindRow, ViewRow } from "./kind-row.ts";

type JsonObject = { [key: string]: Json };

const asJson = (object: KubeObject): JsonObject => object as unknown as JsonObject;

/** Notes in a draft who owns which of its fields after a create, update or patch (KEP-555). */
export function trackFields(
  core: Core,
  context: RequestContext,
  row: KindRow,
  { draft, old, view }: { draft: KubeObject; old: KubeObject | undefined; view: ViewRow },
): void {
  const managed = trackUpdate({
    ...placeOf(core, context, row, view),
    created: core.createdFields,
    old: old && asJson(old),
    now: asJson(draft),
  });
  if (managed) draft.metadata.managedFields = [...managed];
  else delete draft.metadata.managedFields;
}

/** What a server-side apply makes of an object, managed fields included; it is still to be held against its schema. */
export function applyFields(
  core: Core,
  context: RequestContext,
  row: KindRow,
  request: { view: ViewRow; live: KubeObject | undefined; configuration: KubeObject; force: boolean },
): KubeObject {
  const { view, live, configuration, force } = request;
  const result = applyPatch({
    ...placeOf(core, context, row, view),
    live: live && asJson(live),
    config: asJson(configuration),
    kind: row.kind.kind,
    force,
  });
  return result as unknown as KubeObject;
}

function placeOf(core: Core, { fieldManager }: RequestContext, { kind }: KindRow, { name, resets }: ViewRow) {
  return {
    manager: fieldManager,
    time: timestamp(core.clock.now()),
    apiVersion: apiVersionOf(kind),
    subresource: name,
    ref: kind.schema,
    shapes: core.shapes,
    ...(resets !== undefined && { resetFields: resets }),
  };
}
