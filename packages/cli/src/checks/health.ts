import { existsSync } from "node:fs";
import type { AgentStatus } from "@skerry/agent";
import { isMissingFile, systemClock } from "@skerry/base";
import { kinds, type Kind, type KubeObject } from "@skerry/machinery";
import type { Node, Pod } from "@skerry/machinery/types";
import { runningDaemon } from "../instance/control.ts";
import { readConfig } from "../instance/config-file.ts";
import { commandLine } from "../instance/command-line.ts";
import { edgeStatus } from "../instance/health.ts";
import type { Instance } from "../instance/instance.ts";
import { adminClient } from "../instance/kubeconfig.ts";
import { roomProblems, type Problem } from "./machine.ts";

/** How long the cloud may take to answer a look, in milliseconds. */
const LOOK_MS = 5_000;

/** With less room than this, what is stored, pulled or logged next finds none, and is refused. `check` warns much earlier. */
const FULL_DISK = { leastBytes: 16 * 1024 ** 2, leastFiles: 100 };

/** How an instance is, as one look found it: from the cloud's API and from the edge's own socket. */
export interface Look {
  cloud: { running: boolean; pid: number | undefined; answers: boolean };
  edge: { running: boolean; pid: number | undefined; status: AgentStatus | undefined };
  nodes: readonly Node[];
  pods: readonly Pod[];
  problems: Problem[];
}

export async function lookAt(instance: Instance, signal: AbortSignal): Promise<Look> {
  const { layout, settings } = instance;
  const problems: Problem[] = [];
  const cloud = settings.roles.includes("cloud") ? await runningDaemon(instance, "cloud") : undefined;
  const edge = settings.roles.includes("edge") ? await runningDaemon(instance, "edge") : undefined;
  const ours = (words: string): string => commandLine(layout, words);
  if (settings.roles.includes("cloud") && !cloud) {
    problems.push({ what: "The cloud does not run; pods go on without it", mend: ours("cloud start") });
  }
  if (settings.roles.includes("edge") && !edge) {
    problems.push(
      existsSync(layout.identity)
        ? {
            what: "The edge's agent does not run; nothing is started or restarted",
            mend: ours("edge start"),
          }
        : {
            what: "This machine has not joined yet, so no pod runs on it",
            mend: ours(settings.roles.includes("cloud") ? "up" : "join HOST:PORT TOKEN"),
          },
    );
  }
  const { mistake } = await readConfig(layout, settings);
  if (mistake !== undefined) {
    problems.push({
      what: mistake,
      mend: "correct it; daemons go on without what it says there, and read the file again when they start",
    });
  }

  problems.push(...(await roomProblems(layout, FULL_DISK)));

  let nodes: readonly Node[] = [];
  let pods: readonly Pod[] = [];
  let answers = false;
  if (cloud) {
    try {
      await using client = await adminClient(layout, { timeoutMs: LOOK_MS });
      const all = async <T extends KubeObject>(kind: Kind<T>): Promise<T[]> =>
        (await client.list(kind, { signal })).items.map((item) => item.decode());
      [nodes, pods] = await Promise.all([all(kinds.Node), all(kinds.Pod)]);
      answers = true;
    } catch (error) {
      signal.throwIfAborted();
      problems.push({
        what: existsSync(layout.kubeconfig)
          ? `The cloud runs but does not answer: ${(error as Error).message}`
          : "The cloud is starting",
        mend: ours("logs cloud"),
      });
    }
  }

  let status: AgentStatus | undefined;
  let edgeStarts = false;
  if (edge) {
    try {
      status = await edgeStatus(layout);
      problems.push(...status.problems);
    } catch (error) {
      edgeStarts = isMissingFile(error);
      problems.push({
        what: edgeStarts
          ? "The edge's agent is starting"
          : `The edge's agent does not answer: ${(error as Error).message}`,
        mend: ours("logs edge"),
      });
    }
  }
  problems.push(
    ...nodes
      .filter((node) => !(edgeStarts && node.metadata.name === settings.nodeName))
      .flatMap((node) => nodeProblems(node, instance, systemClock.now())),
    ...pods.flatMap((pod) => podProblems(pod, instance, systemClock.now())),
  );
  return {
    cloud: { running: cloud !== undefined, pid: cloud?.pid, answers },
    edge: { running: edge !== undefined, pid: edge?.pid, status },
    nodes,
    pods,
    problems,
  };
}

export const problemsOf = async (instance: Instance, signal: AbortSignal): Promise<Problem[]> =>
  (await lookAt(instance, signal)).problems;

/** A command on the machine of a node: what this one's instance is called there is not known, unless it is this one. */
const commandOn = (node: string | undefined, { layout, settings }: Instance, words: string): string =>
  node === settings.nodeName && settings.roles.includes("edge") ? commandLine(layout, words) : `./skerry ${words}`;

/** How long a node may take from its joining until it is heard of: its agent starts meanwhile. */
const FIRST_WORD_MS = 60_000;

/** What is wrong with a node, at a time. */
export function nodeProblems(node: Node, instance: Instance, now: number): Problem[] {
  const { name, creationTimestamp } = node.metadata;
  const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
  if (ready?.status === "True") return [];
  if (ready?.status === "Unknown" || !ready) {
    // One whose agent has never reported has no version either.
    const isNew = !node.status?.nodeInfo && now - Date.parse(creationTimestamp ?? "") < FIRST_WORD_MS;
    if (isNew) return [];
    return [
      {
        what: `Node ${name} is out of reach${ready?.lastTransitionTime ? ` since ${ready.lastTransitionTime}` : ""}`,
        mend: `look at that machine: is it on, does its agent run (${commandOn(name, instance, "status")}), does it reach this cloud's link port`,
      },
    ];
  }
  return [
    {
      what: `Node ${name} is not ready: ${ready.message ?? ready.reason ?? "no reason given"}`,
      mend: `${commandOn(name, instance, "check")}, on ${name}`,
    },
  ];
}

const notPulled = (importImage: string): string =>
  `check the image's name, and that the node reaches its registry; or import it there: ${importImage}`;

/** Reasons of waiting that do not pass by themselves. */
const STUCK: Record<string, string | ((importImage: string) => string)> = {
  ErrImagePull: notPulled,
  ImagePullBackOff: notPulled,
  ErrImageNeverPull: (importImage) => `import the image on the node: ${importImage}`,
  InvalidImageName: "correct the image's name",
  CrashLoopBackOff: "see why it ends",
  CreateContainerConfigError: "make the ConfigMap or Secret that it names",
  CreateContainerError: "see the pod's events",
  RunContainerError: "see the pod's events",
  /** Where a message says what is in its way. */
  ContainerCreating: "mend what the message names",
  Unsupported: "leave out the field that its events name",
};

/** How long after its grace a deleted pod may take to leave: a node ends by force what its runtime does not end in 90 s. */
const LEAVING_MS = 3 * 60_000;

/** What is wrong with a pod, at a time, and does not pass by itself. */
export function podProblems(pod: Pod, instance: Instance, now: number): Problem[] {
  const { namespace, name, deletionTimestamp, finalizers = [] } = pod.metadata;
  if (deletionTimestamp !== undefined && now - Date.parse(deletionTimestamp) > LEAVING_MS) {
    const ours = (words: string): string => commandLine(instance.layout, `kubectl -n ${namespace} ${words}`);
    const mend =
      finalizers.length > 0
        ? `it waits for whoever is to remove its finalizers: ${finalizers.join(", ")}`
        : `see its events (${ours(`describe pod ${name}`)}); it leaves when its node is back, and if that is gone for good: ${ours(`delete pod ${name} --force`)}`;
    return [{ what: `Pod ${namespace}/${name} was to be gone at ${deletionTimestamp}`, mend }];
  }
  // What has ended waits for nothing any more.
  if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") return [];
  const unschedulable = pod.status?.conditions?.find(
    (condition) => condition.type === "PodScheduled" && condition.status === "False",
  );
  if (unschedulable) {
    return [
      {
        what: `Pod ${namespace}/${name} fits on no node: ${unschedulable.message}`,
        mend: "as the reason says: free a port or room on a node, correct what the pod asks for, kubectl uncordon a node, or join one",
      },
    ];
  }
  return (pod.status?.containerStatuses ?? []).flatMap((status) => {
    const { reason = "", message = "" } = status.state?.waiting ?? {};
    const words = STUCK[reason];
    const isBeingMade = reason === "ContainerCreating";
    if (words === undefined || (isBeingMade && message === "")) return [];
    const mend =
      typeof words === "string" ? words : words(commandOn(pod.spec?.nodeName, instance, "image import FILE"));
    const verb = reason === "CrashLoopBackOff" ? `logs ${name} -p` : `describe pod ${name}`;
    const look = commandLine(instance.layout, `kubectl -n ${namespace} ${verb}`);
    return [
      {
        what: `Pod ${namespace}/${name}: ${status.name} waits in ${reason}${isBeingMade ? `: ${message}` : ""}`,
        mend: `${mend} (${look})`,
      },
    ];
  });
}
