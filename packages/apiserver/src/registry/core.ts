import type { Clock } from "@skerry/base";
import {
  alreadyExists,
  conflict,
  RevisionMismatchError,
  StorageUnavailableError,
  serviceUnavailable,
  resourceOf,
  type CreatedFields,
  type Encoded,
  type Kind,
  type KubeObject,
  type ObjectKey,
  type Shapes,
} from "@skerry/machinery";
import type { AdmissionPlugin } from "../admission/admission.ts";
import type { RequestContext } from "../request.ts";
import type { Storage } from "../storage.ts";
import { Detached, encoderOf, withRevision } from "./encoding.ts";
import type { KindRow } from "./kind-row.ts";
import type { KeyedLock } from "./keyed-lock.ts";

/** An object was written that asks for something which is accepted and has no effect yet. */
export interface UnsupportedNotice {
  kind: Kind;
  object: KubeObject;
  /** A line for each field, only those that the write brought: `spec.affinity: …`. */
  texts: readonly string[];
}

/** What the verbs share. */
export interface Core {
  readonly storage: Storage;
  readonly admission: readonly AdmissionPlugin[];
  readonly locks: KeyedLock;
  readonly clock: Clock;
  /** In [0, 1): for generated names. */
  readonly random: () => number;
  readonly newUid: () => string;
  /** How server-side apply sees objects. */
  readonly shapes: Shapes;
  readonly createdFields: CreatedFields;
  /** Hears of what was written and has no effect yet. */
  readonly onUnsupported: ((notice: UnsupportedNotice) => void) | undefined;
  /** Objects that left a selection, by what they became: encoded once for all who watch. */
  readonly departed: WeakMap<Encoded, Encoded>;
}

export const resourceName = (row: KindRow): string => resourceOf(row.kind);

/** Runs a task while nobody else changes the object. */
export const locked = <T>(core: Core, row: KindRow, key: ObjectKey, task: () => Promise<T>): Promise<T> =>
  core.locks.run(`${resourceOf(row.kind)}/${key.namespace}/${key.name}`, task);

/** The object as it is committed. */
export const stored = (core: Core, row: KindRow, key: ObjectKey): Encoded | undefined =>
  core.storage.get(resourceOf(row.kind), key);

/**
 * Writes an object over `current`, or creates it. A dry run answers with what would be written. Rejects with AlreadyExists or
 * Conflict when storage holds something else than `current`.
 */
export async function put(
  core: Core,
  row: KindRow,
  object: KubeObject,
  current: Encoded | undefined,
  dryRun: boolean,
): Promise<Encoded> {
  const key = { namespace: object.metadata.namespace ?? "", name: object.metadata.name ?? "" };
  if (dryRun) {
    if (current) object.metadata.resourceVersion = current.revision;
    return new Detached(object);
  }
  try {
    return await core.storage.write({
      resource: resourceOf(row.kind),
      key,
      expect: current ? Number(current.revision) : 0,
      encode: encoderOf(object),
      object,
    });
  } catch (error) {
    throw asStatus(error, row, key.name, current === undefined);
  }
}

/** Passes on what a committed write asked for in vain. An object that a controller made says nothing: its owner's author was told. */
export function tellUnsupported(
  core: Core,
  { dryRun }: RequestContext,
  { kind }: KindRow,
  written: Encoded,
  texts: readonly string[],
): void {
  if (dryRun || texts.length === 0 || !core.onUnsupported) return;
  const object = written.decode();
  if (object.metadata.ownerReferences?.some(({ controller }) => controller)) return;
  core.onUnsupported({ kind, object, texts });
}

/** Removes an object; `last` is its last state when it differs from what is stored. */
export async function remove(
  core: Core,
  row: KindRow,
  current: Encoded,
  last: KubeObject | undefined,
  dryRun: boolean,
): Promise<Encoded> {
  if (dryRun) return last ? new Detached(last) : current;
  try {
    return await core.storage.write({
      resource: resourceOf(row.kind),
      key: current.key,
      expect: Number(current.revision),
      encode: last ? encoderOf(last) : (revision) => withRevision(current, revision),
      delete: true,
    });
  } catch (error) {
    throw asStatus(error, row, current.key.name, false);
  }
}

function asStatus(error: unknown, row: KindRow, name: string, creating: boolean): unknown {
  if (error instanceof RevisionMismatchError)
    return creating ? alreadyExists(row.kind, name) : conflict(row.kind, name);
  if (error instanceof StorageUnavailableError) {
    const unavailable = serviceUnavailable(error.message, 1);
    unavailable.cause = error;
    return unavailable;
  }
  return error;
}
