import type { Client, Informer } from "@skerry/client";
import { apiVersionOf, isNotFound, type Kind, type KubeObject, type OwnerReference } from "@skerry/machinery";

/** The one owner that manages an object, if it has one. */
export const controllerOf = (object: {
  metadata: { ownerReferences?: readonly OwnerReference[] };
}): OwnerReference | undefined => object.metadata.ownerReferences?.find((owner) => owner.controller === true);

/** The entry that makes `owner` the one that manages an object. */
export const ownerReferenceTo = (kind: Kind, { metadata: { name = "", uid = "" } }: KubeObject): OwnerReference => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  name,
  uid,
  controller: true,
  blockOwnerDeletion: true,
});

/** Lets objects be found by the uid of who manages them, and those that nobody does by their namespace. */
export function indexOwned<T extends KubeObject>(informer: Informer<T>): void {
  informer.addIndex("controller", (object) => {
    const owner = controllerOf(object);
    return owner ? [owner.uid] : [];
  });
  informer.addIndex("orphan", (object) => (controllerOf(object) ? [] : [object.metadata.namespace ?? ""]));
}

export interface Claim<T extends KubeObject> {
  client: Client;
  kind: Kind;
  owner: KubeObject;
  /** Indexed by `indexOwned`. */
  among: Informer<T>;
  /** Whether the owner's selector takes it. */
  matches: (object: T) => boolean;
  /** Whether one that matches and that nobody manages is worth having. */
  isWanted: (object: T) => boolean;
  /** Writes the owners of an object that must not have changed; undefined when it is gone. */
  setOwners: (object: T, ownerReferences: readonly OwnerReference[]) => Promise<T | undefined>;
  signal: AbortSignal;
}

/** An owner's objects: its own that still match, and orphans that match, which become its own. Those that match no more are let go. */
export async function claim<T extends KubeObject>(options: Claim<T>): Promise<T[]> {
  const { client, kind, owner, among, matches, isWanted, setOwners, signal } = options;
  const { namespace = "", uid = "", deletionTimestamp } = owner.metadata;
  const claimed: T[] = [];
  for (const entry of among.byIndex("controller", uid)) {
    const object = entry.decode();
    const { ownerReferences = [], deletionTimestamp: isGoing } = object.metadata;
    const others = ownerReferences.filter((one) => one.uid !== uid);
    if (matches(object)) claimed.push(object);
    else if (isGoing === undefined) await setOwners(object, others);
  }
  if (deletionTimestamp !== undefined) return claimed;
  let isThere: boolean | undefined;
  for (const entry of among.byIndex("orphan", namespace)) {
    const object = entry.decode();
    if (!isWanted(object) || !matches(object)) continue;
    isThere ??= await mayAdopt(client, kind, owner, signal);
    if (!isThere) break;
    const owners = [...(object.metadata.ownerReferences ?? []), ownerReferenceTo(kind, owner)];
    const adopted = await setOwners(object, owners);
    if (adopted) claimed.push(adopted);
  }
  return claimed;
}

/**
 * Whether an owner-to-be is still there and not on its way out, as the API itself says: an informer may not have heard of its end yet, and what a
 * dead owner adopts is garbage.
 */
async function mayAdopt(client: Client, kind: Kind, owner: KubeObject, signal: AbortSignal): Promise<boolean> {
  const { name = "", namespace = "", uid } = owner.metadata;
  try {
    const { metadata } = (await client.get(kind, { namespace, name }, { signal })).decode();
    return metadata.uid === uid && metadata.deletionTimestamp === undefined;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
