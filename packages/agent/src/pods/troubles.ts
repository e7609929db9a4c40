/**
 * What went wrong lately with a pod, in this life of the agent: shown in its status and waited out before the next try.
 * Not durable; a restarted agent tries at once.
 */
export interface Troubles {
  /** Of the pod as a whole: its sandbox, volumes or cgroup. */
  pod: Trouble | undefined;
  /** By container name. */
  containers: Map<string, Trouble>;
  /** The runtime holds the names of sandboxes below this attempt, though it shows none. */
  sandboxAttempt: number;
  /** And those of a container's instances below this attempt, by its name. */
  containerAttempts: Map<string, number>;
}

export interface Trouble {
  /** The waiting reason in the container's status: `ErrImagePull`, `CreateContainerConfigError`, … */
  reason: string;
  message: string;
  /** In a row, this one included. */
  failures: number;
  /** On the monotonic clock, as `retryAt` is. */
  since: number;
  retryAt: number;
}

/** How long to wait after so many failures in a row. */
export function retryMs(failures: number, { initialMs, maxMs }: { initialMs: number; maxMs: number }): number {
  return Math.min(maxMs, initialMs * 2 ** Math.max(0, failures - 1));
}

/** Pulls, as users know it: 10 s doubling to 5 min. */
export const PULL_RETRY = { initialMs: 10_000, maxMs: 300_000 } as const;
/** What does not need the network: sooner. */
export const LOCAL_RETRY = { initialMs: 1_000, maxMs: 60_000 } as const;

export const noTroubles = (): Troubles => ({
  pod: undefined,
  containers: new Map(),
  sandboxAttempt: 0,
  containerAttempts: new Map(),
});
