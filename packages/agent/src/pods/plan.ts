import type { Container, Pod } from "@skerry/machinery/types";
import { isSameVersion } from "./container-version.ts";
import { activeMs, isDone, markDueMs, START_ERROR, type ContainerFacts, type PodFacts } from "./facts.ts";
import type { Instant, ObservedContainer, ObservedPod, ObservedSandbox } from "./observed.ts";
import type { Step, StopTarget } from "./steps.ts";
import type { Troubles } from "./troubles.ts";

/** What the cloud, or the edge's own memory of it, wants of a pod. */
export interface WantedPod {
  pod: Pod;
  /** Set when the pod is to go: it was deleted, or is no longer wanted here. */
  deletion: { graceSeconds: number } | undefined;
  /** Why this agent cannot run the pod as written; empty when it can. */
  refused: string;
  /** Why no sandbox can be made for it now, though soon; empty when one can. */
  held: string;
}

/** How soon a pod that is held is looked at again, besides when the cause goes. */
const HELD_MS = 5_000;

export interface PlanInput {
  wanted: WantedPod;
  observed: ObservedPod;
  /** With `observed` absorbed. */
  facts: PodFacts;
  troubles: Troubles;
  now: Instant;
}

/**
 * Works out the next steps that bring what is observed nearer to what is wanted; none when it is as wanted.
 *
 * Only the next ones: the caller carries them out, looks again and asks again, so a step that failed, or that somebody else
 * undid, is simply planned once more. `facts` decides what is current, the runtime's lists what exists.
 */
export function planPod(input: PlanInput): Step[] {
  const { wanted, facts, observed } = input;
  if (wanted.deletion) return planEnd(input, wanted.deletion.graceSeconds, "deleted");
  if (facts.final) {
    const grace = wanted.pod.spec?.terminationGracePeriodSeconds ?? 30;
    return planEnd(input, grace, facts.final.reason === "DeadlineExceeded" ? "deadline" : "stray");
  }
  if (wanted.refused !== "") return [];

  const current = observed.sandboxes.find((sandbox) => sandbox.ready);
  const steps = [...(current ? planLeftovers(input, current) : []), ...planContainers(input, current)];
  const deadline = untilDeadline(input);
  if (deadline !== undefined) steps.push({ do: "wait", ms: deadline });
  return joinWaits(steps);
}

/**
 * Takes down what a pod leaves that was deleted, or ended for good. What runs is stopped first and looked at again: how it ended
 * is part of the last status, and gone with its sandbox.
 */
function planEnd({ wanted, observed, facts }: PlanInput, graceSeconds: number, why: StopTarget["why"]): Step[] {
  const steps: Step[] = [];
  const alive = observed.containers.filter(isAlive);
  if (alive.length > 0) return [{ do: "stop", targets: alive.map((c) => target(c, why)), graceSeconds }];
  for (const { id } of observed.sandboxes) steps.push({ do: "stop-sandbox", id }, { do: "remove-sandbox", id });
  const gone = wanted.deletion !== undefined;
  if (observed.residue || (gone && observed.logs)) steps.push({ do: "teardown", keepLogs: !gone });
  if (gone && !facts.finished) steps.push({ do: "finish" });
  return steps;
}

/** Sandboxes besides the current one, and containers that are not the newest of their name. */
function planLeftovers({ wanted, observed, facts }: PlanInput, current: ObservedSandbox): Step[] {
  const steps: Step[] = [];
  const others = observed.sandboxes.filter((sandbox) => sandbox.id !== current.id);
  const strays = observed.containers.filter(
    (c) => isAlive(c) && (facts.containers[c.name]?.id !== c.id || c.sandboxId !== current.id),
  );
  const graceSeconds = wanted.pod.spec?.terminationGracePeriodSeconds ?? 30;
  if (strays.length > 0) steps.push({ do: "stop", targets: strays.map((c) => target(c, "stray")), graceSeconds });
  for (const { id } of others) steps.push({ do: "stop-sandbox", id }, { do: "remove-sandbox", id });
  for (const c of observed.containers) {
    const isNewest = facts.containers[c.name]?.id === c.id;
    if (c.sandboxId === current.id && !isNewest) steps.push({ do: "remove", container: c.name, id: c.id });
  }
  return steps;
}

function planContainers(input: PlanInput, current: ObservedSandbox | undefined): Step[] {
  const { wanted, observed, facts, troubles, now } = input;
  const { containers = [], restartPolicy } = wanted.pod.spec ?? {};
  const open = containers.filter(({ name }) => !isDone(facts.containers[name], restartPolicy));
  if (open.length === 0) return []; // final says so too: one is absorbed with the other

  if (wanted.held !== "" && !current) return [{ do: "wait", ms: HELD_MS }];
  const retryMs = troubles.pod ? troubles.pod.retryAt - now.monotonicMs : 0;
  if (retryMs > 0 && !current) return [{ do: "wait", ms: retryMs }];

  const own = open.map((container) => planContainer(container, input, current));
  const nothingToMake = current !== undefined && own.every((steps) => steps.every((step) => step.do === "wait"));
  // First what needs nothing else: a volume that cannot be made keeps no running container from its name servers.
  const preparation: Step[] = observed.resolvConf ? [] : [{ do: "resolv-conf" }];
  if (!observed.prepared) preparation.push({ do: "cgroup" }, { do: "volumes" });
  if (nothingToMake && preparation.length === 0) return own.flat();
  if (retryMs > 0) return [...own.flat().filter((step) => step.do === "stop"), { do: "wait", ms: retryMs }];

  const alive = current ? [] : observed.containers.filter(isAlive);
  if (alive.length > 0) return planDeadSandbox(input, alive);
  return [...preparation, ...(current ? [] : planSandbox(input)), ...own.flat()];
}

/** Ends what still runs in a sandbox that died. How it ended is looked at, and by the policy, before anything is made anew. */
function planDeadSandbox({ wanted, observed }: PlanInput, alive: ObservedContainer[]): Step[] {
  const graceSeconds = wanted.pod.spec?.terminationGracePeriodSeconds ?? 30;
  return [
    { do: "stop", targets: alive.map((c) => target(c, "sandbox")), graceSeconds },
    ...observed.sandboxes.map(({ id }) => ({ do: "stop-sandbox", id }) as const),
  ];
}

/**
 * Replaces the sandbox, in the one order that gives host ports and address back before they are wanted again and does not run
 * into the name of the old one: stop the old, run the next attempt, remove the old.
 */
function planSandbox({ observed, facts, troubles }: PlanInput): Step[] {
  const old = observed.sandboxes;
  const used = Math.max(-1, facts.sandbox?.attempt ?? -1, ...old.map((sandbox) => sandbox.attempt));
  const attempt = Math.max(used + 1, troubles.sandboxAttempt);
  return [
    ...old.map(({ id }) => ({ do: "stop-sandbox", id }) as const),
    { do: "run-sandbox", attempt },
    ...old.map(({ id }) => ({ do: "remove-sandbox", id }) as const),
  ];
}

function planContainer(container: Container, input: PlanInput, current: ObservedSandbox | undefined): Step[] {
  const { observed, facts, troubles, now, wanted } = input;
  const { name } = container;
  const known = facts.containers[name];
  const instance = known && observed.containers.find((c) => c.id === known.id && c.sandboxId === current?.id);
  const changed = known !== undefined && !isSameVersion(known.version, container);

  if (instance?.state === "running" && !changed) return [];
  const trouble = troubles.containers.get(name);
  const troubleMs = trouble ? trouble.retryAt - now.monotonicMs : 0;
  if (troubleMs > 0) return [{ do: "wait", ms: troubleMs }];
  const runsOnce = wanted.pod.spec?.restartPolicy === "Never";
  if (instance?.state === "created" && !changed) {
    const intent: Step[] = runsOnce && !known?.intended ? [{ do: "intend", container: name, id: instance.id }] : [];
    return [...intent, { do: "start", container: name, id: instance.id }];
  }

  const crashMs = known?.ended && !changed ? crashWait(known, observed, now) : 0;
  if (crashMs > 0) return [{ do: "wait", ms: crashMs }];

  const steps: Step[] = planImage(container, input);
  if (instance && isAlive(instance)) {
    // How it ends is looked at before the next one is made. Pulled first: what runs goes on while a slow link delivers.
    const graceSeconds = wanted.pod.spec?.terminationGracePeriodSeconds ?? 30;
    steps.push({ do: "stop", targets: [target(instance, changed ? "changed" : "stray")], graceSeconds });
    return steps;
  }
  // An instance that was made but never ran leaves its number to the next one, which needs it out of the way first.
  const ran = known !== undefined && (known.ended !== undefined || known.startedAtMs > 0);
  const next = known ? known.attempt + (ran ? 1 : 0) : 0;
  const attempt = Math.max(next, troubles.containerAttempts.get(name) ?? 0);
  // A start that failed may have left what runs, of which the runtime knows nothing until it is to remove it: two must not run.
  const isGoneFirst = instance !== undefined && (!ran || instance.reason === START_ERROR);
  if (isGoneFirst) steps.push({ do: "remove", container: name, id: instance.id });
  steps.push({ do: "create", container: name, attempt });
  // What runs once is looked at before it is started, so that the intent on record names it.
  if (!runsOnce) steps.push({ do: "start", container: name, id: undefined });
  if (instance && !isGoneFirst) steps.push({ do: "remove", container: name, id: instance.id });
  return steps;
}

/**
 * A pull when the image is not there, and for the policy Always once per container: a further instance of it takes the image
 * that the pod has run already. So a crash loop does not eat the link, and a reboot far from any registry restores the pod.
 */
function planImage(container: Container, { facts, observed }: PlanInput): Step[] {
  const { name, image = "", imagePullPolicy } = container;
  const present = observed.images.get(image) === true;
  const hasRun = facts.containers[name] !== undefined && isSameVersion(facts.containers[name].version, container);
  if (present && (imagePullPolicy !== "Always" || hasRun)) return [];
  return [{ do: "pull", container: name, image, needed: !present }];
}

/** What is left of the wait after a crash. Neither clock alone decides: wall time jumps, the other forgets with the agent. */
function crashWait(container: ContainerFacts, observed: ObservedPod, now: Instant): number {
  if (!container.ended) return 0;
  const seenAt = observed.containers.find((c) => c.id === container.id)?.endSeenAt;
  const byWall = now.wallMs - container.ended.finishedAtMs;
  if (byWall < 0 && seenAt === undefined) return 0;
  const bySight = seenAt === undefined ? 0 : now.monotonicMs - seenAt;
  return container.backoffMs - Math.max(byWall, bySight);
}

/** How soon a pod with a deadline is to be looked at again for its sake. */
function untilDeadline({ wanted, facts, now }: PlanInput): number | undefined {
  const seconds = wanted.pod.spec?.activeDeadlineSeconds;
  if (seconds === undefined) return undefined;
  return Math.max(1, Math.min(seconds * 1000 - activeMs(facts, now), markDueMs(facts, wanted.pod, now)));
}

/** One wait at the end, as long as the shortest. */
function joinWaits(steps: Step[]): Step[] {
  const waits = steps.flatMap((step) => (step.do === "wait" ? [step.ms] : []));
  const rest = steps.filter((step) => step.do !== "wait");
  return waits.length === 0 ? rest : [...rest, { do: "wait", ms: Math.min(...waits) }];
}

const isAlive = (container: ObservedContainer): boolean =>
  container.state === "running" || container.state === "unknown";

const target = (container: ObservedContainer, why: StopTarget["why"]): StopTarget => ({
  container: container.name,
  id: container.id,
  why,
});
