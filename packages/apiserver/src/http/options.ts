import type { DeleteOptions, ListOptions, Selection, WatchOptions } from "@skerry/client";
import { badRequest, fieldError, invalid, type FieldError } from "@skerry/machinery";
import type { RequestContext } from "../request.ts";

/** The kind in whose name faulty options are refused: they are objects of meta/v1. */
type OptionsKind = "CreateOptions" | "DeleteOptions" | "ListOptions" | "PatchOptions" | "UpdateOptions";

const NOT_OLDER_THAN = "NotOlderThan";
const EXACT = "Exact";
const PROPAGATION_POLICIES = ["Orphan", "Background", "Foreground"];
const FIELD_VALIDATIONS = ["", "Ignore", "Strict", "Warn"];
const MAX_FIELD_MANAGER_LENGTH = 128;

const refuse = (kind: OptionsKind, errors: readonly FieldError[]): void => {
  if (errors.length > 0) throw invalid({ group: "meta.k8s.io", kind }, "", errors);
};

/** What the query of a write says: a part of `RequestContext`. */
export type WriteQuery = Pick<RequestContext, "dryRun" | "fieldManager" | "fieldValidation">;

/** Reads `dryRun`, `fieldManager` and `fieldValidation` of a write. Source: meta/v1 `CreateOptions`, `UpdateOptions`, `PatchOptions`. */
export function readWriteQuery(query: URLSearchParams, kind: OptionsKind, userAgent: string | undefined): WriteQuery {
  const errors: FieldError[] = [];
  const dryRun = query.getAll("dryRun").filter((value) => value !== "");
  errors.push(...checkDryRun(dryRun));
  const fieldManager = query.get("fieldManager") ?? "";
  if (fieldManager.length > MAX_FIELD_MANAGER_LENGTH)
    errors.push(fieldError.tooLong("fieldManager", MAX_FIELD_MANAGER_LENGTH));
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(fieldManager))
    errors.push(fieldError.invalid("fieldManager", fieldManager, "should only contain printable characters"));
  const validation = query.get("fieldValidation") ?? "";
  if (!FIELD_VALIDATIONS.includes(validation))
    errors.push(fieldError.notSupported("fieldValidation", validation, FIELD_VALIDATIONS));
  refuse(kind, errors);
  return {
    dryRun: dryRun.length > 0,
    fieldManager: fieldManager === "" ? managerOf(userAgent) : fieldManager,
    fieldValidation: validation === "" ? "Warn" : (validation as WriteQuery["fieldValidation"]),
  };
}

/** Whoever names no manager is known by the user agent up to its first "/" (KEP-555). */
function managerOf(userAgent: string | undefined): string {
  const name = (userAgent ?? "").split("/", 1)[0]?.slice(0, MAX_FIELD_MANAGER_LENGTH) ?? "";
  return name === "" ? "unknown" : name;
}

const checkDryRun = (values: readonly string[]): FieldError[] =>
  values.some((value) => value !== "All") ? [fieldError.notSupported("dryRun", values, ["All"])] : [];

/** `force` of an apply; forbidden for other patches, and so is an apply without a manager. */
export function readForce(query: URLSearchParams, isApply: boolean): boolean {
  const force = query.get("force");
  const errors: FieldError[] = [];
  if (!isApply && force !== null)
    errors.push(fieldError.forbidden("force", "may not be specified for non-apply patch"));
  if (isApply && (query.get("fieldManager") ?? "") === "")
    errors.push(fieldError.required("fieldManager", "is required for apply patch"));
  refuse("PatchOptions", errors);
  return isTrue(force);
}

/** Kubernetes reads any value but these as true. */
const isTrue = (value: string | null): boolean => value !== null && value !== "false" && value !== "0";

export const wantsWatch = (query: URLSearchParams): boolean => isTrue(query.get("watch"));

/** Reads and checks the options of a list. Source: apimachinery's `ValidateListOptions`. */
export function readListOptions(query: URLSearchParams, selection: Selection): ListOptions {
  const match = query.get("resourceVersionMatch") ?? "";
  const resourceVersion = query.get("resourceVersion") ?? "";
  const next = query.get("continue") ?? "";
  const limit = readCount(query, "limit");
  const errors: FieldError[] = [];
  if (match !== "") {
    const field = "resourceVersionMatch";
    if (resourceVersion === "")
      errors.push(fieldError.forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
    if (next !== "")
      errors.push(fieldError.forbidden(field, "resourceVersionMatch is forbidden when continue is provided"));
    if (match !== EXACT && match !== NOT_OLDER_THAN)
      errors.push(fieldError.notSupported(field, match, ["", EXACT, NOT_OLDER_THAN]));
    if (match === EXACT && resourceVersion === "0")
      errors.push(fieldError.forbidden(field, `resourceVersionMatch "Exact" is forbidden for resourceVersion "0"`));
  }
  if (query.has("sendInitialEvents"))
    errors.push(fieldError.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  refuse("ListOptions", errors);
  return {
    ...selection,
    ...(limit !== undefined && limit > 0 && { limit }),
    ...(next !== "" && { continue: next }),
    ...(resourceVersion !== "" && { resourceVersion: readRevision(resourceVersion) }),
    ...(match !== "" && { resourceVersionMatch: match as "Exact" | "NotOlderThan" }),
  };
}

export type WatchQuery = WatchOptions & { allowBookmarks: boolean; timeoutSeconds: number | undefined };

/** Reads and checks the options of a watch. Source: apimachinery's `ValidateListOptions`, KEP-3157. */
export function readWatchOptions(query: URLSearchParams, selection: Selection, signal: AbortSignal): WatchQuery {
  const match = query.get("resourceVersionMatch") ?? "";
  const resourceVersion = query.get("resourceVersion") ?? "";
  const sends = query.get("sendInitialEvents");
  const timeoutSeconds = readCount(query, "timeoutSeconds");
  const errors: FieldError[] = [];
  const field = "resourceVersionMatch";
  if (sends !== null && match !== NOT_OLDER_THAN)
    errors.push(fieldError.forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
  if (match !== "") {
    if (sends === null)
      errors.push(
        fieldError.forbidden(field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
      );
    if (match !== NOT_OLDER_THAN) errors.push(fieldError.notSupported(field, match, [NOT_OLDER_THAN]));
    if ((query.get("continue") ?? "") !== "")
      errors.push(fieldError.forbidden(field, "resourceVersionMatch is forbidden when continue is provided"));
  }
  refuse("ListOptions", errors);
  return {
    ...selection,
    ...(resourceVersion !== "" && { resourceVersion: readRevision(resourceVersion) }),
    ...(sends !== null && { sendInitialEvents: isTrue(sends) }),
    allowBookmarks: isTrue(query.get("allowWatchBookmarks")),
    // Zero asks for no time of the client's own.
    timeoutSeconds: timeoutSeconds === undefined || timeoutSeconds <= 0 ? undefined : timeoutSeconds,
    signal,
  };
}

/** Which objects of a collection a request is about. */
export function readSelection(query: URLSearchParams, namespace: string, namespaced: boolean): Selection {
  const labelSelector = query.get("labelSelector") ?? "";
  const fieldSelector = query.get("fieldSelector") ?? "";
  return {
    ...(namespaced && namespace !== "" && { namespace }),
    ...(labelSelector !== "" && { labelSelector }),
    ...(fieldSelector !== "" && { fieldSelector }),
  };
}

/**
 * The options of a delete, from its body (meta/v1 `DeleteOptions`) or, when there is none, from the query.
 * The dry run is the context's, and is said by either.
 */
export function readDeleteOptions(
  body: Readonly<Record<string, unknown>> | undefined,
  query: URLSearchParams,
): DeleteOptions {
  const source = body ?? fromQuery(query);
  const grace = source["gracePeriodSeconds"];
  const policy = source["propagationPolicy"];
  const orphan = source["orphanDependents"];
  const dryRun = Array.isArray(source["dryRun"]) ? (source["dryRun"] as unknown[]).map(String) : [];
  const preconditions = source["preconditions"] as { uid?: string; resourceVersion?: string } | null | undefined;
  const errors: FieldError[] = checkDryRun(dryRun);
  if (grace !== undefined && grace !== null && !Number.isInteger(grace))
    throw badRequest(`Cannot read DeleteOptions: gracePeriodSeconds ${JSON.stringify(grace)} is not a whole number`);
  if (typeof policy === "string" && policy !== "") {
    if (!PROPAGATION_POLICIES.includes(policy))
      errors.push(fieldError.notSupported("propagationPolicy", policy, PROPAGATION_POLICIES));
    if (orphan !== undefined && orphan !== null)
      errors.push(
        fieldError.invalid("propagationPolicy", policy, "orphanDependents and propagationPolicy cannot both be set"),
      );
  }
  refuse("DeleteOptions", errors);
  const propagation = policyOf(policy, orphan);
  return {
    ...(typeof grace === "number" && { gracePeriodSeconds: grace }),
    ...(propagation && { propagationPolicy: propagation }),
    ...(preconditions && { preconditions }),
    ...(dryRun.length > 0 && { dryRun: true }),
  };
}

function policyOf(policy: unknown, orphan: unknown): DeleteOptions["propagationPolicy"] {
  if (typeof policy === "string" && policy !== "") return policy as "Background" | "Foreground" | "Orphan";
  if (orphan === true) return "Orphan";
  return orphan === false ? "Background" : undefined;
}

function fromQuery(query: URLSearchParams): Record<string, unknown> {
  const policy = query.get("propagationPolicy");
  const orphan = query.get("orphanDependents");
  const grace = readCount(query, "gracePeriodSeconds");
  return {
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(policy !== null && { propagationPolicy: policy }),
    ...(orphan !== null && { orphanDependents: isTrue(orphan) }),
    dryRun: query.getAll("dryRun").filter((value) => value !== ""),
  };
}

function readCount(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (!/^-?\d{1,15}$/.test(text))
    throw badRequest(`Cannot read ${name}: ${JSON.stringify(text)} is not a whole number`);
  return Number(text);
}

function readRevision(text: string): string {
  if (!/^\d{1,15}$/.test(text))
    throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", [
      fieldError.invalid("resourceVersion", text, "must be a decimal number that the server gave out"),
    ]);
  return text;
}
