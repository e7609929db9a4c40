import type { ContainerStateTerminated, ContainerStatus, Pod } from "@skerry/machinery/types";
import { newFacts, type ContainerFacts, type Ended, type PodFacts } from "./facts.ts";
import type { Instant } from "./observed.ts";

/**
 * The facts of a pod of which this edge remembers nothing: what was reported of it once, as far as the cloud's record came with the pod.
 * So an edge that lost its memory, or took a lost one's place, neither runs again what has ended nor counts restarts anew.
 * What the runtime still knows is absorbed on top.
 */
export function recall(pod: Pod, now: Instant): PodFacts {
  const facts = newFacts(pod, now);
  const { status } = pod;
  if (!status) return facts;
  const { phase, reason, message, podIPs = [], startTime = facts.startTime, containerStatuses = [] } = status;
  const containers = containerStatuses.flatMap((one) => {
    const known = recallContainer(one);
    return known ? [[one.name, known] as const] : [];
  });
  return {
    ...facts,
    startTime,
    status,
    // Its attempt is unknown; the runtime's own count goes on if it has one.
    sandbox: podIPs.length > 0 ? { id: "", attempt: -1, ips: podIPs.flatMap(({ ip }) => ip ?? []) } : undefined,
    containers: Object.fromEntries(containers),
    final:
      phase === "Succeeded" || phase === "Failed"
        ? { phase, ...(reason !== undefined && { reason }), ...(message !== undefined && { message }) }
        : undefined,
  };
}

/** What its status says of a container's newest instance; undefined when none has run. */
function recallContainer(status: ContainerStatus): ContainerFacts | undefined {
  const { restartCount, image, imageID, containerID, state, lastState } = status;
  const last = endOf(lastState?.terminated);
  // One that waits has its newest instance behind it.
  const ended = state?.terminated ? endOf(state.terminated) : state?.running ? undefined : last;
  if (!ended && !state?.running) return undefined;
  return {
    attempt: restartCount,
    id: ended?.id ?? idOf(containerID),
    image,
    imageId: imageID,
    version: "",
    startedAtMs: ended?.startedAtMs ?? milliseconds(state?.running?.startedAt),
    intended: false,
    ended,
    last: ended === last ? undefined : last,
    backoffMs: 0,
  };
}

function endOf(terminated: ContainerStateTerminated | undefined): Ended | undefined {
  if (!terminated) return undefined;
  const { containerID, exitCode, reason = "", message = "", startedAt, finishedAt } = terminated;
  return {
    id: idOf(containerID),
    exitCode,
    reason,
    message,
    startedAtMs: milliseconds(startedAt),
    finishedAtMs: milliseconds(finishedAt),
  };
}

/** `containerd://ID` without the runtime's name. */
const idOf = (containerID = ""): string => containerID.slice(containerID.indexOf("://") + 3);

const milliseconds = (time: string | undefined): number => (time === undefined ? 0 : Date.parse(time));
