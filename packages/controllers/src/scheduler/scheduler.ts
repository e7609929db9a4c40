import { systemClock, timestamp, type Clock, type Requeue } from "@skerry/base";
import type { Client, Informer } from "@skerry/client";
import { isConflict, isNotFound, keyString, kinds, type ObjectKey } from "@skerry/machinery";
import type { Binding, Node, Pod } from "@skerry/machinery/types";
import { Controller, parseKey, type Surroundings } from "../controller.ts";
import { referenceTo, type EventRecorder } from "../events.ts";
import { ClusterView, hasEnded } from "./cluster-view.ts";
import { place, refusalText } from "./fit.ts";

export const SCHEDULER_NAME = "default-scheduler";

export interface SchedulerOptions extends Surroundings {
  events: EventRecorder;
}

/** How long a pod that fits nowhere waits, when nothing changes that could help, in milliseconds. */
const LOOK_AGAIN_MS = 60_000;

/** How many bindings are on their way at once. */
const AT_ONCE = 16;

/**
 * Binds pods that ask for the default scheduler to nodes that fit. Choices are made one after the other, each counted before the next is made; only
 * what the API has to say about them is awaited side by side.
 */
export class Scheduler implements AsyncDisposable {
  readonly #client: Client;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #events: EventRecorder;
  readonly #clock: Clock;
  readonly #view = new ClusterView();
  /** Pods that fitted nowhere, and what was said about it. */
  readonly #waiting = new Map<string, string>();
  readonly #controller: Controller;

  constructor(options: SchedulerOptions) {
    this.#client = options.client;
    this.#pods = options.informers.of(kinds.Pod);
    this.#nodes = options.informers.of(kinds.Node);
    this.#events = options.events;
    this.#clock = options.clock ?? systemClock;
    this.#controller = new Controller({
      ...options,
      name: "scheduler",
      workers: AT_ONCE,
      reconcile: (key, signal) => this.#schedule(key, signal),
    });
  }

  /** Begins once the informers have their first lists: a choice needs the whole picture. */
  start(): void {
    this.#controller.start(
      this.#nodes.onChange(({ name }, current, previous) => {
        const node = current?.decode();
        this.#view.setNode(name, node);
        // Nodes report often and mostly the same.
        const before = previous?.decode();
        if (node && (!before || JSON.stringify(whatFits(node)) !== JSON.stringify(whatFits(before))))
          this.#retryWaiting();
      }),
      this.#pods.onChange((key, current, previous) => {
        const pod = current?.decode();
        const before = previous?.decode();
        this.#view.setPod(key, pod);
        if (pod && isForUs(pod)) this.#controller.enqueue(key);
        else this.#waiting.delete(keyString(key));
        // It took room, and takes none any more.
        if (before?.spec?.nodeName && !hasEnded(before) && (!pod?.spec?.nodeName || hasEnded(pod)))
          this.#retryWaiting();
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#controller[Symbol.asyncDispose]();
  }

  #retryWaiting(): void {
    for (const id of this.#waiting.keys()) this.#controller.enqueue(parseKey(id));
  }

  async #schedule(key: ObjectKey, signal: AbortSignal): Promise<Requeue | void> {
    const id = keyString(key);
    const pod = this.#pods.get(key)?.decode();
    if (!pod || !isForUs(pod)) {
      this.#waiting.delete(id);
      return;
    }
    // Bound by us: the informer will tell.
    if (this.#view.isPlaced(key, pod)) return;
    this.#view.unplace(key);
    const placement = place(pod, this.#view.candidates());
    if (!("node" in placement)) return this.#refuse(id, pod, refusalText(placement.reasons, placement.nodes), signal);

    this.#view.place(key, pod, placement.node);
    const binding: Binding = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: {
        name: key.name,
        namespace: key.namespace,
        ...(pod.metadata.uid !== undefined && { uid: pod.metadata.uid }),
      },
      target: { apiVersion: "v1", kind: "Node", name: placement.node },
    };
    try {
      await this.#client.create(kinds.Pod, binding as Pod, { subresource: "binding", signal });
    } catch (error) {
      this.#view.unplace(key);
      if (isConflict(error)) return this.#lookAgain(key, pod, signal);
      if (isNotFound(error)) return;
      throw error;
    }
    this.#waiting.delete(id);
    const message = `Successfully assigned ${id} to ${placement.node}`;
    this.#events.record(referenceTo(kinds.Pod, pod), "Normal", "Scheduled", message);
  }

  /** A pod that is bound already, perhaps by a try of ours that seemed to fail, counts where it is before the informer shows it. */
  async #lookAgain(key: ObjectKey, pod: Pod, signal: AbortSignal): Promise<void> {
    const found = (await this.#client.get(kinds.Pod, key, { signal })).decode();
    if (found.metadata.uid === pod.metadata.uid) this.#view.setPod(key, found);
  }

  async #refuse(id: string, pod: Pod, message: string, signal: AbortSignal): Promise<Requeue> {
    if (this.#waiting.get(id) !== message) {
      this.#events.record(referenceTo(kinds.Pod, pod), "Warning", "FailedScheduling", message);
      const condition = {
        type: "PodScheduled",
        status: "False",
        reason: "Unschedulable",
        message,
        lastTransitionTime: timestamp(this.#clock.now()),
      };
      const { name = "", namespace = "", uid } = pod.metadata;
      await this.#client.patch(
        kinds.Pod,
        { name, namespace },
        { type: "strategic-merge-patch+json", body: { metadata: { uid }, status: { conditions: [condition] } } },
        { subresource: "status", signal },
      );
      this.#waiting.set(id, message);
    }
    return { requeueAfterMs: LOOK_AGAIN_MS };
  }
}

/** What of a node decides whether a pod fits. */
const whatFits = ({ metadata, spec, status }: Node): unknown => [
  metadata.labels,
  spec?.unschedulable,
  spec?.taints,
  status?.allocatable,
  status?.capacity,
];

const isForUs = (pod: Pod): boolean =>
  !pod.spec?.nodeName &&
  (pod.spec?.schedulerName ?? SCHEDULER_NAME) === SCHEDULER_NAME &&
  pod.metadata.deletionTimestamp === undefined &&
  !hasEnded(pod);
