import type { Client } from "@skerry/client";
import { isAlreadyExists, isNotFound, kinds } from "@skerry/machinery";

/** The namespaces that every cluster has. */
const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];

/** Makes sure that the namespaces which every cluster has are there. */
export async function bootstrap(client: Client, signal?: AbortSignal): Promise<void> {
  for (const name of NAMESPACES) await ensureNamespace(client, name, signal);
}

async function ensureNamespace(client: Client, name: string, signal: AbortSignal | undefined): Promise<void> {
  const options = signal ? { signal } : {};
  try {
    await client.get(kinds.Namespace, { namespace: "", name }, options);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await client
      .create(kinds.Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } }, options)
      .catch((failure: unknown) => {
        if (!isAlreadyExists(failure)) throw failure;
      });
  }
}
