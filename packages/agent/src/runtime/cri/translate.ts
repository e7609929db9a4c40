import type { ProtobufInput } from "@skerry/base";
import {
  type Container,
  type ContainerSpec,
  type ContainerState,
  type ContainerStatus,
  type ImageStatus,
  type Mount,
  type NamespaceMode,
  type ResourceSpec,
  type Sandbox,
  type SandboxSpec,
  type SecuritySpec,
} from "../runtime.ts";
import type * as cri from "./gen/cri.ts";

/** On all that one instance makes, so that several can share a runtime that the user named. */
const INSTANCE_LABEL = "skerry.io/instance";
/** What tools such as crictl show for a container's pod. */
const POD_LABELS = {
  name: "io.kubernetes.pod.name",
  namespace: "io.kubernetes.pod.namespace",
  uid: "io.kubernetes.pod.uid",
  container: "io.kubernetes.container.name",
} as const;
const OUR_LABELS: ReadonlySet<string> = new Set([INSTANCE_LABEL, ...Object.values(POD_LABELS)]);

const NAMESPACE_MODE = { pod: "POD", container: "CONTAINER", node: "NODE" } as const satisfies Record<
  NamespaceMode,
  cri.NamespaceMode
>;
const PROPAGATION = {
  private: "PROPAGATION_PRIVATE",
  hostToContainer: "PROPAGATION_HOST_TO_CONTAINER",
  bidirectional: "PROPAGATION_BIDIRECTIONAL",
} as const satisfies Record<Mount["propagation"], cri.MountPropagation>;

const CONTAINER_STATE: Readonly<Record<cri.ContainerState, ContainerState>> = {
  CONTAINER_CREATED: "created",
  CONTAINER_RUNNING: "running",
  CONTAINER_EXITED: "exited",
  CONTAINER_UNKNOWN: "unknown",
};

/** What an unprivileged container must not see of `/proc` and `/sys`, as Kubernetes has it for `procMount: Default`. */
const MASKED_PATHS = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
const READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

export const instanceSelector = (instance: string): Record<string, string> => ({ [INSTANCE_LABEL]: instance });

export function sandboxConfig(spec: SandboxSpec, instance: string): ProtobufInput<cri.PodSandboxConfig> {
  const { security } = spec;
  return {
    metadata: { name: spec.podName, namespace: spec.podNamespace, uid: spec.podUid, attempt: spec.attempt },
    // A pod on the host's network has the host's name: the runtime sets none.
    hostname: spec.network === "node" ? "" : spec.hostname,
    logDirectory: spec.logDirectory,
    dnsConfig: spec.dns,
    portMappings: spec.portMappings,
    labels: { ...spec.labels, ...podLabels(spec), ...instanceSelector(instance) },
    annotations: spec.annotations,
    linux: {
      cgroupParent: spec.cgroupParent,
      sysctls: spec.sysctls,
      securityContext: {
        namespaceOptions: namespaceOptions(spec),
        privileged: security.privileged,
        readonlyRootfs: security.readonlyRootfs,
        supplementalGroups: security.supplementalGroups,
        runAsUser: int64(security.runAsUser),
        runAsGroup: int64(security.runAsGroup),
        // Of the process that holds the namespaces; a container's own is not set, which is Kubernetes' default.
        ...(!security.privileged && { seccomp: { profileType: "RuntimeDefault" as const } }),
      },
    },
  };
}

export function containerConfig(
  spec: ContainerSpec,
  sandbox: SandboxSpec,
  instance: string,
): ProtobufInput<cri.ContainerConfig> {
  return {
    metadata: { name: spec.name, attempt: spec.attempt },
    image: { image: spec.imageRef },
    command: spec.command,
    args: spec.args,
    workingDir: spec.workingDir,
    envs: spec.env.map(({ name, value }) => ({ key: name, value })),
    mounts: spec.mounts.map(({ containerPath, hostPath, readonly, propagation }) => ({
      containerPath,
      hostPath,
      readonly,
      propagation: PROPAGATION[propagation],
    })),
    labels: {
      ...spec.labels,
      ...podLabels(sandbox),
      [POD_LABELS.container]: spec.name,
      ...instanceSelector(instance),
    },
    annotations: spec.annotations,
    logPath: spec.logPath,
    stdin: spec.stdin,
    tty: spec.tty,
    linux: {
      resources: linuxResources(spec.resources),
      securityContext: containerSecurity(spec.security, sandbox),
    },
  };
}

export function sandboxOf(sandbox: cri.PodSandbox | cri.PodSandboxStatus): Sandbox {
  const { id, metadata, state, createdAt, labels, annotations } = sandbox;
  return {
    id,
    podName: metadata?.name ?? "",
    podNamespace: metadata?.namespace ?? "",
    podUid: metadata?.uid ?? "",
    attempt: metadata?.attempt ?? 0,
    ready: state === "SANDBOX_READY",
    createdAtNs: createdAt,
    labels: withoutOurs(labels),
    annotations,
  };
}

export function containerOf(container: cri.Container): Container {
  return { ...commonOf(container), sandboxId: container.podSandboxId };
}

/** CRI's status of a container does not name its sandbox: the caller knows it. */
export function containerStatusOf(status: cri.ContainerStatus, sandboxId: string): ContainerStatus {
  const { startedAt, finishedAt, exitCode, reason, message, logPath } = status;
  return {
    ...commonOf(status),
    sandboxId,
    startedAtNs: startedAt,
    finishedAtNs: finishedAt,
    exitCode,
    reason,
    message,
    logPath,
  };
}

export function imageStatusOf(image: cri.Image): ImageStatus {
  return {
    id: image.id,
    tags: image.repoTags,
    digests: image.repoDigests,
    sizeBytes: Number(image.size),
    uid: image.uid && Number(image.uid.value),
    username: image.username,
  };
}

function commonOf(container: cri.Container | cri.ContainerStatus): Omit<Container, "sandboxId"> {
  const { id, metadata, state, image, imageRef, createdAt, labels, annotations } = container;
  return {
    id,
    name: metadata?.name ?? "",
    attempt: metadata?.attempt ?? 0,
    state: CONTAINER_STATE[state] ?? "unknown",
    image: image?.image ?? "",
    imageRef,
    createdAtNs: createdAt,
    labels: withoutOurs(labels),
    annotations,
  };
}

const podLabels = (spec: SandboxSpec): Record<string, string> => ({
  [POD_LABELS.name]: spec.podName,
  [POD_LABELS.namespace]: spec.podNamespace,
  [POD_LABELS.uid]: spec.podUid,
});

const withoutOurs = (labels: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).filter(([key]) => !OUR_LABELS.has(key)));

const namespaceOptions = ({ network, pid, ipc }: SandboxSpec): ProtobufInput<cri.NamespaceOption> => ({
  network: NAMESPACE_MODE[network],
  pid: NAMESPACE_MODE[pid],
  ipc: NAMESPACE_MODE[ipc],
});

function linuxResources(resources: ResourceSpec): ProtobufInput<cri.LinuxContainerResources> {
  return {
    cpuShares: resources.cpuShares,
    cpuQuota: resources.cpuQuotaUs,
    cpuPeriod: resources.cpuPeriodUs,
    memoryLimitInBytes: resources.memoryLimitBytes,
    oomScoreAdj: resources.oomScoreAdj,
  };
}

function containerSecurity(
  security: SecuritySpec,
  sandbox: SandboxSpec,
): ProtobufInput<cri.LinuxContainerSecurityContext> {
  const { privileged } = security;
  return {
    namespaceOptions: namespaceOptions(sandbox),
    privileged,
    readonlyRootfs: security.readonlyRootfs,
    noNewPrivs: security.noNewPrivileges,
    supplementalGroups: security.supplementalGroups,
    runAsUser: int64(security.runAsUser),
    runAsGroup: int64(security.runAsGroup),
    capabilities: { addCapabilities: security.addCapabilities, dropCapabilities: security.dropCapabilities },
    // Given none, the runtime hides nothing at all.
    maskedPaths: privileged ? [] : MASKED_PATHS,
    readonlyPaths: privileged ? [] : READONLY_PATHS,
  };
}

const int64 = (value: number | undefined): { value: number } | undefined =>
  value === undefined ? undefined : { value };
