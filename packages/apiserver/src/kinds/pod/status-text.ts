import type { Container, ContainerStatus, Pod } from "@skerry/machinery/types";
import { ago } from "../columns.ts";

/** What `kubectl get pods` says of a pod in one word, and of its containers. Source: what upstream's printer shows for a Pod. */
export interface PodSummary {
  /** `Running`, `CrashLoopBackOff`, `Init:0/1`, `Terminating`, … */
  text: string;
  ready: number;
  total: number;
  restarts: number;
  /** When a container last ended that was started again, as Unix milliseconds. */
  lastRestartMs: number | undefined;
}

export function summarizePod(pod: Pod): PodSummary {
  const status = pod.status ?? {};
  const containers = pod.spec?.containers ?? [];
  const sidecars = new Set((pod.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const summary: PodSummary = {
    text: status.reason || status.phase || "",
    ready: 0,
    total: containers.length + sidecars.size,
    restarts: 0,
    lastRestartMs: undefined,
  };
  const isGated = status.conditions?.some(
    ({ type, reason }) => type === "PodScheduled" && reason === "SchedulingGated",
  );
  if (isGated) summary.text = "SchedulingGated";

  const sidecarsOnly = { ...summary };
  const initializing = summarizeInit(pod, sidecars, summary, sidecarsOnly);
  if (!initializing || hasCondition(pod, "Initialized")) {
    // Restarts of plain init containers no longer matter.
    summary.restarts = sidecarsOnly.restarts;
    summary.lastRestartMs = sidecarsOnly.lastRestartMs;
    summarizeContainers(pod, summary);
  }

  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === "NodeLost") summary.text = "Unknown";
    else if (status.phase !== "Succeeded" && status.phase !== "Failed") summary.text = "Terminating";
  }
  return summary;
}

const isSidecar = (container: Container): boolean => container.restartPolicy === "Always";

const hasCondition = (pod: Pod, type: string): boolean =>
  pod.status?.conditions?.some((condition) => condition.type === type && condition.status === "True") === true;

function countRestarts(summary: PodSummary, { restartCount, lastState }: ContainerStatus): void {
  summary.restarts += restartCount ?? 0;
  const finishedAt = lastState?.terminated?.finishedAt;
  if (finishedAt === undefined) return;
  const ms = Date.parse(finishedAt);
  if (summary.lastRestartMs === undefined || ms > summary.lastRestartMs) summary.lastRestartMs = ms;
}

function summarizeInit(pod: Pod, sidecars: Set<string>, summary: PodSummary, sidecarsOnly: PodSummary): boolean {
  for (const [i, container] of (pod.status?.initContainerStatuses ?? []).entries()) {
    countRestarts(summary, container);
    const isSidecarStatus = sidecars.has(container.name);
    if (isSidecarStatus) countRestarts(sidecarsOnly, container);
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (isSidecarStatus && container.started === true) {
      if (container.ready) summary.ready++;
      continue;
    }
    if (terminated) summary.text = `Init:${endOf(terminated)}`;
    else if (waiting?.reason && waiting.reason !== "PodInitializing") summary.text = `Init:${waiting.reason}`;
    else summary.text = `Init:${i}/${pod.spec?.initContainers?.length ?? 0}`;
    return true;
  }
  return false;
}

/** How a container ended, when nobody gave it a reason. */
function endOf({ reason, signal, exitCode }: { reason?: string; signal?: number; exitCode?: number }): string {
  if (reason) return reason;
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode ?? 0}`;
}

function summarizeContainers(pod: Pod, summary: PodSummary): void {
  let hasRunning = false;
  for (const container of (pod.status?.containerStatuses ?? []).toReversed()) {
    countRestarts(summary, container);
    const { waiting, terminated, running } = container.state ?? {};
    if (waiting?.reason) summary.text = waiting.reason;
    else if (terminated) summary.text = endOf(terminated);
    else if (container.ready && running) {
      hasRunning = true;
      summary.ready++;
    }
  }
  // One that completed beside one that runs doesn't complete the pod.
  if (summary.text === "Completed" && hasRunning) summary.text = hasCondition(pod, "Ready") ? "Running" : "NotReady";
}

/** `0`, or `2 (5m ago)`. */
export function restartsText({ restarts, lastRestartMs }: PodSummary, nowMs: number): string {
  if (restarts === 0 || lastRestartMs === undefined) return String(restarts);
  return `${restarts} (${ago(new Date(lastRestartMs).toISOString(), nowMs)} ago)`;
}
