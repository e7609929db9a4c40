import { systemClock, timestamp, type Clock, type Requeue } from "@skerry/base";
import type { Client, Informer } from "@skerry/client";
import {
  isNotFound,
  kinds,
  matchesSelector,
  selectorOf,
  statusOf,
  type ObjectKey,
  type OwnerReference,
} from "@skerry/machinery";
import type { ObjectReference, Pod, ReplicaSet, ReplicaSetStatus } from "@skerry/machinery/types";
import { claim, controllerOf, indexOwned, ownerReferenceTo } from "../adoption.ts";
import { Controller, type Surroundings } from "../controller.ts";
import { referenceTo, type EventRecorder } from "../events.ts";
import { LAG_MS, OwnWrites } from "../own-writes.ts";
import { availableInMs, isActive, isReady } from "../pods.ts";
import { planReplicas } from "./plan.ts";

export interface ReplicaSetControllerOptions extends Surroundings {
  events: EventRecorder;
}

/** How many pods are made or deleted at once. */
const AT_ONCE = 64;
/** How soon to try again when pods were refused, in milliseconds. */
const REFUSED_MS = 5_000;

/** Keeps as many pods of a template as a ReplicaSet wants. */
export class ReplicaSetController implements AsyncDisposable {
  readonly #client: Client;
  readonly #sets: Informer<ReplicaSet>;
  readonly #pods: Informer<Pod>;
  readonly #events: EventRecorder;
  readonly #clock: Clock;
  readonly #controller: Controller;
  /** Pods that we made, and the uids of those that we deleted, by set, until the informer shows it. */
  readonly #made: OwnWrites;
  readonly #deleted = new Map<string, Set<string>>();

  constructor(options: ReplicaSetControllerOptions) {
    this.#client = options.client;
    this.#sets = options.informers.of(kinds.ReplicaSet);
    this.#pods = options.informers.of(kinds.Pod);
    indexOwned(this.#pods);
    this.#made = new OwnWrites(this.#pods);
    this.#events = options.events;
    this.#clock = options.clock ?? systemClock;
    this.#controller = new Controller({
      ...options,
      name: "replicaset",
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
  }

  start(): void {
    this.#controller.start(
      this.#sets.onChange((key, current, previous) => {
        const gone = previous?.decode().metadata.uid;
        if (gone !== undefined && gone !== current?.decode().metadata.uid) this.#forget(gone);
        this.#controller.enqueue(key);
      }),
      this.#pods.onChange((key, current, previous) => {
        for (const pod of [current?.decode(), previous?.decode()]) {
          if (!pod) continue;
          const owner = controllerOf(pod);
          if (owner?.kind === "ReplicaSet") this.#controller.enqueue({ namespace: key.namespace, name: owner.name });
          else if (!owner) this.#enqueueMatching(pod, key.namespace);
        }
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#controller[Symbol.asyncDispose]();
  }

  #enqueueMatching(pod: Pod, namespace: string): void {
    if (pod.metadata.labels === undefined) return;
    for (const set of this.#sets.values(namespace)) {
      if (matches(set.decode(), pod)) this.#controller.enqueue(set.key);
    }
  }

  async #reconcile(key: ObjectKey, signal: AbortSignal): Promise<Requeue | void> {
    const set = this.#sets.get(key)?.decode();
    if (!set) return;
    const pods = await this.#claim(set, signal);
    const active = pods.filter(isActive);
    if (!this.#hasSeenAll(set)) return { requeueAfterMs: LAG_MS };
    const failure = set.metadata.deletionTimestamp === undefined ? await this.#scale(set, active, signal) : undefined;
    // A status that leaves out what was just made would be taken for one that knows of it.
    if (!this.#hasSeenAll(set)) return { requeueAfterMs: LAG_MS };
    const availableMs = await this.#report(set, active, failure, signal);
    const next = Math.min(availableMs, failure ? REFUSED_MS : Infinity);
    if (next !== Infinity) return { requeueAfterMs: next };
  }

  #claim(set: ReplicaSet, signal: AbortSignal): Promise<Pod[]> {
    return claim({
      client: this.#client,
      kind: kinds.ReplicaSet,
      owner: set,
      among: this.#pods,
      matches: (pod) => matches(set, pod),
      isWanted: isActive,
      setOwners: (pod, owners) => this.#setOwners(pod, owners, signal),
      signal,
    });
  }

  async #setOwners(
    pod: Pod,
    ownerReferences: readonly OwnerReference[],
    signal: AbortSignal,
  ): Promise<Pod | undefined> {
    const { name = "", namespace = "", uid, resourceVersion } = pod.metadata;
    try {
      // The uid and revision make sure that it is still the pod that we looked at.
      const body = { metadata: { uid, resourceVersion, ownerReferences } };
      const patch = { type: "merge-patch+json", body } as const;
      return (await this.#client.patch(kinds.Pod, { namespace, name }, patch, { signal })).decode();
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Whether the informer shows everything that we wrote for the set; acting before would make or delete too many. */
  #hasSeenAll(set: ReplicaSet): boolean {
    const { uid = "" } = set.metadata;
    if (!this.#made.areShown(uid)) return false;
    const deleted = this.#deleted.get(uid);
    if (!deleted) return true;
    for (const entry of this.#pods.byIndex("controller", uid)) {
      const pod = entry.decode();
      if (deleted.has(pod.metadata.uid ?? "") && isActive(pod)) return false;
    }
    this.#deleted.delete(uid);
    return true;
  }

  #forget(uid: string): void {
    this.#made.forget(uid);
    this.#deleted.delete(uid);
  }

  async #scale(
    set: ReplicaSet,
    active: readonly Pod[],
    signal: AbortSignal,
  ): Promise<{ reason: string; message: string } | undefined> {
    const plan = planReplicas(set.spec?.replicas ?? 1, active);
    const reference = referenceTo(kinds.ReplicaSet, set);
    try {
      // A refusal for one is a refusal for all: begin with one, then twice as many, so that a quota is not run against 500 times.
      for (let done = 0, size = 1; done < plan.create; done += size, size = Math.min(size * 2, AT_ONCE)) {
        await all(Array.from({ length: Math.min(size, plan.create - done) }, () => this.#make(set, reference, signal)));
      }
    } catch (error) {
      signal.throwIfAborted();
      const message = `Error creating: ${(error as Error).message}`;
      this.#events.record(reference, "Warning", "FailedCreate", message);
      if (statusOf(error) === undefined) throw error;
      return { reason: "FailedCreate", message };
    }
    for (let done = 0; done < plan.remove.length; done += AT_ONCE) {
      const batch = plan.remove.slice(done, done + AT_ONCE);
      await all(batch.map((pod) => this.#remove(set, reference, pod, signal)));
    }
    return undefined;
  }

  async #make(set: ReplicaSet, reference: ObjectReference, signal: AbortSignal): Promise<void> {
    const made = await this.#client.create(kinds.Pod, podOf(set), { signal });
    this.#made.note(set.metadata.uid ?? "", made.revision);
    this.#events.record(reference, "Normal", "SuccessfulCreate", `Created pod: ${made.key.name}`);
  }

  async #remove(set: ReplicaSet, reference: ObjectReference, pod: Pod, signal: AbortSignal): Promise<void> {
    const { uid = "", name = "", namespace = "" } = pod.metadata;
    const owner = set.metadata.uid ?? "";
    // Before the answer: the informer may be told first.
    const deleted = this.#deleted.get(owner) ?? new Set<string>();
    this.#deleted.set(owner, deleted.add(uid));
    try {
      await this.#client.delete(kinds.Pod, { namespace, name }, { preconditions: { uid }, signal });
      this.#events.record(reference, "Normal", "SuccessfulDelete", `Deleted pod: ${name}`);
    } catch (error) {
      if (isNotFound(error)) return;
      deleted.delete(uid);
      throw error;
    }
  }

  /** Writes the status when it differs, and says in how many milliseconds the next pod becomes available by time alone; Infinity: none does. */
  async #report(
    set: ReplicaSet,
    active: readonly Pod[],
    failure: { reason: string; message: string } | undefined,
    signal: AbortSignal,
  ): Promise<number> {
    const minReady = set.spec?.minReadySeconds ?? 0;
    const now = this.#clock.now();
    const waits = active.map((pod) => availableInMs(pod, minReady, now));
    const templateLabels = Object.entries(set.spec?.template?.metadata?.labels ?? {});
    const before = set.status;
    const condition = failure && {
      type: "ReplicaFailure",
      status: "True",
      ...failure,
      lastTransitionTime:
        before?.conditions?.find((each) => each.type === "ReplicaFailure")?.lastTransitionTime ?? timestamp(now),
    };
    const status: ReplicaSetStatus = {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) =>
        templateLabels.every(([name, value]) => pod.metadata.labels?.[name] === value),
      ).length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: waits.filter((wait) => wait === 0).length,
      observedGeneration: set.metadata.generation ?? 0,
      ...(condition && { conditions: [condition] }),
    };
    if (!sameStatus(before, status)) {
      try {
        await this.#client.update(kinds.ReplicaSet, { ...set, status }, { subresource: "status", signal });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    return Math.min(...waits.filter((wait): wait is number => wait !== undefined && wait > 0));
  }
}

/** Waits for all of them, whatever becomes of each, and then throws the first failure. */
async function all(writes: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(writes)) if (result.status === "rejected") throw result.reason;
}

function sameStatus(before: ReplicaSetStatus | undefined, after: ReplicaSetStatus): boolean {
  const counts = [
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
  ] as const;
  return (
    counts.every((name) => (before?.[name] ?? 0) === (after[name] ?? 0)) &&
    JSON.stringify(before?.conditions ?? []) === JSON.stringify(after.conditions ?? [])
  );
}

function matches(set: ReplicaSet, pod: Pod): boolean {
  const selector = set.spec?.selector;
  return selector !== undefined && matchesSelector(selectorOf(selector), pod.metadata.labels ?? {});
}

/** The reference by which a set owns what it made. */
function podOf(set: ReplicaSet): Pod {
  const { name = "", namespace = "" } = set.metadata;
  const template = set.spec?.template;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: `${name}-`,
      namespace,
      ...(template?.metadata?.labels && { labels: template.metadata.labels }),
      ...(template?.metadata?.annotations && { annotations: template.metadata.annotations }),
      ...(template?.metadata?.finalizers && { finalizers: template.metadata.finalizers }),
      ownerReferences: [ownerReferenceTo(kinds.ReplicaSet, set)],
    },
    ...(template?.spec && { spec: template.spec }),
  } as Pod;
}
