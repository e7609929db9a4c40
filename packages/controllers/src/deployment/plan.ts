import type { Deployment, ReplicaSet } from "@skerry/machinery/types";

export const REVISION = "deployment.kubernetes.io/revision";
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";

/** A set that is to have another size. */
export interface Resize {
  set: ReplicaSet;
  replicas: number;
}

/** How far a rolling update may go over and under the wanted number of pods. */
export interface Bounds {
  surge: number;
  unavailable: number;
}

/** maxSurge and maxUnavailable as numbers of pods: percentages round up and down; not both may be zero (apps/v1 RollingUpdateDeployment). */
export function boundsOf(deployment: Deployment): Bounds {
  if (deployment.spec?.strategy?.type === "Recreate") return { surge: 0, unavailable: wantedOf(deployment) };
  const rolling = deployment.spec?.strategy?.rollingUpdate;
  const wanted = wantedOf(deployment);
  const surge = resolve(rolling?.maxSurge ?? "25%", wanted, Math.ceil);
  const unavailable = Math.min(wanted, resolve(rolling?.maxUnavailable ?? "25%", wanted, Math.floor));
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

function resolve(value: number | string, total: number, round: (share: number) => number): number {
  if (typeof value === "number") return value;
  return round((Number.parseInt(value, 10) * total) / 100);
}

export const wantedOf = (deployment: Deployment): number => deployment.spec?.replicas ?? 1;
export const sizeOf = (set: ReplicaSet): number => set.spec?.replicas ?? 0;
export const availableOf = (set: ReplicaSet): number => set.status?.availableReplicas ?? 0;
/** Whether a set's status is about its newest spec: until then it may be making or deleting pods for an older one. */
const isObserved = (set: ReplicaSet): boolean =>
  (set.status?.observedGeneration ?? 0) >= (set.metadata.generation ?? 0);
/** How many pods a set may have at most: those that it is to have, and those that it has not got rid of yet. */
export const heldBy = (set: ReplicaSet): number =>
  isObserved(set) ? Math.max(sizeOf(set), set.status?.replicas ?? 0) : Infinity;
/** How many available pods a set keeps at least. */
const keptBy = (set: ReplicaSet): number => (isObserved(set) ? Math.min(sizeOf(set), availableOf(set)) : 0);
const total = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number): number =>
  sets.reduce((sum, set) => sum + of(set), 0);

/**
 * The next sizes of a rolling update: the new set grows as far as the surge lets it; only when it need not, the old ones shrink as far as
 * availability lets them, unhealthy pods first. Asked again after each change. The bounds hold for pods, not only for sizes: what a set
 * still has counts until its status says that it is gone, and what it is about to give up counts no more.
 */
export function planRolling(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): Resize[] {
  const wanted = wantedOf(deployment);
  const { surge, unavailable } = boundsOf(deployment);
  const size = sizeOf(current);
  const all = size + total(old, sizeOf);

  if (size > wanted) return [{ set: current, replicas: wanted }];
  const growth = Math.min(wanted + surge - heldBy(current) - total(old, heldBy), wanted - size);
  if (growth > 0) return [{ set: current, replicas: size + growth }];

  const leastAvailable = wanted - unavailable;
  let mayGo = all - leastAvailable - (size - keptBy(current));
  if (mayGo <= 0) return [];
  const sizes = new Map(byAge(old).map((set) => [set, sizeOf(set)]));
  for (const [set, replicas] of sizes) {
    const unhealthy = Math.min(mayGo, Math.max(0, replicas - availableOf(set)));
    sizes.set(set, replicas - unhealthy);
    mayGo -= unhealthy;
  }
  let spare = keptBy(current) + total(old, keptBy) - leastAvailable;
  for (const [set, replicas] of sizes) {
    if (spare <= 0 || mayGo <= 0) break;
    const less = Math.min(spare, mayGo, replicas);
    sizes.set(set, replicas - less);
    spare -= less;
    mayGo -= less;
  }
  return changes(sizes);
}

/** Recreate: the old sets go to zero; the new one grows only once none of their pods is left. */
export function planRecreate(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  oldPodsLeft: boolean,
): Resize[] {
  const shrink = old.filter((set) => sizeOf(set) > 0).map((set) => ({ set, replicas: 0 }));
  if (shrink.length > 0 || oldPodsLeft || !current) return shrink;
  const wanted = wantedOf(deployment);
  return sizeOf(current) === wanted ? [] : [{ set: current, replicas: wanted }];
}

/** Whether the wanted number changed since the sets were sized: a rollout waits until `planScaling` has nothing left to plan. */
export const isScaling = (deployment: Deployment, sets: readonly ReplicaSet[]): boolean =>
  sets.some((set) => sizeOf(set) > 0 && isNotedOtherwise(deployment, set));

function isNotedOtherwise(deployment: Deployment, set: ReplicaSet): boolean {
  const noted = set.metadata.annotations?.[DESIRED_REPLICAS];
  return noted !== undefined && Number(noted) !== wantedOf(deployment);
}

/**
 * New sizes when the wanted number itself changes: one set takes it whole; in the middle of a rollout each takes its share of the
 * difference, the largest first, so that a bad new version does not grow more than the good old one. A set that keeps its size is in the
 * plan as well while it notes another wanted number, or the scaling would never end.
 */
export function planScaling(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): Resize[] {
  const wanted = wantedOf(deployment);
  const sets = [...(current ? [current] : []), ...old];
  const active = sets.filter((set) => sizeOf(set) > 0);
  const [only] = active.length > 0 ? active : current ? [current] : byAge(old).slice(-1);
  const plan = (sizes: ReadonlyMap<ReplicaSet, number>): Resize[] =>
    [...sizes]
      .filter(([set, replicas]) => sizeOf(set) !== replicas || (replicas > 0 && isNotedOtherwise(deployment, set)))
      .map(([set, replicas]) => ({ set, replicas }));
  if (active.length <= 1) return only ? plan(new Map([[only, wanted]])) : [];
  if (current && availableOf(current) >= wanted && sizeOf(current) === wanted) {
    return plan(new Map(active.map((set) => [set, set === current ? wanted : 0])));
  }
  if (deployment.spec?.strategy?.type === "Recreate") return plan(new Map(active.map((set) => [set, sizeOf(set)])));

  const allowed = wanted > 0 ? wanted + boundsOf(deployment).surge : 0;
  const all = total(active, sizeOf);
  let left = allowed - all;
  const growing = left > 0;
  const ordered = active.toSorted(
    (a, b) => sizeOf(b) - sizeOf(a) || (growing ? ageOf(b) - ageOf(a) : ageOf(a) - ageOf(b)),
  );
  const sizes = new Map<ReplicaSet, number>();
  for (const set of ordered) {
    const before = Number(set.metadata.annotations?.[MAX_REPLICAS] ?? all) || all;
    const share = Math.round((sizeOf(set) * allowed) / before) - sizeOf(set);
    const change = growing ? Math.min(Math.max(share, 0), left) : Math.max(Math.min(share, 0), left);
    sizes.set(set, sizeOf(set) + change);
    left -= change;
  }
  const [first] = ordered;
  if (first && left !== 0) sizes.set(first, Math.max(0, (sizes.get(first) ?? 0) + left));
  return plan(sizes);
}

const changes = (sizes: ReadonlyMap<ReplicaSet, number>): Resize[] =>
  [...sizes].filter(([set, replicas]) => sizeOf(set) !== replicas).map(([set, replicas]) => ({ set, replicas }));

const ageOf = (set: ReplicaSet): number => Date.parse(set.metadata.creationTimestamp ?? "") || 0;
export const byAge = (sets: readonly ReplicaSet[]): ReplicaSet[] =>
  sets.toSorted((a, b) => ageOf(a) - ageOf(b) || revisionOf(a) - revisionOf(b));

export const revisionOf = (set: ReplicaSet): number => Number(set.metadata.annotations?.[REVISION] ?? 0) || 0;

/** Old, empty sets beyond the history limit, oldest revision first. */
export function planCleanup(deployment: Deployment, old: readonly ReplicaSet[]): ReplicaSet[] {
  const limit = deployment.spec?.revisionHistoryLimit ?? 10;
  const empty = old.filter(
    (set) =>
      sizeOf(set) === 0 &&
      (set.status?.replicas ?? 0) === 0 &&
      (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0) &&
      set.metadata.deletionTimestamp === undefined,
  );
  return empty.toSorted((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, empty.length - limit));
}
