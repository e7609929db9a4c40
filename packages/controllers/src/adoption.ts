import type { Client } from "@skerry/client";
import { isNotFound, type Kind, type KubeObject } from "@skerry/machinery";

/**
 * Whether an owner-to-be is still there and not on its way out, as the API itself says: an informer may not have heard of its end yet, and what a
 * dead owner adopts is garbage.
 */
export async function mayAdopt(client: Client, kind: Kind, owner: KubeObject, signal: AbortSignal): Promise<boolean> {
  const { name = "", namespace = "", uid } = owner.metadata;
  try {
    const { metadata } = (await client.get(kind, { namespace, name }, { signal })).decode();
    return metadata.uid === uid && metadata.deletionTimestamp === undefined;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
