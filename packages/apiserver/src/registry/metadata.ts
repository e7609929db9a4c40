import { timestamp } from "@skerry/base";
import {
  badRequest,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkQualifiedName,
  fieldError,
  itemPath,
  quote,
  validateAnnotations,
  validateLabels,
  type FieldError,
  type Kind,
  type ObjectMeta,
  type OwnerReference,
} from "@skerry/machinery";
import type { KindRow } from "./kind-row.ts";

/** What only the server sets, and what may never change. Source: Kubernetes API conventions, "Metadata". */

export const ORPHAN_FINALIZER = "orphan";
export const FOREGROUND_FINALIZER = "foregroundDeletion";
const STANDARD_FINALIZERS = new Set([ORPHAN_FINALIZER, FOREGROUND_FINALIZER, "kubernetes"]);

const NAME_CHARS = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;
const MAX_GENERATED_NAME = 63;

/** `generateName` with five random characters, shortened so that the whole is a DNS label still. */
export function generatedName(prefix: string, random: () => number): string {
  let name = prefix.slice(0, MAX_GENERATED_NAME - SUFFIX_LENGTH);
  for (let i = 0; i < SUFFIX_LENGTH; i++) name += NAME_CHARS[Math.floor(random() * NAME_CHARS.length)] ?? "x";
  return name;
}

/** Puts a draft that is to be created into its namespace; refuses another one than the request's. */
export function settleNamespace(kind: Kind, metadata: ObjectMeta, namespace: string): void {
  if (!kind.namespaced) {
    // Told by `validateMetadata`, as upstream does.
    if (metadata.namespace === "") delete metadata.namespace;
    return;
  }
  metadata.namespace ??= namespace;
  if (metadata.namespace === "") metadata.namespace = namespace;
  if (metadata.namespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
}

export interface NewIdentity {
  uid: string;
  nowMs: number;
}

/** Whatever the client says of these, a new object starts without them. */
export function startMetadata(metadata: ObjectMeta, row: KindRow, identity: NewIdentity): void {
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.resourceVersion;
  metadata.uid = identity.uid;
  metadata.creationTimestamp = timestamp(identity.nowMs);
  if (row.generation) metadata.generation = 1;
  else delete metadata.generation;
}

/** Carries over what an update cannot change; what it must not even try to change is told by `validateMetadataUpdate`. */
export function keepMetadata(draft: ObjectMeta, old: ObjectMeta): void {
  keep(draft, old, "creationTimestamp");
  keep(draft, old, "deletionTimestamp");
  keep(draft, old, "deletionGracePeriodSeconds");
  keep(draft, old, "generation");
  keep(draft, old, "generateName");
  draft.name ??= old.name ?? "";
  if (draft.uid === undefined || draft.uid === "") keep(draft, old, "uid");
  if (draft.namespace === undefined || draft.namespace === "") keep(draft, old, "namespace");
}

export function keep<T extends object, K extends keyof T>(draft: T, old: T, key: K): void {
  if (old[key] === undefined) delete draft[key];
  else draft[key] = old[key];
}

/** Drops what upstream leaves out of an object when it is empty. */
export function tidyMetadata(metadata: ObjectMeta): void {
  if (metadata.finalizers?.length === 0) delete metadata.finalizers;
  if (metadata.ownerReferences?.length === 0) delete metadata.ownerReferences;
  if (metadata.managedFields?.length === 0) delete metadata.managedFields;
  if (metadata.generateName === "") delete metadata.generateName;
  if (metadata.labels && Object.keys(metadata.labels).length === 0) delete metadata.labels;
  if (metadata.annotations && Object.keys(metadata.annotations).length === 0) delete metadata.annotations;
}

export function validateMetadata(metadata: ObjectMeta, row: KindRow, errors: FieldError[]): void {
  const check = row.name ?? subdomainName;
  if (metadata.generateName !== undefined) {
    addInvalid(errors, "metadata.generateName", metadata.generateName, check(metadata.generateName, true));
  }
  if (metadata.name === undefined || metadata.name === "") {
    errors.push(fieldError.required("metadata.name", "name or generateName is required"));
  } else {
    addInvalid(errors, "metadata.name", metadata.name, check(metadata.name, false));
  }

  if (row.kind.namespaced) {
    const namespace = metadata.namespace ?? "";
    if (namespace === "") errors.push(fieldError.required("metadata.namespace"));
    else addInvalid(errors, "metadata.namespace", namespace, checkDns1123Label(namespace));
  } else if (metadata.namespace !== undefined) {
    errors.push(fieldError.forbidden("metadata.namespace", "not allowed on this type"));
  }

  errors.push(...validateLabels(metadata.labels, "metadata.labels"));
  errors.push(...validateAnnotations(metadata.annotations, "metadata.annotations"));
  if (metadata.ownerReferences) validateOwners(metadata.ownerReferences, errors);
  if (metadata.finalizers) validateFinalizers(metadata.finalizers, errors);
}

/** The usual rule for names: a DNS subdomain. */
export const subdomainName = (name: string, prefix: boolean): string[] =>
  checkDns1123Subdomain(prefix ? maskTrailingDash(name) : name);

/** The rule for names that stand in DNS by themselves: a DNS label. */
export const labelName = (name: string, prefix: boolean): string[] =>
  checkDns1123Label(prefix ? maskTrailingDash(name) : name);

/** A prefix may end in the dash that joins it to its suffix. */
const maskTrailingDash = (name: string): string =>
  name.length > 1 && name.endsWith("-") ? `${name.slice(0, -1)}a` : name;

function validateOwners(owners: readonly OwnerReference[], errors: FieldError[]): void {
  const path = "metadata.ownerReferences";
  let controller: string | undefined;
  for (const owner of owners) {
    const version = owner.apiVersion?.slice(owner.apiVersion.indexOf("/") + 1) ?? "";
    if (version === "")
      errors.push(fieldError.invalid(`${path}.apiVersion`, owner.apiVersion ?? "", "version must not be empty"));
    for (const field of ["kind", "name", "uid"] as const) {
      const value = owner[field] ?? "";
      if (value === "") errors.push(fieldError.invalid(`${path}.${field}`, value, "must not be empty"));
    }
    if (owner.apiVersion === "v1" && owner.kind === "Event") {
      errors.push(fieldError.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"));
    }
    if (owner.controller !== true) continue;
    if (controller !== undefined) {
      const detail =
        'Only one reference can have Controller set to true. Found "true" in references for ' +
        `${controller} and ${owner.name}`;
      errors.push(fieldError.invalid(path, owners, detail));
    }
    controller ??= owner.name;
  }
}

function validateFinalizers(finalizers: readonly string[], errors: FieldError[]): void {
  const path = "metadata.finalizers";
  for (const finalizer of finalizers) {
    for (const problem of checkQualifiedName(finalizer)) errors.push(fieldError.invalid(path, finalizer, problem));
    if (!finalizer.includes("/") && !STANDARD_FINALIZERS.has(finalizer)) {
      errors.push(
        fieldError.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified"),
      );
    }
  }
  if (finalizers.includes(ORPHAN_FINALIZER) && finalizers.includes(FOREGROUND_FINALIZER)) {
    const detail = `finalizer ${FOREGROUND_FINALIZER} and ${ORPHAN_FINALIZER} cannot be both set`;
    errors.push(fieldError.invalid(path, finalizers, detail));
  }
}

const IMMUTABLE = [
  "name",
  "namespace",
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
] as const;

export function validateMetadataUpdate(metadata: ObjectMeta, old: ObjectMeta, errors: FieldError[]): void {
  if (old.deletionTimestamp !== undefined) {
    const had = new Set(old.finalizers);
    const added = (metadata.finalizers ?? []).filter((finalizer) => !had.has(finalizer));
    if (added.length > 0) {
      const list = `[]string{${added.map(quote).join(", ")}}`;
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers ${list}`;
      errors.push(fieldError.forbidden("metadata.finalizers", detail));
    }
  }
  for (const field of IMMUTABLE) {
    const value = metadata[field];
    if (value !== old[field]) errors.push(fieldError.invalid(`metadata.${field}`, value ?? "", "field is immutable"));
  }
}

/** The path of an item's field, e.g. of `spec.tolerations` the third's `key`. */
export const at = (path: string, index: number | string, field?: string): string =>
  field === undefined ? itemPath(path, index) : `${itemPath(path, index)}.${field}`;

/** Adds each problem as an invalid value of the field. */
export function addInvalid(errors: FieldError[], path: string, value: unknown, problems: readonly string[]): void {
  for (const problem of problems) errors.push(fieldError.invalid(path, value, problem));
}
