import type { Pod } from "@skerry/machinery/types";
import type { CachedPod, EdgeCache } from "../cache/edge-cache.ts";
import { volumeReferences } from "../volumes/contents.ts";

/** Whether it is to go and how soon, and which images it runs: what, when it changes, makes steps under way pointless. */
export function basisOf(cached: CachedPod): string {
  const { metadata, spec } = cached.pod;
  const images = (spec?.containers ?? []).map(({ name, image }) => `${name}=${image ?? ""}`);
  const deletion = `${metadata.deletionTimestamp ?? ""}/${metadata.deletionGracePeriodSeconds ?? ""}`;
  return [String(cached.leaving), deletion, ...images].join();
}

/** Set when the pod is to go: how long its containers are given. */
export function deletionOf({ pod, leaving }: CachedPod): { graceSeconds: number } | undefined {
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  if (deletionTimestamp === undefined && !leaving) return undefined;
  const own = pod.spec?.terminationGracePeriodSeconds ?? 30;
  const asked = deletionGracePeriodSeconds ?? own;
  // Whoever removed it from the API does not wait for it any more: a longer time that was given before does not hold.
  return { graceSeconds: leaving ? Math.min(asked, own) : asked };
}

/** What the pod's cgroup and volumes are made from, as one string. */
export function preparationOf({ pod, hash }: CachedPod, cache: Pick<EdgeCache, "hashOf">): string {
  const namespace = pod.metadata.namespace ?? "";
  const parts = [...volumeReferences(pod)].map((reference) => {
    const [resource = "", name = ""] = reference.split("/");
    return `${reference}=${cache.hashOf({ resource, namespace, name })}`;
  });
  return [`pod=${hash}`, ...parts].join();
}

/** Whether the pod needs one of these, each as `namespace/resource/name`. */
export function mentions(pod: Pod, references: ReadonlySet<string>): boolean {
  const namespace = pod.metadata.namespace ?? "";
  for (const reference of volumeReferences(pod)) if (references.has(`${namespace}/${reference}`)) return true;
  for (const { env = [], envFrom = [] } of pod.spec?.containers ?? []) {
    const names = [
      ...envFrom.map((one) =>
        one.configMapRef ? `configmaps/${one.configMapRef.name}` : `secrets/${one.secretRef?.name}`,
      ),
      ...env.flatMap(({ valueFrom }) => [
        ...(valueFrom?.configMapKeyRef ? [`configmaps/${valueFrom.configMapKeyRef.name}`] : []),
        ...(valueFrom?.secretKeyRef ? [`secrets/${valueFrom.secretKeyRef.name}`] : []),
      ]),
    ];
    if (names.some((name) => references.has(`${namespace}/${name}`))) return true;
  }
  return false;
}
