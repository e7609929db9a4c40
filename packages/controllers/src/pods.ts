import type { Pod } from "@skerry/machinery/types";
import { hasEnded } from "./scheduler/cluster-view.ts";

/** A pod that counts as a replica: neither ended nor on its way out. */
export const isActive = (pod: Pod): boolean => !hasEnded(pod) && pod.metadata.deletionTimestamp === undefined;

export const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.find((condition) => condition.type === "Ready")?.status === "True";

/** How long until a ready pod counts as available, in milliseconds; 0: it does; undefined: it is not ready. */
export function availableInMs(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  if (!isReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  const since = pod.status?.conditions?.find((condition) => condition.type === "Ready")?.lastTransitionTime;
  return Math.max(0, Date.parse(since ?? "") + minReadySeconds * 1000 - now) || 0;
}
