import { silentLogger, systemClock, timestamp, type Clock, type Logger, type Requeue } from "@skerry/base";
import type { Client, Informer, Informers } from "@skerry/client";
import { isConflict, isNotFound, kinds, type ObjectKey } from "@skerry/machinery";
import type { Binding, Node, Pod } from "@skerry/machinery/types";
import { Controller, parseKey } from "../controller.ts";
import { referenceTo, type EventRecorder } from "../events.ts";
import { ClusterView, hasEnded } from "./cluster-view.ts";
import { place, refusalText } from "./fit.ts";

export const SCHEDULER_NAME = "default-scheduler";

export interface SchedulerOptions {
  client: Client;
  informers: Informers;
  events: EventRecorder;
  clock?: Clock;
  random?: () => number;
  log?: Logger;
}

/** How long a pod that fits nowhere waits, when nothing changes that could help, in milliseconds. */
const LOOK_AGAIN_MS = 60_000;

/** Binds pods that ask for the default scheduler to nodes that fit, one at a time, so that each sees the choice before. */
export class Scheduler implements AsyncDisposable {
  readonly #client: Client;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #events: EventRecorder;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #view = new ClusterView();
  /** Pods that fitted nowhere, and what was said about it. */
  readonly #waiting = new Map<string, string>();
  readonly #controller: Controller;
  readonly #ends: (() => void)[] = [];

  constructor(options: SchedulerOptions) {
    this.#client = options.client;
    this.#pods = options.informers.of(kinds.Pod);
    this.#nodes = options.informers.of(kinds.Node);
    this.#events = options.events;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#controller = new Controller({
      name: "scheduler",
      reconcile: (key, signal) => this.#schedule(key, signal),
      log: this.#log,
      ...(options.clock && { clock: options.clock }),
      ...(options.random && { random: options.random }),
    });
  }

  /** Begins once the informers have their first lists: a choice needs the whole picture. */
  start(): void {
    this.#ends.push(
      this.#nodes.onChange(({ name }, current) => {
        this.#view.setNode(name, current?.decode());
        this.#retryWaiting();
      }),
      this.#pods.onChange((key, current, previous) => {
        const pod = current?.decode();
        this.#view.setPod(key, pod);
        if (pod && isForUs(pod)) this.#controller.enqueue(key);
        else if (!pod || (hasEnded(pod) && previous !== undefined)) this.#retryWaiting();
      }),
    );
    this.#controller.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) end();
    await this.#controller[Symbol.asyncDispose]();
  }

  #retryWaiting(): void {
    for (const id of this.#waiting.keys()) this.#controller.enqueue(parseKey(id));
  }

  async #schedule(key: ObjectKey, signal: AbortSignal): Promise<Requeue | void> {
    const id = `${key.namespace}/${key.name}`;
    const pod = this.#pods.get(key)?.decode();
    if (!pod || !isForUs(pod)) {
      this.#waiting.delete(id);
      return;
    }
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
      // Gone, or bound by somebody else: the informer will tell.
      if (isNotFound(error) || isConflict(error)) return;
      throw error;
    }
    this.#waiting.delete(id);
    const message = `Successfully assigned ${id} to ${placement.node}`;
    this.#events.record(referenceTo(kinds.Pod, pod), "Normal", "Scheduled", message);
  }

  async #refuse(id: string, pod: Pod, message: string, signal: AbortSignal): Promise<Requeue> {
    if (this.#waiting.get(id) !== message) {
      this.#waiting.set(id, message);
      this.#events.record(referenceTo(kinds.Pod, pod), "Warning", "FailedScheduling", message);
      const condition = {
        type: "PodScheduled",
        status: "False",
        reason: "Unschedulable",
        message,
        lastTransitionTime: timestamp(this.#clock.now()),
      };
      const { name = "", namespace = "" } = pod.metadata;
      await this.#client.patch(
        kinds.Pod,
        { name, namespace },
        { type: "strategic-merge-patch+json", body: { status: { conditions: [condition] } } },
        { subresource: "status", signal },
      );
    }
    return { requeueAfterMs: LOOK_AGAIN_MS };
  }
}

const isForUs = (pod: Pod): boolean =>
  !pod.spec?.nodeName &&
  (pod.spec?.schedulerName ?? SCHEDULER_NAME) === SCHEDULER_NAME &&
  pod.metadata.deletionTimestamp === undefined &&
  !hasEnded(pod);
