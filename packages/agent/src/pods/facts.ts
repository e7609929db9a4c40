import type { Pod, PodStatus } from "@skerry/machinery/types";
import type { Instant, ObservedContainer, ObservedPod } from "./observed.ts";

/** What must be remembered of a pod beyond what the runtime and the cloud know. Kept in the cache, plain JSON. */
export interface PodFacts {
  uid: string;
  namespace: string;
  name: string;
  /** RFC 3339; when this node took the pod on (`status.startTime`). */
  startTime: string;
  /** How long it has been active, for its deadline; undefined until it was looked at. */
  active: ActiveTime | undefined;
  /** The newest sandbox that was seen ready. */
  sandbox: { id: string; attempt: number; ips: string[] } | undefined;
  containers: Record<string, ContainerFacts>;
  /** The pod has ended for good: nothing of it ever runs again. */
  final: { phase: "Succeeded" | "Failed"; reason?: string; message?: string } | undefined;
  /** The status that was last reported. */
  status: PodStatus | undefined;
  /** Whether its author was told what of the pod has no effect here. */
  told: boolean;
  /** Everything of a deleted pod is gone and the cloud is to be told, or has been. */
  finished: boolean;
}

/**
 * Time that a pod has been active, counted with the monotonic clock: within a boot from the mark on, whoever counts, and over a reboot from
 * what was counted at the mark.
 */
export interface ActiveTime {
  countedMs: number;
  /** The mark: the boot and its monotonic clock when `countedMs` had been counted. */
  bootId: string;
  atMs: number;
}

export interface ContainerFacts {
  /** Of its newest instance; shown as the restart count. */
  attempt: number;
  id: string;
  image: string;
  imageId: string;
  version: string;
  /** Unix milliseconds; 0 until it started. */
  startedAtMs: number;
  /** Its start was put on record before it was asked for: once it cannot be found, it is taken to have run. */
  intended: boolean;
  /** How the newest instance ended. */
  ended: Ended | undefined;
  /** How the one before ended. */
  last: Ended | undefined;
  /** How long after its end a failed newest instance waits for the next one, in milliseconds. */
  backoffMs: number;
}

export interface Ended {
  id: string;
  exitCode: number;
  reason: string;
  message: string;
  startedAtMs: number;
  finishedAtMs: number;
}

/** Crash back-off as users know it: 10 s doubling to 5 min, forgotten after 10 min of good behaviour. */
export const CRASH_BACKOFF = { initialMs: 10_000, maxMs: 300_000, forgottenAfterMs: 600_000 } as const;

/** What a reboot may take of the time that a pod has been active: a minute, or this part of its deadline if that is longer. */
const MARKS = { everyMs: 60_000, perDeadline: 1 / 20 } as const;

/** How long the pod has been active by now, in milliseconds. */
export function activeMs({ active }: PodFacts, now: Instant): number {
  if (!active) return 0;
  return active.countedMs + (active.bootId === now.bootId ? Math.max(0, now.monotonicMs - active.atMs) : 0);
}

export function newFacts(pod: Pod, now: Instant): PodFacts {
  return {
    uid: pod.metadata.uid ?? "",
    namespace: pod.metadata.namespace ?? "",
    name: pod.metadata.name ?? "",
    startTime: new Date(now.wallMs).toISOString().replace(/\.\d+Z$/, "Z"),
    active: undefined,
    sandbox: undefined,
    containers: {},
    final: undefined,
    status: undefined,
    told: false,
    finished: false,
  };
}

/**
 * Takes what a look shows into the facts: new instances, starts, ends, what got lost, and whether the pod has ended for good.
 * Returns `facts` itself when nothing is new, so that identity says whether there is anything to save.
 */
export function absorb(facts: PodFacts, pod: Pod, observed: ObservedPod, now: Instant): PodFacts {
  const next: PodFacts = { ...facts, containers: { ...facts.containers } };
  let changed = false;

  const ready = observed.sandboxes.find((sandbox) => sandbox.ready);
  if (ready && !sameSandbox(ready, facts.sandbox)) {
    next.sandbox = { id: ready.id, attempt: ready.attempt, ips: ready.ips };
    changed = true;
  }

  const newest = newestByName(observed.containers);
  for (const name of new Set([...newest.keys(), ...Object.keys(facts.containers)])) {
    const before = facts.containers[name];
    const after = absorbContainer(before, newest.get(name), now);
    if (after === undefined || after === before) continue;
    next.containers[name] = after;
    changed = true;
  }

  for (const [name, container] of Object.entries(next.containers)) {
    const ended = forWantOfMemory(container.ended, observed);
    const last = forWantOfMemory(container.last, observed);
    if (ended === container.ended && last === container.last) continue;
    next.containers[name] = { ...container, ended, last };
    changed = true;
  }

  const active = markActive(next, pod, now);
  if (active !== next.active) changed = true;
  next.active = active;

  const lost = lostBeforeStart(next, pod, observed, now);
  if (lost.length > 0) changed = true;
  for (const [name, container] of lost) next.containers[name] = container;

  if (next.final === undefined) {
    next.final = finalOf(next, pod, now);
    if (next.final) changed = true;
  }
  return changed ? next : facts;
}

/** The mark that activity is counted from: a new one in each boot, and when it is due, which is what a reboot goes on from. */
function markActive(facts: PodFacts, pod: Pod, now: Instant): ActiveTime | undefined {
  if (facts.final || markDueMs(facts, pod, now) > 0) return facts.active;
  return { countedMs: activeMs(facts, now), bootId: now.bootId, atMs: now.monotonicMs };
}

/** In how many milliseconds the mark that the pod's activity is counted from is to be renewed. */
export function markDueMs({ active }: PodFacts, pod: Pod, now: Instant): number {
  if (active?.bootId !== now.bootId) return 0;
  // Without a deadline only a boot makes it due, which leaves other things to save: the pod may be given a deadline yet.
  const seconds = pod.spec?.activeDeadlineSeconds ?? Infinity;
  return active.atMs + Math.max(MARKS.everyMs, seconds * 1000 * MARKS.perDeadline) - now.monotonicMs;
}

/** Whether the container's newest instance has ended and its pod's policy wants no further one. */
export function isDone(container: ContainerFacts | undefined, policy: string | undefined): boolean {
  if (!container?.ended) return false;
  if (policy === "Never") return true;
  return policy === "OnFailure" && container.ended.exitCode === 0;
}

/** Drops all crash back-off, as a reboot does: what ended by it did not crash. */
export function withoutBackoff(facts: PodFacts): PodFacts {
  const containers = Object.entries(facts.containers).map(([name, c]) => [name, { ...c, backoffMs: 0 }] as const);
  return { ...facts, containers: Object.fromEntries(containers) };
}

function absorbContainer(
  before: ContainerFacts | undefined,
  seen: ObservedContainer | undefined,
  now: Instant,
): ContainerFacts | undefined {
  if (seen && (!before || (seen.id !== before.id && seen.attempt >= before.attempt))) {
    const ended = before?.ended ?? (before && mayHaveRun(before) ? lostInstance(before, now) : undefined);
    return {
      attempt: seen.attempt,
      id: seen.id,
      image: seen.image,
      imageId: seen.imageId,
      version: seen.version,
      startedAtMs: seen.startedAtMs,
      intended: false,
      ended: endOf(seen),
      last: ended ?? before?.last,
      backoffMs: ended && before?.version === seen.version ? nextBackoff(before, ended) : 0,
    };
  }
  if (!before || before.ended) return before;
  if (!seen || seen.id !== before.id) {
    // The runtime no longer knows it. Had it never started, a new one simply takes its place.
    return mayHaveRun(before) ? { ...before, ended: lostInstance(before, now) } : before;
  }
  const ended = endOf(seen);
  const isRecalled = before.version !== seen.version; // the cloud's record does not tell it
  if (!ended && !isRecalled && seen.startedAtMs === before.startedAtMs) return before;
  return { ...before, version: seen.version, startedAtMs: seen.startedAtMs, ended };
}

function endOf(seen: ObservedContainer): Ended | undefined {
  if (seen.state !== "exited") return undefined;
  const { id, exitCode, message, startedAtMs, finishedAtMs } = seen;
  // A runtime says it also of a container that lost a process, went on and ended well.
  const isKnown = seen.reason !== "" && !(seen.reason === OOM_KILLED && exitCode === 0);
  const reason = isKnown ? seen.reason : exitCode === 0 ? "Completed" : ERROR;
  return { id, exitCode, reason, message, startedAtMs, finishedAtMs };
}

const OOM_KILLED = "OOMKilled";
/** What the runtime says of an end that it knows no cause of. */
const ERROR = "Error";

/**
 * The end with its cause, which the runtime may tell, or take on record, after the end itself. Any code but 0 counts, as for the kubelet:
 * a program whose helper was ended passes its 137 on or ends with a code of its own, and it is want of memory that its author looks for.
 */
function forWantOfMemory(ended: Ended | undefined, { oomed, containers }: ObservedPod): Ended | undefined {
  if (!ended || ended.exitCode === 0 || ended.reason !== ERROR) return ended;
  const isOnRecord = containers.some(({ id, reason }) => id === ended.id && reason === OOM_KILLED);
  return isOnRecord || oomed.has(ended.id) ? { ...ended, reason: OOM_KILLED } : ended;
}

/** Whether the instance ran, or was to run when nobody could put on record any more that it did. */
const mayHaveRun = ({ startedAtMs, intended }: ContainerFacts): boolean => startedAtMs > 0 || intended;

/** The record of an instance that vanished without one, worded as the kubelet does. */
function lostInstance(container: ContainerFacts, now: Instant): Ended {
  return {
    id: container.id,
    exitCode: 137,
    reason: "ContainerStatusUnknown",
    message: "The container could not be located when the pod was terminated",
    startedAtMs: container.startedAtMs,
    finishedAtMs: now.wallMs,
  };
}

/** Containers of a Never pod whose sandbox died before they are known to have run: they will not run any more either. */
function lostBeforeStart(facts: PodFacts, pod: Pod, observed: ObservedPod, now: Instant): [string, ContainerFacts][] {
  const hasRun = Object.values(facts.containers).some(mayHaveRun);
  if (pod.spec?.restartPolicy !== "Never" || !facts.sandbox || !hasRun) return [];
  if (observed.sandboxes.some((sandbox) => sandbox.ready)) return [];
  const lost: [string, ContainerFacts][] = [];
  for (const { name, image = "" } of pod.spec.containers) {
    const known = facts.containers[name];
    if (known?.ended || (known && known.startedAtMs > 0)) continue;
    const blank = {
      attempt: 0,
      id: "",
      image,
      imageId: "",
      version: "",
      startedAtMs: 0,
      intended: false,
      last: undefined,
      backoffMs: 0,
    };
    const container: ContainerFacts = { ...blank, ...known, ended: undefined };
    lost.push([name, { ...container, ended: lostInstance(container, now) }]);
  }
  return lost;
}

/** containerd's reason for a container that it could not start. */
export const START_ERROR = "StartError";

/** Whether the runtime gave the start up because its caller went away: that was an agent's end, not the container's. */
const wasCutOff = ({ reason, message }: Ended): boolean =>
  reason === START_ERROR && message.includes("context canceled");

function nextBackoff(before: ContainerFacts, ended: Ended): number {
  if (wasCutOff(ended)) return before.backoffMs;
  // One that never started has no time to count from.
  const ranMs = ended.startedAtMs > 0 ? ended.finishedAtMs - ended.startedAtMs : 0;
  if (before.backoffMs === 0 || ranMs > CRASH_BACKOFF.forgottenAfterMs) return CRASH_BACKOFF.initialMs;
  return Math.min(CRASH_BACKOFF.maxMs, before.backoffMs * 2);
}

function finalOf(facts: PodFacts, pod: Pod, now: Instant): PodFacts["final"] {
  const { containers = [], restartPolicy, activeDeadlineSeconds } = pod.spec ?? {};
  const ends = containers.map(({ name }) => facts.containers[name]);
  if (ends.length > 0 && ends.every((container) => isDone(container, restartPolicy))) {
    const failed = ends.some((container) => container?.ended?.exitCode !== 0);
    return { phase: failed ? "Failed" : "Succeeded" };
  }
  if (activeDeadlineSeconds !== undefined && activeMs(facts, now) >= activeDeadlineSeconds * 1000) {
    const message = "Pod was active on the node longer than the specified deadline";
    return { phase: "Failed", reason: "DeadlineExceeded", message };
  }
  return undefined;
}

function newestByName(containers: ObservedContainer[]): Map<string, ObservedContainer> {
  const newest = new Map<string, ObservedContainer>();
  for (const container of containers) {
    const other = newest.get(container.name);
    if (!other || container.attempt > other.attempt) newest.set(container.name, container);
  }
  return newest;
}

function sameSandbox(seen: { id: string; ips: string[] }, known: PodFacts["sandbox"]): boolean {
  return known?.id === seen.id && known.ips.join() === seen.ips.join();
}
