/**
 * What is done for one pod. Data, so that it can be logged, tested and thrown away.
 *
 * A plan lists the next steps only, in order. A step about one container that fails lets those of other containers go on;
 * any other failure ends the plan. Either way the loop looks again and plans anew.
 */
export type Step =
  /** Makes, or brings up to date, what the pod's containers see as /etc/resolv.conf. */
  | { do: "resolv-conf" }
  /** Makes the pod's cgroup with its limits. */
  | { do: "cgroup" }
  /** Makes, or brings up to date, the pod's folders and volumes. */
  | { do: "volumes" }
  /** Fetches an image because the policy says so (`needed: false`) or because it is not on the machine. */
  | { do: "pull"; container: string; image: string; needed: boolean }
  | { do: "run-sandbox"; attempt: number }
  | { do: "stop-sandbox"; id: string }
  /** Removes a stopped sandbox with its containers, whose ends are on record by now. */
  | { do: "remove-sandbox"; id: string }
  /** Makes the container in the pod's ready sandbox. */
  | { do: "create"; container: string; attempt: number }
  /** Puts on record that the container is about to be started, which must not run twice. */
  | { do: "intend"; container: string; id: string }
  /** Starts what `create` made, in this plan or, when `id` is given, in one before. */
  | { do: "start"; container: string; id: string | undefined }
  /** Stops them side by side. */
  | { do: "stop"; targets: StopTarget[]; graceSeconds: number }
  | { do: "remove"; container: string; id: string }
  /** Unmounts and removes volumes, folders and cgroup; logs stay while the pod is still somebody's to read. */
  | { do: "teardown"; keepLogs: boolean }
  /** Tells the cloud that nothing of a deleted pod is left. */
  | { do: "finish" }
  /** Nothing to do before `ms` have passed. */
  | { do: "wait"; ms: number };

export interface StopTarget {
  container: string;
  id: string;
  why: "deleted" | "changed" | "sandbox" | "stray" | "deadline";
}

/** Which container a failure of the step concerns; undefined: the whole pod. */
export const containerOf = (step: Step): string | undefined => ("container" in step ? step.container : undefined);
