/** The edge: one agent per device, which runs its pods on a container runtime, remembers what is wanted, and needs no cloud to go on. */
export { Agent, type AgentOptions } from "./agent.ts";
export { type AgentStatus, type PodSummary, type Problem } from "./health.ts";
export { EdgeCache, type CachedPod } from "./cache/edge-cache.ts";
export { PrivateContainerd, type PrivateContainerdOptions } from "./containerd/private-containerd.ts";
export { cgroupSetup } from "./containerd/cgroups.ts";
export { MissingToolsError } from "./containerd/tools.ts";
export { PodNetwork, NetworkConflictError, type PodNetworkOptions } from "./network/pod-network.ts";
export { ContainerdImages } from "./images/containerd-images.ts";
export { DEBIAN_STATIC_PROGRAMS, HELLO_IMAGE, PAUSE_IMAGE } from "./images/builtin-images.ts";
export { isStaticBinary } from "./images/static-binary.ts";
export { CriRuntime, type CriRuntimeOptions } from "./runtime/cri/cri-runtime.ts";
export { GrpcClient, type GrpcClientOptions } from "./runtime/cri/grpc-client.ts";
export {
  RuntimeError,
  type ContainerSpec,
  type ImageStore,
  type Runtime,
  type SandboxSpec,
} from "./runtime/runtime.ts";
export { EdgeIdentity, type Credentials } from "./link/edge-identity.ts";
export { EdgeLink, type EdgeLinkOptions, type LinkStatus } from "./link/edge-link.ts";
export { HubDialer, type HubDialerOptions } from "./link/hub-dialer.ts";
export { HubRefusedError, NotTheHubError, type HubAddress } from "./link/dial.ts";
export { join, parseToken, type JoinOptions } from "./link/join.ts";
export type { LinkCache } from "./link/ports.ts";
export { linuxCgroups, type CgroupOptions, type PodCgroups } from "./pods/cgroups.ts";
export { readBootId, readMachine, type MachineFacts } from "./node/machine-facts.ts";
export { linuxMounts, type Mounts } from "./volumes/mounts.ts";
