import {
  apiVersionOf,
  badRequest,
  checkFields,
  definition,
  fieldError,
  invalid,
  quote,
  type Json,
  type Kind,
  type KubeObject,
  type StatusError,
} from "@skerry/machinery";
import type { DecodedBody, PatchRequest } from "../api.ts";
import type { RequestContext } from "../request.ts";
import { copyJson } from "./json.ts";

/**
 * Holds a body against the schema of its kind and returns it as a draft: unknown fields are dropped, and told or refused as `fieldValidation`
 * says. Source: KEP-2885 "Server Side Unknown Field Validation".
 */
export function acceptBody(context: RequestContext, kind: Kind, { object, problems }: DecodedBody): KubeObject {
  checkKind(kind, object, badRequest);
  const handled = `${kind.kind} in version ${quote(kind.version)} cannot be handled as a ${kind.kind}: `;
  return checked(context, kind, object, problems, (message) => badRequest(handled + message));
}

/** The same for what a patch made of an object. An error shows the patch, never what was there before. */
export function acceptPatched(
  context: RequestContext,
  kind: Kind,
  object: KubeObject,
  { body, problems }: Pick<PatchRequest, "body" | "problems">,
): KubeObject {
  const refuse = (message: string): StatusError =>
    invalid({ group: "", kind: "" }, "", [fieldError.invalid("patch", JSON.stringify(body), message)]);
  checkKind(kind, object, refuse);
  return checked(context, kind, object, problems, refuse);
}

function checked(
  context: RequestContext,
  kind: Kind,
  object: KubeObject,
  problems: readonly string[],
  refuse: (message: string) => StatusError,
): KubeObject {
  const fields = checkFields(object as unknown as { [key: string]: Json }, kind.schema, definition);
  if (fields.typeError !== undefined) throw refuse(fields.typeError);
  if (fields.unknown.length > 0 || problems.length > 0) {
    const found = [...new Set([...fields.unknown.map((path) => `unknown field ${quote(path)}`), ...problems])];
    if (context.fieldValidation === "Strict") throw refuse(`strict decoding error: ${found.join(", ")}`);
    if (context.fieldValidation === "Warn") for (const problem of found) context.warn(problem);
  }
  const draft = copyJson(fields.object) as unknown as KubeObject;
  draft.metadata ??= {};
  return draft;
}

function checkKind(kind: Kind, object: KubeObject, refuse: (message: string) => StatusError): void {
  const wanted = apiVersionOf(kind);
  if (object.apiVersion !== undefined && object.apiVersion !== "" && object.apiVersion !== wanted) {
    throw refuse(
      `the API version in the data (${object.apiVersion}) does not match the expected API version (${wanted})`,
    );
  }
  if (object.kind !== undefined && object.kind !== "" && object.kind !== kind.kind) {
    throw refuse(`the kind in the data (${object.kind}) does not match the expected kind (${kind.kind})`);
  }
}
