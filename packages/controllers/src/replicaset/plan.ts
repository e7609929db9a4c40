import type { Pod } from "@skerry/machinery/types";
import { isReady } from "../pods.ts";

/** The most pods made or deleted in one go. */
export const BURST = 500;

/** How many pods to make, or which to delete, so that there are as many as wanted. */
export function planReplicas(wanted: number, active: readonly Pod[]): { create: number; remove: readonly Pod[] } {
  const surplus = active.length - wanted;
  if (surplus <= 0) return { create: Math.min(0 - surplus, BURST), remove: [] };
  const perNode = new Map<string, number>();
  for (const pod of active) {
    const node = pod.spec?.nodeName ?? "";
    perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  const ranked = active.map((pod) => ({ pod, rank: rankOf(pod, perNode) })).toSorted((a, b) => compare(a.rank, b.rank));
  return { create: 0, remove: ranked.slice(0, Math.min(surplus, BURST)).map(({ pod }) => pod) };
}

const PHASES: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * What makes one pod go before another, most telling first, smaller first: not placed, not yet running, not ready, cheap to delete
 * (KEP-2255), many on its node, ready for a shorter time, restarted more, made later.
 */
function rankOf(pod: Pod, perNode: ReadonlyMap<string, number>): number[] {
  const node = pod.spec?.nodeName ?? "";
  const cost = Number(pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? 0);
  const readySince = pod.status?.conditions?.find((condition) => condition.type === "Ready")?.lastTransitionTime;
  const restarts = Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount ?? 0));
  return [
    node === "" ? 0 : 1,
    PHASES[pod.status?.phase ?? "Pending"] ?? 1,
    isReady(pod) ? 1 : 0,
    Number.isFinite(cost) ? cost : 0,
    -(perNode.get(node) ?? 0),
    isReady(pod) ? -(Date.parse(readySince ?? "") || 0) : 0,
    -restarts,
    -(Date.parse(pod.metadata.creationTimestamp ?? "") || 0),
  ];
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const difference = value - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
