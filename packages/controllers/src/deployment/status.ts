import { timestamp } from "@skerry/base";
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from "@skerry/machinery/types";
import { availableOf, boundsOf, sizeOf, wantedOf } from "./plan.ts";

/** What happened in this look that the Progressing condition tells of. */
export type Progress =
  | { reason: "NewReplicaSetCreated" | "FoundNewReplicaSet"; set: string }
  | { reason: "FailedCreate"; message: string };

/**
 * The status of a deployment from its sets. The reasons are read by `kubectl rollout status` and others, so they are upstream's
 * (apps/v1, DeploymentConditionType Available and Progressing).
 */
export function statusOfDeployment(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
  progress: Progress | undefined,
  collisionCount: number | undefined,
  nowMs: number,
): DeploymentStatus {
  const sum = (of: (set: ReplicaSet) => number | undefined): number =>
    sets.reduce((count, set) => count + (of(set) ?? 0), 0);
  const before = deployment.status ?? {};
  const available = sum(availableOf);
  const counts = {
    replicas: sum((set) => set.status?.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum((set) => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(sizeOf) - available),
  };
  const status: DeploymentStatus = {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    ...(collisionCount !== undefined && { collisionCount }),
  };
  const conditions = [
    availability(deployment, available, nowMs),
    progressing(deployment, current, counts, progress, nowMs),
    failing(deployment, sets, progress, nowMs),
  ].filter((condition) => condition !== undefined);
  const kept = (before.conditions ?? []).filter(
    (condition) => !["Available", "Progressing", "ReplicaFailure"].includes(condition.type),
  );
  return { ...status, conditions: [...kept, ...conditions] };
}

function availability(deployment: Deployment, available: number, nowMs: number): DeploymentCondition {
  const isAvailable = available >= wantedOf(deployment) - boundsOf(deployment).unavailable;
  return condition(
    deployment,
    "Available",
    isAvailable ? "True" : "False",
    isAvailable ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
    isAvailable ? "Deployment has minimum availability." : "Deployment does not have minimum availability.",
    nowMs,
  );
}

interface Counts {
  replicas: number;
  updatedReplicas: number;
  readyReplicas: number;
  availableReplicas: number;
}

export const isComplete = (deployment: Deployment, counts: Counts): boolean => {
  const wanted = wantedOf(deployment);
  return counts.updatedReplicas === wanted && counts.replicas === wanted && counts.availableReplicas === wanted;
};

function progressing(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  counts: Counts,
  progress: Progress | undefined,
  nowMs: number,
): DeploymentCondition | undefined {
  const old = deployment.status?.conditions?.find((each) => each.type === "Progressing");
  const subject = current ? `ReplicaSet "${current.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  const tell = (status: string, reason: string, message: string, again = false): DeploymentCondition =>
    condition(deployment, "Progressing", status, reason, message, nowMs, again);

  if (deployment.spec?.paused) return tell("Unknown", "DeploymentPaused", "Deployment is paused");
  if (old?.reason === "DeploymentPaused") return tell("Unknown", "DeploymentResumed", "Deployment is resumed", true);
  if (progress?.reason === "FailedCreate") return tell("False", "FailedCreate", progress.message);
  if (progress?.reason === "NewReplicaSetCreated") {
    return tell("True", progress.reason, `Created new replica set "${progress.set}"`, true);
  }
  // A rollout that has ended stays so while only its pods come and go: they have no deadline.
  const hasEnded = old?.reason === "NewReplicaSetAvailable" && counts.replicas === counts.updatedReplicas;
  if (isComplete(deployment, counts) || (hasEnded && !progress)) {
    return tell("True", "NewReplicaSetAvailable", `${subject} has successfully progressed.`);
  }
  const before = deployment.status ?? {};
  const moved =
    counts.updatedReplicas > (before.updatedReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < (before.replicas ?? 0) - (before.updatedReplicas ?? 0) ||
    counts.readyReplicas > (before.readyReplicas ?? 0) ||
    counts.availableReplicas > (before.availableReplicas ?? 0);
  if (moved || !old || old.reason === "NewReplicaSetAvailable" || progress) {
    return tell("True", "ReplicaSetUpdated", `${subject} is progressing.`, true);
  }
  if (old.reason !== "ProgressDeadlineExceeded" && deadlineLeftMs(deployment, old, nowMs) <= 0) {
    return tell("False", "ProgressDeadlineExceeded", `${subject} has timed out progressing.`);
  }
  return old;
}

/** What apps/v1 takes for "no deadline": the largest number of the field. */
const NO_DEADLINE = 2 ** 31 - 1;

/** How long a rollout may still be without progress, in milliseconds; Infinity when there is no limit. */
export function deadlineLeftMs(deployment: Deployment, progress: DeploymentCondition, nowMs: number): number {
  const seconds = deployment.spec?.progressDeadlineSeconds ?? 600;
  return seconds === NO_DEADLINE ? Infinity : Date.parse(progress.lastUpdateTime ?? "") + seconds * 1000 - nowMs;
}

function failing(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  progress: Progress | undefined,
  nowMs: number,
): DeploymentCondition | undefined {
  const failure = sets.flatMap((set) => set.status?.conditions ?? []).find((each) => each.type === "ReplicaFailure");
  if (failure) {
    return condition(deployment, "ReplicaFailure", failure.status, failure.reason ?? "", failure.message ?? "", nowMs);
  }
  if (progress?.reason !== "FailedCreate") return undefined;
  return condition(deployment, "ReplicaFailure", "True", progress.reason, progress.message, nowMs);
}

/** A condition that keeps its times where nothing changed; `again` says that it happened once more, though it reads the same. */
function condition(
  deployment: Deployment,
  type: string,
  status: string,
  reason: string,
  message: string,
  nowMs: number,
  again = false,
): DeploymentCondition {
  const old = deployment.status?.conditions?.find((each) => each.type === type);
  const now = timestamp(nowMs);
  if (old && !again && old.status === status && old.reason === reason && old.message === message) return old;
  const since = old?.status === status ? (old.lastTransitionTime ?? now) : now;
  return { type, status, lastUpdateTime: now, lastTransitionTime: since, reason, message };
}
