import { RuntimeError, type RuntimeErrorCode } from "../runtime/runtime.ts";
import { VolumeError } from "../volumes/volumes.ts";
import { ContainerConfigError } from "./config-error.ts";
import type { EventText } from "./events.ts";
import type { PodFacts } from "./facts.ts";
import { ImageNeverPullError } from "./perform.ts";
import { containerOf, type Step } from "./steps.ts";
import { LOCAL_RETRY, PULL_RETRY, retryMs, type Trouble, type Troubles } from "./troubles.ts";

/** Whether the runtime itself is away, so that nothing about the pod is to blame. */
export const isRuntimeAway = (error: unknown): boolean => isOf(error, "Unavailable");

/** Steps that end something. */
const ENDINGS: ReadonlySet<Step["do"]> = new Set(["stop", "stop-sandbox", "remove-sandbox", "remove"]);

/** Whether the runtime cannot end what it was to: its shim stands still, or it has lost sight of what runs. */
export const isStuck = (step: Step, error: unknown): boolean =>
  ENDINGS.has(step.do) && (isOf(error, "StillRunning") || (step.do !== "remove" && isOf(error, "TimedOut")));

/** Whether it, or one of several that happened side by side, is of this kind. */
const isOf = (error: unknown, code: RuntimeErrorCode): boolean =>
  error instanceof AggregateError
    ? error.errors.some((one) => isOf(one, code))
    : error instanceof RuntimeError && error.code === code;

/**
 * Takes the failure of a step into the pod's troubles and says what its author is told. Undefined: nothing but that the step is to
 * be tried again soon.
 */
export function blame(step: Step, error: unknown, troubles: Troubles, monotonicMs: number): EventText[] {
  const message = withoutIds(error instanceof Error ? error.message : String(error));
  const container = containerOf(step);
  const add = (reason: string, text: string, retry: { initialMs: number; maxMs: number }): void => {
    const before = container === undefined ? troubles.pod : troubles.containers.get(container);
    const failures = (before && isSameKind(before.reason, reason) ? before.failures : 0) + 1;
    const retryAt = monotonicMs + retryMs(failures, retry);
    const trouble: Trouble = { reason, message: text, failures, since: monotonicMs, retryAt };
    if (container === undefined) troubles.pod = trouble;
    else troubles.containers.set(container, trouble);
  };
  const warning = (reason: string, text: string): EventText => ({ type: "Warning", reason, message: text, container });

  switch (step.do) {
    case "pull":
      if (error instanceof ImageNeverPullError) {
        add("ErrImageNeverPull", message, PULL_RETRY);
        return [warning("ErrImageNeverPull", message), warning("Failed", "Error: ErrImageNeverPull")];
      }
      add("ErrImagePull", message, PULL_RETRY);
      return [
        warning("Failed", `Failed to pull image "${step.image}": ${message}`),
        warning("Failed", "Error: ErrImagePull"),
      ];
    case "create":
      if (isNameTaken(error)) troubles.containerAttempts.set(step.container, step.attempt + 1);
      add(
        error instanceof ContainerConfigError ? "CreateContainerConfigError" : "CreateContainerError",
        message,
        LOCAL_RETRY,
      );
      return [warning("Failed", `Error: ${message}`)];
    case "intend":
    case "start":
      add("RunContainerError", message, LOCAL_RETRY);
      return [warning("Failed", `Error: ${message}`)];
    case "run-sandbox":
      if (isNameTaken(error)) troubles.sandboxAttempt = step.attempt + 1;
      add("FailedCreatePodSandBox", message, LOCAL_RETRY);
      return [warning("FailedCreatePodSandBox", `Failed to create pod sandbox: ${message}`)];
    case "volumes":
      add("FailedMount", message, LOCAL_RETRY);
      return [
        warning("FailedMount", error instanceof VolumeError ? message : `Cannot make the pod's volumes: ${message}`),
      ];
    case "resolv-conf":
      add("FailedMount", message, LOCAL_RETRY);
      return [warning("FailedMount", `Cannot write the pod's resolv.conf: ${message}`)];
    case "cgroup":
      add("FailedCreatePodContainer", message, LOCAL_RETRY);
      return [warning("FailedCreatePodContainer", `unable to ensure pod container exists: ${message}`)];
    case "stop":
    case "stop-sandbox":
    case "remove-sandbox":
    case "teardown":
      return [warning("FailedKillPod", `error killing pod: ${message}`)];
    case "remove":
    case "finish":
    case "wait":
      return [];
  }
}

/**
 * A failure's text without what is another at each try, so that the same failure again is the same event: ids of containers, names of
 * temporary mounts. Digests of images stay, which say what was meant.
 */
const withoutIds = (text: string): string =>
  text
    .replace(/(?<![0-9a-f]|sha256[:/])[0-9a-f]{64}(?![0-9a-f])/g, "<id>")
    .replace(/\b(containerd-mount|runc-process)\d+/g, "$1<id>");

/** Whether the runtime holds the name for what it does not show: left by a call that was cut off. */
const isNameTaken = (error: unknown): boolean => error instanceof RuntimeError && error.code === "AlreadyExists";

/** How long a failed pull is shown as failed before it is shown as waiting. */
export const PULL_FAILURE_SHOWN_MS = 1_000;

/**
 * A pull that failed is told twice, as users know it: why it failed, and a little later that it waits to be tried again.
 * Says what the author is told.
 */
export function settlePulls(
  troubles: Troubles,
  imageOf: (container: string) => string,
  monotonicMs: number,
): EventText[] {
  const events: EventText[] = [];
  for (const [container, trouble] of troubles.containers) {
    if (trouble.reason !== "ErrImagePull" || monotonicMs - trouble.since < PULL_FAILURE_SHOWN_MS) continue;
    const message = `Back-off pulling image "${imageOf(container)}"`;
    troubles.containers.set(container, {
      ...trouble,
      reason: "ImagePullBackOff",
      message: `${message}: ErrImagePull: ${trouble.message}`,
    });
    events.push({ type: "Normal", reason: "BackOff", message, container });
    events.push({ type: "Warning", reason: "Failed", message: "Error: ImagePullBackOff", container });
  }
  return events;
}

/** How many ends of containers are remembered as told. */
const MAX_TOLD = 50;

/** What the author is told of containers that wait after a crash: once per end, which `told` remembers. */
export function crashEvents(facts: PodFacts, told: Set<string>, wallMs: number): EventText[] {
  if (facts.final) return [];
  const events: EventText[] = [];
  for (const [container, { ended, backoffMs }] of Object.entries(facts.containers)) {
    if (!ended || backoffMs === 0 || told.has(ended.id) || wallMs - ended.finishedAtMs > backoffMs) continue;
    told.add(ended.id);
    const message = `Back-off restarting failed container ${container} in pod ${facts.name}_${facts.namespace}(${facts.uid})`;
    events.push({ type: "Warning", reason: "BackOff", message, container });
  }
  while (told.size > MAX_TOLD) told.delete([...told][0] ?? "");
  return events;
}

const isSameKind = (a: string, b: string): boolean => a === b || (a === "ImagePullBackOff" && b === "ErrImagePull");
