/**
 * The part of a container runtime that pods need; CRI v1 is one, `FakeRuntime` in `@skerry/agent/testing` another.
 * Every call takes a signal; failures are `RuntimeError`s, whose `code` tells what callers act on.
 */
export interface Runtime {
  version(signal: AbortSignal): Promise<{ name: string; version: string; apiVersion: string }>;
  /** What keeps the runtime from running pods, in words for a node condition; empty when it is ready. */
  problems(signal: AbortSignal): Promise<{ runtime: string[]; network: string[] }>;

  /** Everything of this instance (its namespace and labels), running or not. */
  listSandboxes(signal: AbortSignal): Promise<Sandbox[]>;
  listContainers(signal: AbortSignal): Promise<Container[]>;
  sandboxStatus(id: string, signal: AbortSignal): Promise<SandboxStatus>;
  containerStatus(id: string, signal: AbortSignal): Promise<ContainerStatus>;

  /** Makes a sandbox and its network. Nothing is left behind when it fails. */
  runSandbox(spec: SandboxSpec, signal: AbortSignal): Promise<string>;
  /** Stops its containers and takes its network down; stopping a stopped or unknown one succeeds. */
  stopSandbox(id: string, signal: AbortSignal): Promise<void>;
  removeSandbox(id: string, signal: AbortSignal): Promise<void>;

  createContainer(sandboxId: string, spec: ContainerSpec, sandbox: SandboxSpec, signal: AbortSignal): Promise<string>;
  startContainer(id: string, signal: AbortSignal): Promise<void>;
  /** SIGTERM (or the image's stop signal), then SIGKILL after `graceSeconds`; stopping a stopped or unknown one succeeds. */
  stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void>;
  removeContainer(id: string, signal: AbortSignal): Promise<void>;
  /** Makes a running container open its log file anew, after a rotation renamed it. */
  reopenLog(id: string, signal: AbortSignal): Promise<void>;

  /** The image's id and digest when it is present; looks only at the machine. */
  imageStatus(image: string, signal: AbortSignal): Promise<ImageStatus | undefined>;
  listImages(signal: AbortSignal): Promise<ImageStatus[]>;
  /** Resolves with the image's id. Fails with `ImageNotFound`, `ImageUnauthorized` or `ImagePullFailed`. */
  pullImage(image: string, signal: AbortSignal): Promise<string>;
  removeImage(image: string, signal: AbortSignal): Promise<void>;

  /**
   * Where pods were changed behind our back (an exit, an OOM kill), as a hint to look; missing one only delays, but for an OOM kill that
   * the runtime has not on record when the container is looked at. Ends when the connection does.
   */
  changes(signal: AbortSignal): AsyncIterable<RuntimeChange>;
}

/** A runtime that can take an image archive (docker-archive or OCI layout, tar): CRI cannot, containerd can. */
export interface ImageStore {
  /** Imports each image of the archive and resolves with their names. */
  importArchive(file: string, signal: AbortSignal): Promise<string[]>;
}

export interface RuntimeChange {
  /** The sandbox or container concerned, when known. */
  id: string | undefined;
  /** The kernel ended a process of the container for want of memory: the container may have ended by it, or go on. */
  oom: boolean;
}

/** Identifies what a sandbox or container was made for; the runtime keeps it as labels and gives it back. */
export interface Sandbox {
  id: string;
  podName: string;
  podNamespace: string;
  podUid: string;
  attempt: number;
  ready: boolean;
  /** Unix time in nanoseconds. */
  createdAtNs: bigint;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface SandboxStatus extends Sandbox {
  /** Empty for pods on the host's network. */
  ips: string[];
  netns: string;
}

export type ContainerState = "created" | "running" | "exited" | "unknown";

export interface Container {
  id: string;
  sandboxId: string;
  name: string;
  attempt: number;
  state: ContainerState;
  image: string;
  imageRef: string;
  createdAtNs: bigint;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface ContainerStatus extends Container {
  /** 0 until it started, or has finished. */
  startedAtNs: bigint;
  finishedAtNs: bigint;
  exitCode: number;
  reason: string;
  message: string;
  logPath: string;
}

export interface PortMapping {
  protocol: "TCP" | "UDP" | "SCTP";
  containerPort: number;
  hostPort: number;
  hostIp: string;
}

/** `pod`: its own; `node`: the host's; `container`: each container its own (PID only). */
export type NamespaceMode = "pod" | "container" | "node";

export interface SandboxSpec {
  podName: string;
  podNamespace: string;
  podUid: string;
  attempt: number;
  hostname: string;
  logDirectory: string;
  dns: { servers: string[]; searches: string[]; options: string[] } | undefined;
  portMappings: PortMapping[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  network: NamespaceMode;
  pid: NamespaceMode;
  ipc: NamespaceMode;
  /** The pod's cgroup, made by the agent with its limits; the runtime puts sandbox and containers below it. */
  cgroupParent: string;
  sysctls: Record<string, string>;
  security: SecuritySpec;
  runtimeHandler: string;
}

export interface SecuritySpec {
  runAsUser?: number;
  runAsGroup?: number;
  supplementalGroups: number[];
  privileged: boolean;
  readonlyRootfs: boolean;
  noNewPrivileges: boolean;
  addCapabilities: string[];
  dropCapabilities: string[];
}

export interface Mount {
  containerPath: string;
  hostPath: string;
  readonly: boolean;
  propagation: "private" | "hostToContainer" | "bidirectional";
}

export interface ResourceSpec {
  cpuShares: number;
  /** 0: no limit. */
  cpuQuotaUs: number;
  cpuPeriodUs: number;
  /** 0: no limit. */
  memoryLimitBytes: number;
  oomScoreAdj: number;
}

export interface ContainerSpec {
  name: string;
  attempt: number;
  /** As `imageStatus` or `pullImage` gave it. */
  imageRef: string;
  /** As the pod's author wrote it. */
  image: string;
  command: string[];
  args: string[];
  workingDir: string;
  env: { name: string; value: string }[];
  mounts: Mount[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Below the sandbox's log directory. */
  logPath: string;
  stdin: boolean;
  tty: boolean;
  resources: ResourceSpec;
  security: SecuritySpec;
}

export interface ImageStatus {
  id: string;
  tags: string[];
  digests: string[];
  sizeBytes: number;
  /** What the image runs as, when its configuration says so: a number, or a name. */
  uid: number | undefined;
  username: string;
}

/** Ends processes past the runtime, which did not end them in its time or does not know that they run. */
export interface EndByForce {
  /** All of a sandbox. */
  sandbox(id: string): Promise<void>;
  /** Those of one container; the others of its pod go on. */
  container(id: string, signal: AbortSignal): Promise<void>;
}

export type RuntimeErrorCode =
  | "NotFound"
  | "AlreadyExists"
  /** The runtime does not answer; it may come back. */
  | "Unavailable"
  /** The runtime did not get it done in its time, though it may answer others. */
  | "TimedOut"
  /** What is to be removed runs, though the runtime itself calls it ended. */
  | "StillRunning"
  | "ImageNotFound"
  | "ImageUnauthorized"
  | "ImagePullFailed"
  | "DiskFull"
  | "Invalid"
  | "Unknown";

export class RuntimeError extends Error {
  override name = "RuntimeError";
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
