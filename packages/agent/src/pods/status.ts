import type {
  ContainerState as StateStatus,
  ContainerStatus,
  Pod,
  PodCondition,
  PodStatus,
} from "@skerry/machinery/types";
import { isDone, type ContainerFacts, type Ended, type PodFacts } from "./facts.ts";
import type { Instant, ObservedContainer, ObservedPod } from "./observed.ts";
import { qosClass } from "./resources.ts";
import type { Troubles } from "./troubles.ts";

export interface StatusInput {
  pod: Pod;
  /** Why the agent does not run it; empty when it does. */
  refused: string;
  observed: ObservedPod;
  facts: PodFacts;
  troubles: Troubles;
  hostIps: string[];
  /** The scheme of container ids: `containerd`. */
  runtimeName: string;
  now: Instant;
}

/**
 * The pod's status as a kubelet would report it (Kubernetes API reference, PodStatus; "Pod Lifecycle"). Built anew from what
 * is known, but for the times of transitions, which stay those of the last report while nothing changed.
 */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, facts, hostIps } = input;
  const containers = (pod.spec?.containers ?? [])
    .map((container) => containerStatus(container.name, container.image ?? "", input))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const phase = facts.final?.phase ?? phaseOf(containers, pod.spec?.restartPolicy);
  const sandbox = input.observed.sandboxes.find((one) => one.ready);
  const ips = pod.spec?.hostNetwork ? hostIps : (sandbox?.ips ?? []);
  const reported = ips.length > 0 ? ips : (facts.sandbox?.ips ?? []);
  const generation = pod.metadata.generation;

  return {
    ...(generation !== undefined && { observedGeneration: generation }),
    phase,
    conditions: conditions(input, phase, containers, sandbox !== undefined),
    ...(facts.final?.reason !== undefined && { reason: facts.final.reason }),
    ...(facts.final?.message !== undefined && { message: facts.final.message }),
    ...(hostIps[0] !== undefined && { hostIP: hostIps[0], hostIPs: hostIps.map((ip) => ({ ip })) }),
    ...(reported[0] !== undefined && { podIP: reported[0], podIPs: reported.map((ip) => ({ ip })) }),
    startTime: facts.startTime,
    containerStatuses: containers,
    qosClass: qosClass(pod),
  };
}

/** RFC 3339 in whole seconds, as API times are. */
export const apiTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Says what a person reads while a crashed container waits. */
export const crashMessage = (name: string, backoffMs: number, facts: PodFacts): string =>
  `back-off ${duration(backoffMs)} restarting failed container=${name} pod=${facts.name}_${facts.namespace}(${facts.uid})`;

function containerStatus(name: string, image: string, input: StatusInput): ContainerStatus {
  const { facts, observed, runtimeName } = input;
  const known = facts.containers[name];
  const seen = known && observed.containers.find((c) => c.id === known.id);
  const { state, last } = statesOf(name, known, seen, input);
  const isRunning = state.running !== undefined;
  return {
    name,
    state,
    lastState: last ? { terminated: terminated(last, runtimeName) } : {},
    ready: isRunning,
    restartCount: known?.attempt ?? 0,
    image: known && known.image !== "" ? known.image : image,
    imageID: known?.imageId ?? "",
    ...(known && known.id !== "" && { containerID: `${runtimeName}://${known.id}` }),
    started: isRunning,
  };
}

interface States {
  state: StateStatus;
  last: Ended | undefined;
}

function statesOf(
  name: string,
  known: ContainerFacts | undefined,
  seen: ObservedContainer | undefined,
  { pod, facts, troubles, refused, runtimeName }: StatusInput,
): States {
  const isOver = facts.final !== undefined || pod.metadata.deletionTimestamp !== undefined;
  if (known && !known.ended && known.startedAtMs > 0 && seen) {
    return { state: { running: { startedAt: apiTime(known.startedAtMs) } }, last: known.last };
  }
  if (known?.ended && (isOver || isDone(known, pod.spec?.restartPolicy))) {
    return { state: { terminated: terminated(known.ended, runtimeName) }, last: known.last };
  }
  const last = known?.ended ?? known?.last;
  // It waits for nothing any more, so no reason stands before the pod's own in what `kubectl get pods` shows.
  if (facts.final) return { state: { waiting: {} }, last };
  const trouble = troubles.containers.get(name);
  if (trouble) return { state: { waiting: { reason: trouble.reason, message: trouble.message } }, last };
  if (known?.ended && known.backoffMs > 0) {
    const message = crashMessage(name, known.backoffMs, facts);
    return { state: { waiting: { reason: "CrashLoopBackOff", message } }, last };
  }
  // Ended and to be made anew at once: until it is, its end says more than "creating" would.
  if (known?.ended) return { state: { terminated: terminated(known.ended, runtimeName) }, last: known.last };
  if (refused !== "") return { state: { waiting: { reason: "Unsupported", message: refused } }, last };
  const why = troubles.pod && { message: troubles.pod.message };
  return { state: { waiting: { reason: "ContainerCreating", ...why } }, last };
}

function terminated(ended: Ended, runtimeName: string): NonNullable<StateStatus["terminated"]> {
  return {
    exitCode: ended.exitCode,
    reason: ended.reason,
    ...(ended.message !== "" && { message: ended.message }),
    ...(ended.startedAtMs > 0 && { startedAt: apiTime(ended.startedAtMs) }),
    ...(ended.finishedAtMs > 0 && { finishedAt: apiTime(ended.finishedAtMs) }),
    ...(ended.id !== "" && { containerID: `${runtimeName}://${ended.id}` }),
  };
}

/** Kubelet's rule: a container that waits and never ran holds the pod in Pending; one that will be restarted keeps it Running. */
function phaseOf(containers: ContainerStatus[], policy: string | undefined): string {
  let running = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const { state, lastState } of containers) {
    if (state?.running) running++;
    else if (state?.terminated) {
      stopped++;
      if (state.terminated.exitCode === 0) succeeded++;
    } else if (lastState?.terminated) stopped++;
    else return "Pending";
  }
  if (running > 0) return "Running";
  if (stopped === 0) return "Pending";
  if (policy === "Always" || policy === undefined) return "Running";
  if (stopped === succeeded) return "Succeeded";
  return policy === "Never" ? "Failed" : "Running";
}

function conditions(
  input: StatusInput,
  phase: string,
  containers: ContainerStatus[],
  hasSandbox: boolean,
): PodCondition[] {
  const { facts, refused, pod, now } = input;
  const unready = containers.filter((container) => !container.ready).map((container) => container.name);
  const ready: Verdict =
    phase === "Succeeded"
      ? { status: "False", reason: "PodCompleted" }
      : phase === "Failed"
        ? { status: "False", reason: "PodFailed" }
        : unready.length === 0
          ? { status: "True" }
          : {
              status: "False",
              reason: "ContainersNotReady",
              message: `containers with unready status: [${unready.join(" ")}]`,
            };
  const initialized: Verdict =
    phase === "Succeeded"
      ? { status: "True", reason: "PodCompleted" }
      : refused === ""
        ? { status: "True" }
        : { status: "False", reason: "Unsupported", message: refused };

  const verdicts: [string, Verdict][] = [
    ["PodReadyToStartContainers", { status: hasSandbox ? "True" : "False" }],
    ["Initialized", initialized],
    ["Ready", ready],
    ["ContainersReady", ready],
    ["PodScheduled", { status: "True" }],
  ];
  const generation = pod.metadata.generation;
  return verdicts.map(([type, verdict]) => {
    const before = facts.status?.conditions?.find((condition) => condition.type === type);
    const since =
      before?.status === verdict.status
        ? before.lastTransitionTime
        : type === "PodScheduled"
          ? facts.startTime
          : apiTime(now.wallMs);
    return {
      type,
      ...(generation !== undefined && { observedGeneration: generation }),
      ...verdict,
      ...(since !== undefined && { lastTransitionTime: since }),
    };
  });
}

interface Verdict {
  status: "True" | "False";
  reason?: string;
  message?: string;
}

/** `10s`, `2m40s`, `5m0s`: durations as upstream's messages spell them. */
function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
