import { systemClock, type Clock, type Requeue } from "@skerry/base";
import type { Client, Informer } from "@skerry/client";
import {
  isAlreadyExists,
  kinds,
  matchesSelector,
  selectorOf,
  statusOf,
  type ObjectKey,
  type OwnerReference,
} from "@skerry/machinery";
import type { Deployment, Pod, PodTemplateSpec, ReplicaSet } from "@skerry/machinery/types";
import { claim, controllerOf, indexOwned, ownerReferenceTo } from "../adoption.ts";
import { Controller, type Surroundings } from "../controller.ts";
import { referenceTo, type EventRecorder } from "../events.ts";
import { LAG_MS, OwnWrites } from "../own-writes.ts";
import { hasEnded } from "../scheduler/cluster-view.ts";
import { unlessGone } from "../writes.ts";
import {
  availableOf,
  boundsOf,
  byAge,
  DESIRED_REPLICAS,
  heldBy,
  isScaling,
  MAX_REPLICAS,
  planCleanup,
  planRecreate,
  planRolling,
  planScaling,
  REVISION,
  revisionOf,
  sizeOf,
  wantedOf,
  type Resize,
} from "./plan.ts";
import { deadlineLeftMs, statusOfDeployment, type Progress } from "./status.ts";
import { HASH_LABEL, sameTemplate, templateHash } from "./template-hash.ts";

export interface DeploymentControllerOptions extends Surroundings {
  events: EventRecorder;
}

/** Annotations of a deployment that its sets do not take over. */
const NOT_INHERITED = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  "deployment.kubernetes.io/revision-history",
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  "deprecated.deployment.rollback.to",
]);

/** The longest wait for a deadline: timers do not hold the longest ones that can be written. */
const LOOK_AGAIN_MS = 3_600_000;
/** How soon to try again when the new set was refused, in milliseconds. */
const REFUSED_MS = 5_000;

/** Rolls a deployment from one pod template to the next: a ReplicaSet for each, grown and shrunk within the bounds of its strategy. */
export class DeploymentController implements AsyncDisposable {
  readonly #client: Client;
  readonly #deployments: Informer<Deployment>;
  readonly #sets: Informer<ReplicaSet>;
  readonly #pods: Informer<Pod>;
  readonly #events: EventRecorder;
  readonly #clock: Clock;
  readonly #controller: Controller;
  /** Sets that we wrote, by deployment. */
  readonly #written: OwnWrites;

  constructor(options: DeploymentControllerOptions) {
    this.#client = options.client;
    this.#deployments = options.informers.of(kinds.Deployment);
    this.#sets = options.informers.of(kinds.ReplicaSet);
    indexOwned(this.#sets);
    this.#written = new OwnWrites(this.#sets);
    this.#pods = options.informers.of(kinds.Pod);
    indexOwned(this.#pods);
    this.#events = options.events;
    this.#clock = options.clock ?? systemClock;
    this.#controller = new Controller({
      ...options,
      name: "deployment",
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
  }

  start(): void {
    this.#controller.start(
      this.#deployments.onChange((key, current, previous) => {
        const gone = previous?.decode().metadata.uid;
        if (gone !== undefined && gone !== current?.decode().metadata.uid) this.#written.forget(gone);
        this.#controller.enqueue(key);
      }),
      this.#sets.onChange((key, current, previous) => {
        for (const set of [current?.decode(), previous?.decode()]) {
          const owner = set && controllerOf(set);
          if (owner?.kind === "Deployment") this.#controller.enqueue({ namespace: key.namespace, name: owner.name });
          else if (set && !owner) this.#enqueueMatching(set, key.namespace);
        }
      }),
      // Recreate waits for the last old pod to be gone.
      this.#pods.onChange((key, current, previous) => {
        const pod = previous?.decode();
        const owner = pod && controllerOf(pod);
        if (owner?.kind !== "ReplicaSet" || (current && !hasEnded(current.decode()))) return;
        const set = this.#sets.get({ namespace: key.namespace, name: owner.name })?.decode();
        const deployment = set && controllerOf(set);
        if (deployment) this.#controller.enqueue({ namespace: key.namespace, name: deployment.name });
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#controller[Symbol.asyncDispose]();
  }

  #enqueueMatching(set: ReplicaSet, namespace: string): void {
    for (const deployment of this.#deployments.values(namespace)) {
      if (matches(deployment.decode(), set)) this.#controller.enqueue(deployment.key);
    }
  }

  async #reconcile(key: ObjectKey, signal: AbortSignal): Promise<Requeue | void> {
    const deployment = this.#deployments.get(key)?.decode();
    if (!deployment) return;
    // A set that we made or grew and do not see yet would be missing in the sum that must not grow too large.
    if (!this.#written.areShown(deployment.metadata.uid ?? "")) return { requeueAfterMs: LAG_MS };
    const sets = await this.#claim(deployment, signal);
    const template = deployment.spec?.template ?? {};
    let current = byAge(sets).find((set) => sameTemplate(set.spec?.template ?? {}, template));
    let progress: Progress | undefined;
    let collisionCount = deployment.status?.collisionCount;

    if (deployment.metadata.deletionTimestamp === undefined) {
      const old = sets.filter((set) => set !== current);
      if (deployment.spec?.paused || isScaling(deployment, sets)) {
        await this.#resize(deployment, planScaling(deployment, current, old), signal);
      } else {
        const made = await this.#ensureCurrent(deployment, current, old, signal);
        if ("collided" in made) {
          collisionCount = (collisionCount ?? 0) + 1;
        } else if ("failed" in made) {
          progress = { reason: "FailedCreate", message: made.failed };
        } else {
          if (!current) progress = { reason: "NewReplicaSetCreated", set: made.set.metadata.name ?? "" };
          current = made.set;
          await this.#roll(deployment, current, old, signal);
        }
      }
    }
    const all = current && !sets.some((set) => set.metadata.uid === current?.metadata.uid) ? [...sets, current] : sets;
    return this.#report(deployment, current, all, progress, collisionCount, signal);
  }

  async #roll(
    deployment: Deployment,
    current: ReplicaSet,
    old: readonly ReplicaSet[],
    signal: AbortSignal,
  ): Promise<void> {
    const plan =
      deployment.spec?.strategy?.type === "Recreate"
        ? planRecreate(deployment, current, old, this.#hasPods(old))
        : planRolling(deployment, current, old);
    await this.#resize(deployment, plan, signal);
    // What a rollout that is under way could be taken back to is kept.
    if (plan.length > 0 || availableOf(current) < wantedOf(deployment)) return;
    for (const set of planCleanup(deployment, old)) {
      const { name = "", namespace = "", uid = "" } = set.metadata;
      await unlessGone(this.#client.delete(kinds.ReplicaSet, { namespace, name }, { preconditions: { uid }, signal }));
    }
  }

  /** Whether sets have pods left, or may have some that are not seen yet. */
  #hasPods(sets: readonly ReplicaSet[]): boolean {
    return sets.some(
      (set) =>
        heldBy(set) > 0 ||
        (set.status?.observedGeneration ?? 0) < (set.metadata.generation ?? 0) ||
        [...this.#pods.byIndex("controller", set.metadata.uid ?? "")].some((pod) => !hasEnded(pod.decode())),
    );
  }

  #claim(deployment: Deployment, signal: AbortSignal): Promise<ReplicaSet[]> {
    return claim({
      client: this.#client,
      kind: kinds.Deployment,
      owner: deployment,
      among: this.#sets,
      matches: (set) => matches(deployment, set),
      isWanted: (set) => set.metadata.deletionTimestamp === undefined,
      setOwners: (set, owners) => this.#setOwners(deployment, set, owners, signal),
      signal,
    });
  }

  async #setOwners(
    deployment: Deployment,
    set: ReplicaSet,
    ownerReferences: readonly OwnerReference[],
    signal: AbortSignal,
  ): Promise<ReplicaSet> {
    const { uid, resourceVersion } = set.metadata;
    return this.#patchSet(deployment, set, { metadata: { uid, resourceVersion, ownerReferences } }, signal);
  }

  async #patchSet(deployment: Deployment, set: ReplicaSet, body: object, signal: AbortSignal): Promise<ReplicaSet> {
    const { name = "", namespace = "" } = set.metadata;
    const patch = { type: "merge-patch+json", body } as const;
    const patched = await this.#client.patch(kinds.ReplicaSet, { namespace, name }, patch, { signal });
    this.#written.note(deployment.metadata.uid ?? "", patched.revision);
    return patched.decode();
  }

  /** The set of the deployment's template, made when there is none, with its revision and sizes noted. */
  async #ensureCurrent(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
    signal: AbortSignal,
  ): Promise<{ set: ReplicaSet } | { collided: true } | { failed: string }> {
    const revision = Math.max(0, ...old.map(revisionOf)) + 1;
    if (current) {
      const annotations = this.#annotations(deployment, Math.max(revision, revisionOf(current)));
      const set = await this.#keepUp(deployment, current, annotations, signal);
      await this.#noteRevision(deployment, annotations[REVISION] ?? "", signal);
      return { set };
    }
    const { name = "", namespace = "" } = deployment.metadata;
    const template = deployment.spec?.template ?? {};
    const hash = templateHash(template, deployment.status?.collisionCount);
    const withHash = (labels: Record<string, string> | undefined): Record<string, string> => ({
      ...labels,
      [HASH_LABEL]: hash,
    });
    const { surge } = boundsOf(deployment);
    const oldSize = old.reduce((sum, set) => sum + heldBy(set), 0);
    const wanted = wantedOf(deployment);
    const isRecreate = deployment.spec?.strategy?.type === "Recreate";
    const room = isRecreate ? (this.#hasPods(old) ? 0 : wanted) : Math.max(0, wanted + surge - oldSize);
    const set = {
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels: withHash(template.metadata?.labels),
        annotations: this.#annotations(deployment, revision),
        ownerReferences: [ownerReferenceTo(kinds.Deployment, deployment)],
      },
      spec: {
        replicas: Math.min(wanted, room),
        ...(deployment.spec?.minReadySeconds !== undefined && { minReadySeconds: deployment.spec.minReadySeconds }),
        selector: {
          ...deployment.spec?.selector,
          matchLabels: withHash(deployment.spec?.selector?.matchLabels),
        },
        template: {
          ...template,
          metadata: { ...template.metadata, labels: withHash(template.metadata?.labels) },
        } as PodTemplateSpec,
      },
    } as ReplicaSet;
    try {
      const created = await this.#client.create(kinds.ReplicaSet, set, { signal });
      this.#written.note(deployment.metadata.uid ?? "", created.revision);
      const made = created.decode();
      const text = `Scaled up replica set ${made.metadata.name} from 0 to ${sizeOf(made)}`;
      if (sizeOf(made) > 0)
        this.#events.record(referenceTo(kinds.Deployment, deployment), "Normal", "ScalingReplicaSet", text);
      await this.#noteRevision(deployment, String(revision), signal);
      return { set: made };
    } catch (error) {
      if (isAlreadyExists(error)) {
        const other = (
          await this.#client.get(kinds.ReplicaSet, { namespace, name: `${name}-${hash}` }, { signal })
        ).decode();
        const isOurs = controllerOf(other)?.uid === deployment.metadata.uid;
        // Ours and not in the informer yet, or another template with the same hash.
        return isOurs && sameTemplate(other.spec?.template ?? {}, template) ? { set: other } : { collided: true };
      }
      if (statusOf(error) === undefined) throw error;
      const message = `Failed to create new replica set "${name}-${hash}": ${(error as Error).message}`;
      this.#events.record(referenceTo(kinds.Deployment, deployment), "Warning", "ReplicaSetCreateError", message);
      return { failed: message };
    }
  }

  #annotations(deployment: Deployment, revision: number): Record<string, string> {
    const inherited = Object.entries(deployment.metadata.annotations ?? {}).filter(
      ([name]) => !NOT_INHERITED.has(name),
    );
    const wanted = wantedOf(deployment);
    return {
      ...Object.fromEntries(inherited),
      [REVISION]: String(revision),
      [DESIRED_REPLICAS]: String(wanted),
      [MAX_REPLICAS]: String(wanted + boundsOf(deployment).surge),
    };
  }

  /** Brings to the set what follows from the deployment besides the template and the size. */
  async #keepUp(
    deployment: Deployment,
    set: ReplicaSet,
    annotations: Record<string, string>,
    signal: AbortSignal,
  ): Promise<ReplicaSet> {
    const before = set.metadata.annotations ?? {};
    const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
    const isAnnotated = Object.entries(annotations).every(([name, value]) => before[name] === value);
    if (isAnnotated && (set.spec?.minReadySeconds ?? 0) === minReadySeconds) return set;
    const { uid } = set.metadata;
    return this.#patchSet(deployment, set, { metadata: { uid, annotations }, spec: { minReadySeconds } }, signal);
  }

  async #noteRevision(deployment: Deployment, revision: string, signal: AbortSignal): Promise<void> {
    if (deployment.metadata.annotations?.[REVISION] === revision) return;
    const { name = "", namespace = "", uid } = deployment.metadata;
    const body = { metadata: { uid, annotations: { [REVISION]: revision } } };
    const patch = { type: "merge-patch+json", body } as const;
    await this.#client.patch(kinds.Deployment, { namespace, name }, patch, { signal });
  }

  async #resize(deployment: Deployment, plan: readonly Resize[], signal: AbortSignal): Promise<void> {
    for (const { set, replicas } of plan) {
      const { name = "", resourceVersion } = set.metadata;
      const annotations = {
        [DESIRED_REPLICAS]: String(wantedOf(deployment)),
        [MAX_REPLICAS]: String(wantedOf(deployment) + boundsOf(deployment).surge),
      };
      // The revision makes sure that the plan was made from what is there.
      const body = { metadata: { resourceVersion, annotations }, spec: { replicas } };
      await this.#patchSet(deployment, set, body, signal);
      if (replicas === sizeOf(set)) continue;
      const direction = replicas > sizeOf(set) ? "up" : "down";
      const text = `Scaled ${direction} replica set ${name} from ${sizeOf(set)} to ${replicas}`;
      this.#events.record(referenceTo(kinds.Deployment, deployment), "Normal", "ScalingReplicaSet", text);
    }
  }

  async #report(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    sets: readonly ReplicaSet[],
    progress: Progress | undefined,
    collisionCount: number | undefined,
    signal: AbortSignal,
  ): Promise<Requeue | void> {
    const now = this.#clock.now();
    const status = statusOfDeployment(deployment, current, sets, progress, collisionCount, now);
    if (JSON.stringify(sorted(status)) !== JSON.stringify(sorted(deployment.status ?? {}))) {
      await unlessGone(
        this.#client.patch(
          kinds.Deployment,
          { namespace: deployment.metadata.namespace ?? "", name: deployment.metadata.name ?? "" },
          {
            type: "json-patch+json",
            body: [
              { op: "test", path: "/metadata/uid", value: deployment.metadata.uid },
              { op: "add", path: "/status", value: status },
            ],
          },
          { subresource: "status", signal },
        ),
      );
    }
    if (progress?.reason === "FailedCreate") return { requeueAfterMs: REFUSED_MS };
    const condition = status.conditions?.find((each) => each.type === "Progressing");
    const isOpen = condition?.status !== "False" && condition?.reason !== "NewReplicaSetAvailable";
    if (!condition || !isOpen || deployment.spec?.paused) return;
    const leftMs = deadlineLeftMs(deployment, condition, now);
    if (leftMs !== Infinity) return { requeueAfterMs: Math.min(Math.max(1_000, leftMs), LOOK_AGAIN_MS) };
  }
}

function matches(deployment: Deployment, set: ReplicaSet): boolean {
  const selector = deployment.spec?.selector;
  return selector !== undefined && matchesSelector(selectorOf(selector), set.metadata.labels ?? {});
}

/** The same fields in one order, and conditions too, for comparing. */
function sorted(status: object): unknown {
  const entries = Object.entries(status as Record<string, unknown>).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, value]) =>
    name === "conditions"
      ? [name, (value as object[]).map((each) => Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))]
      : [name, value],
  );
}
