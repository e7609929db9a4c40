import type { ContainerState } from "../runtime/runtime.ts";

/** What the machine shows of one pod, gathered by the look before each plan. */
export interface ObservedPod {
  /** Newest attempt first. */
  sandboxes: ObservedSandbox[];
  /** Newest attempt first. */
  containers: ObservedContainer[];
  /** Images that a container waits for: present or not. An image that nobody waits for is not looked up. */
  images: ReadonlyMap<string, boolean>;
  /** Whether cgroup and volumes were made in this life of the agent and hold the newest contents. */
  prepared: boolean;
  /** Whether the pod's resolv.conf says what it is to say. */
  resolvConf: boolean;
  /** Whether folders, mounts or a cgroup of the pod exist. */
  residue: boolean;
  /** Whether log files of the pod exist. */
  logs: boolean;
  /** Ids of containers, of this pod or others, in which a process was ended for want of memory. */
  oomed: ReadonlySet<string>;
}

export interface ObservedSandbox {
  id: string;
  attempt: number;
  ready: boolean;
  /** Known for a ready one. */
  ips: string[];
}

export interface ObservedContainer {
  id: string;
  name: string;
  attempt: number;
  sandboxId: string;
  state: ContainerState;
  /** The label that holds its version; empty when it has none. */
  version: string;
  image: string;
  imageId: string;
  /** 0 until it started. */
  startedAtMs: number;
  /** 0 until it ended. */
  finishedAtMs: number;
  exitCode: number;
  reason: string;
  message: string;
  /** When this life of the agent first saw it ended, on the monotonic clock; undefined while it has not. */
  endSeenAt: number | undefined;
}

/** Both clocks at one moment: records carry wall time, waits are measured with the other. */
export interface Instant {
  wallMs: number;
  monotonicMs: number;
  /** Names the boot in which the monotonic clock counts. */
  bootId: string;
}
