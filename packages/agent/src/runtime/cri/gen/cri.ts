/** Types of CRI's runtime.v1 messages, made by `npm run codegen` beside `cri.json`. Do not edit. */

export type ContainerEventType =
  | "CONTAINER_CREATED_EVENT"
  | "CONTAINER_STARTED_EVENT"
  | "CONTAINER_STOPPED_EVENT"
  | "CONTAINER_DELETED_EVENT";
export type ContainerState = "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED" | "CONTAINER_UNKNOWN";
export type MountPropagation = "PROPAGATION_PRIVATE" | "PROPAGATION_HOST_TO_CONTAINER" | "PROPAGATION_BIDIRECTIONAL";
export type NamespaceMode = "POD" | "CONTAINER" | "NODE" | "TARGET";
export type PodSandboxState = "SANDBOX_READY" | "SANDBOX_NOTREADY";
export type Protocol = "TCP" | "UDP" | "SCTP";
export type SecurityProfileProfileType = "RuntimeDefault" | "Unconfined" | "Localhost";

export interface AttachRequest {
  containerId: string;
  stdin: boolean;
  tty: boolean;
  stdout: boolean;
  stderr: boolean;
}
export interface AttachResponse {
  url: string;
}
export interface AuthConfig {
  username: string;
  password: string;
  auth: string;
  serverAddress: string;
  identityToken: string;
  registryToken: string;
}
export interface Capability {
  addCapabilities: string[];
  dropCapabilities: string[];
  addAmbientCapabilities: string[];
}
export interface CheckpointContainerRequest {
  containerId: string;
  location: string;
  timeout: bigint;
}
export type CheckpointContainerResponse = Record<string, never>;
export interface Container {
  id: string;
  podSandboxId: string;
  metadata?: ContainerMetadata;
  image?: ImageSpec;
  imageRef: string;
  state: ContainerState;
  createdAt: bigint;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
export interface ContainerAttributes {
  id: string;
  metadata?: ContainerMetadata;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
export interface ContainerConfig {
  metadata?: ContainerMetadata;
  image?: ImageSpec;
  command: string[];
  args: string[];
  workingDir: string;
  envs: KeyValue[];
  mounts: Mount[];
  devices: Device[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  logPath: string;
  stdin: boolean;
  stdinOnce: boolean;
  tty: boolean;
  linux?: LinuxContainerConfig;
  windows?: WindowsContainerConfig;
}
export interface ContainerEventResponse {
  containerId: string;
  containerEventType: ContainerEventType;
  createdAt: bigint;
  podSandboxMetadata?: PodSandboxMetadata;
}
export interface ContainerFilter {
  id: string;
  state?: ContainerStateValue;
  podSandboxId: string;
  labelSelector: Record<string, string>;
}
export interface ContainerMetadata {
  name: string;
  attempt: number;
}
export interface ContainerResources {
  linux?: LinuxContainerResources;
  windows?: WindowsContainerResources;
}
export interface ContainerStateValue {
  state: ContainerState;
}
export interface ContainerStats {
  attributes?: ContainerAttributes;
  cpu?: CpuUsage;
  memory?: MemoryUsage;
  writableLayer?: FilesystemUsage;
}
export interface ContainerStatsFilter {
  id: string;
  podSandboxId: string;
  labelSelector: Record<string, string>;
}
export interface ContainerStatsRequest {
  containerId: string;
}
export interface ContainerStatsResponse {
  stats?: ContainerStats;
}
export interface ContainerStatus {
  id: string;
  metadata?: ContainerMetadata;
  state: ContainerState;
  createdAt: bigint;
  startedAt: bigint;
  finishedAt: bigint;
  exitCode: number;
  image?: ImageSpec;
  imageRef: string;
  reason: string;
  message: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  mounts: Mount[];
  logPath: string;
  resources?: ContainerResources;
}
export interface ContainerStatusRequest {
  containerId: string;
  verbose: boolean;
}
export interface ContainerStatusResponse {
  status?: ContainerStatus;
  info: Record<string, string>;
}
export interface CpuUsage {
  timestamp: bigint;
  usageCoreNanoSeconds?: UInt64Value;
  usageNanoCores?: UInt64Value;
}
export interface CreateContainerRequest {
  podSandboxId: string;
  config?: ContainerConfig;
  sandboxConfig?: PodSandboxConfig;
}
export interface CreateContainerResponse {
  containerId: string;
}
export interface DNSConfig {
  servers: string[];
  searches: string[];
  options: string[];
}
export interface Device {
  containerPath: string;
  hostPath: string;
  permissions: string;
}
export interface ExecRequest {
  containerId: string;
  cmd: string[];
  tty: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
}
export interface ExecResponse {
  url: string;
}
export interface ExecSyncRequest {
  containerId: string;
  cmd: string[];
  timeout: bigint;
}
export interface ExecSyncResponse {
  stdout: Uint8Array;
  stderr: Uint8Array;
  exitCode: number;
}
export interface FilesystemIdentifier {
  mountpoint: string;
}
export interface FilesystemUsage {
  timestamp: bigint;
  fsId?: FilesystemIdentifier;
  usedBytes?: UInt64Value;
  inodesUsed?: UInt64Value;
}
export type GetEventsRequest = Record<string, never>;
export interface HugepageLimit {
  pageSize: string;
  limit: bigint;
}
export interface IDMapping {
  hostId: number;
  containerId: number;
  length: number;
}
export interface Image {
  id: string;
  repoTags: string[];
  repoDigests: string[];
  size: bigint;
  uid?: Int64Value;
  username: string;
  spec?: ImageSpec;
  pinned: boolean;
}
export interface ImageFilter {
  image?: ImageSpec;
}
export type ImageFsInfoRequest = Record<string, never>;
export interface ImageFsInfoResponse {
  imageFilesystems: FilesystemUsage[];
}
export interface ImageSpec {
  image: string;
  annotations: Record<string, string>;
}
export interface ImageStatusRequest {
  image?: ImageSpec;
  verbose: boolean;
}
export interface ImageStatusResponse {
  image?: Image;
  info: Record<string, string>;
}
export interface Int64Value {
  value: bigint;
}
export interface KeyValue {
  key: string;
  value: string;
}
export interface LinuxContainerConfig {
  resources?: LinuxContainerResources;
  securityContext?: LinuxContainerSecurityContext;
}
export interface LinuxContainerResources {
  cpuPeriod: bigint;
  cpuQuota: bigint;
  cpuShares: bigint;
  memoryLimitInBytes: bigint;
  oomScoreAdj: bigint;
  cpusetCpus: string;
  cpusetMems: string;
  hugepageLimits: HugepageLimit[];
  unified: Record<string, string>;
  memorySwapLimitInBytes: bigint;
}
export interface LinuxContainerSecurityContext {
  capabilities?: Capability;
  privileged: boolean;
  namespaceOptions?: NamespaceOption;
  selinuxOptions?: SELinuxOption;
  runAsUser?: Int64Value;
  runAsUsername: string;
  readonlyRootfs: boolean;
  supplementalGroups: bigint[];
  apparmorProfile: string;
  seccompProfilePath: string;
  noNewPrivs: boolean;
  runAsGroup?: Int64Value;
  maskedPaths: string[];
  readonlyPaths: string[];
  seccomp?: SecurityProfile;
  apparmor?: SecurityProfile;
}
export interface LinuxPodSandboxConfig {
  cgroupParent: string;
  securityContext?: LinuxSandboxSecurityContext;
  sysctls: Record<string, string>;
  overhead?: LinuxContainerResources;
  resources?: LinuxContainerResources;
}
export interface LinuxPodSandboxStats {
  cpu?: CpuUsage;
  memory?: MemoryUsage;
  network?: NetworkUsage;
  process?: ProcessUsage;
  containers: ContainerStats[];
}
export interface LinuxPodSandboxStatus {
  namespaces?: Namespace;
}
export interface LinuxSandboxSecurityContext {
  namespaceOptions?: NamespaceOption;
  selinuxOptions?: SELinuxOption;
  runAsUser?: Int64Value;
  readonlyRootfs: boolean;
  supplementalGroups: bigint[];
  privileged: boolean;
  seccompProfilePath: string;
  runAsGroup?: Int64Value;
  seccomp?: SecurityProfile;
  apparmor?: SecurityProfile;
}
export interface ListContainerStatsRequest {
  filter?: ContainerStatsFilter;
}
export interface ListContainerStatsResponse {
  stats: ContainerStats[];
}
export interface ListContainersRequest {
  filter?: ContainerFilter;
}
export interface ListContainersResponse {
  containers: Container[];
}
export interface ListImagesRequest {
  filter?: ImageFilter;
}
export interface ListImagesResponse {
  images: Image[];
}
export interface ListPodSandboxRequest {
  filter?: PodSandboxFilter;
}
export interface ListPodSandboxResponse {
  items: PodSandbox[];
}
export interface ListPodSandboxStatsRequest {
  filter?: PodSandboxStatsFilter;
}
export interface ListPodSandboxStatsResponse {
  stats: PodSandboxStats[];
}
export interface MemoryUsage {
  timestamp: bigint;
  workingSetBytes?: UInt64Value;
  availableBytes?: UInt64Value;
  usageBytes?: UInt64Value;
  rssBytes?: UInt64Value;
  pageFaults?: UInt64Value;
  majorPageFaults?: UInt64Value;
}
export interface Mount {
  containerPath: string;
  hostPath: string;
  readonly: boolean;
  selinuxRelabel: boolean;
  propagation: MountPropagation;
}
export interface Namespace {
  options?: NamespaceOption;
}
export interface NamespaceOption {
  network: NamespaceMode;
  pid: NamespaceMode;
  ipc: NamespaceMode;
  targetId: string;
  usernsOptions?: UserNamespace;
}
export interface NetworkConfig {
  podCidr: string;
}
export interface NetworkInterfaceUsage {
  name: string;
  rxBytes?: UInt64Value;
  rxErrors?: UInt64Value;
  txBytes?: UInt64Value;
  txErrors?: UInt64Value;
}
export interface NetworkUsage {
  timestamp: bigint;
  defaultInterface?: NetworkInterfaceUsage;
  interfaces: NetworkInterfaceUsage[];
}
export interface PodIP {
  ip: string;
}
export interface PodSandbox {
  id: string;
  metadata?: PodSandboxMetadata;
  state: PodSandboxState;
  createdAt: bigint;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  runtimeHandler: string;
}
export interface PodSandboxAttributes {
  id: string;
  metadata?: PodSandboxMetadata;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
export interface PodSandboxConfig {
  metadata?: PodSandboxMetadata;
  hostname: string;
  logDirectory: string;
  dnsConfig?: DNSConfig;
  portMappings: PortMapping[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  linux?: LinuxPodSandboxConfig;
  windows?: WindowsPodSandboxConfig;
}
export interface PodSandboxFilter {
  id: string;
  state?: PodSandboxStateValue;
  labelSelector: Record<string, string>;
}
export interface PodSandboxMetadata {
  name: string;
  uid: string;
  namespace: string;
  attempt: number;
}
export interface PodSandboxNetworkStatus {
  ip: string;
  additionalIps: PodIP[];
}
export interface PodSandboxStateValue {
  state: PodSandboxState;
}
export interface PodSandboxStats {
  attributes?: PodSandboxAttributes;
  linux?: LinuxPodSandboxStats;
  windows?: WindowsPodSandboxStats;
}
export interface PodSandboxStatsFilter {
  id: string;
  labelSelector: Record<string, string>;
}
export interface PodSandboxStatsRequest {
  podSandboxId: string;
}
export interface PodSandboxStatsResponse {
  stats?: PodSandboxStats;
}
export interface PodSandboxStatus {
  id: string;
  metadata?: PodSandboxMetadata;
  state: PodSandboxState;
  createdAt: bigint;
  network?: PodSandboxNetworkStatus;
  linux?: LinuxPodSandboxStatus;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  runtimeHandler: string;
}
export interface PodSandboxStatusRequest {
  podSandboxId: string;
  verbose: boolean;
}
export interface PodSandboxStatusResponse {
  status?: PodSandboxStatus;
  info: Record<string, string>;
}
export interface PortForwardRequest {
  podSandboxId: string;
  port: number[];
}
export interface PortForwardResponse {
  url: string;
}
export interface PortMapping {
  protocol: Protocol;
  containerPort: number;
  hostPort: number;
  hostIp: string;
}
export interface ProcessUsage {
  timestamp: bigint;
  processCount?: UInt64Value;
}
export interface PullImageRequest {
  image?: ImageSpec;
  auth?: AuthConfig;
  sandboxConfig?: PodSandboxConfig;
}
export interface PullImageResponse {
  imageRef: string;
}
export interface RemoveContainerRequest {
  containerId: string;
}
export type RemoveContainerResponse = Record<string, never>;
export interface RemoveImageRequest {
  image?: ImageSpec;
}
export type RemoveImageResponse = Record<string, never>;
export interface RemovePodSandboxRequest {
  podSandboxId: string;
}
export type RemovePodSandboxResponse = Record<string, never>;
export interface ReopenContainerLogRequest {
  containerId: string;
}
export type ReopenContainerLogResponse = Record<string, never>;
export interface RunPodSandboxRequest {
  config?: PodSandboxConfig;
  runtimeHandler: string;
}
export interface RunPodSandboxResponse {
  podSandboxId: string;
}
export interface RuntimeCondition {
  type: string;
  status: boolean;
  reason: string;
  message: string;
}
export interface RuntimeConfig {
  networkConfig?: NetworkConfig;
}
export interface RuntimeStatus {
  conditions: RuntimeCondition[];
}
export interface SELinuxOption {
  user: string;
  role: string;
  type: string;
  level: string;
}
export interface SecurityProfile {
  profileType: SecurityProfileProfileType;
  localhostRef: string;
}
export interface StartContainerRequest {
  containerId: string;
}
export type StartContainerResponse = Record<string, never>;
export interface StatusRequest {
  verbose: boolean;
}
export interface StatusResponse {
  status?: RuntimeStatus;
  info: Record<string, string>;
}
export interface StopContainerRequest {
  containerId: string;
  timeout: bigint;
}
export type StopContainerResponse = Record<string, never>;
export interface StopPodSandboxRequest {
  podSandboxId: string;
}
export type StopPodSandboxResponse = Record<string, never>;
export interface UInt64Value {
  value: bigint;
}
export interface UpdateContainerResourcesRequest {
  containerId: string;
  linux?: LinuxContainerResources;
  windows?: WindowsContainerResources;
  annotations: Record<string, string>;
}
export type UpdateContainerResourcesResponse = Record<string, never>;
export interface UpdateRuntimeConfigRequest {
  runtimeConfig?: RuntimeConfig;
}
export type UpdateRuntimeConfigResponse = Record<string, never>;
export interface UserNamespace {
  mode: NamespaceMode;
  uids: IDMapping[];
  gids: IDMapping[];
}
export interface VersionRequest {
  version: string;
}
export interface VersionResponse {
  version: string;
  runtimeName: string;
  runtimeVersion: string;
  runtimeApiVersion: string;
}
export interface WindowsContainerConfig {
  resources?: WindowsContainerResources;
  securityContext?: WindowsContainerSecurityContext;
}
export interface WindowsContainerResources {
  cpuShares: bigint;
  cpuCount: bigint;
  cpuMaximum: bigint;
  memoryLimitInBytes: bigint;
  rootfsSizeInBytes: bigint;
}
export interface WindowsContainerSecurityContext {
  runAsUsername: string;
  credentialSpec: string;
  hostProcess: boolean;
}
export interface WindowsPodSandboxConfig {
  securityContext?: WindowsSandboxSecurityContext;
}
export type WindowsPodSandboxStats = Record<string, never>;
export interface WindowsSandboxSecurityContext {
  runAsUsername: string;
  credentialSpec: string;
  hostProcess: boolean;
}

export interface Messages {
  AttachRequest: AttachRequest;
  AttachResponse: AttachResponse;
  AuthConfig: AuthConfig;
  Capability: Capability;
  CheckpointContainerRequest: CheckpointContainerRequest;
  CheckpointContainerResponse: CheckpointContainerResponse;
  Container: Container;
  ContainerAttributes: ContainerAttributes;
  ContainerConfig: ContainerConfig;
  ContainerEventResponse: ContainerEventResponse;
  ContainerFilter: ContainerFilter;
  ContainerMetadata: ContainerMetadata;
  ContainerResources: ContainerResources;
  ContainerStateValue: ContainerStateValue;
  ContainerStats: ContainerStats;
  ContainerStatsFilter: ContainerStatsFilter;
  ContainerStatsRequest: ContainerStatsRequest;
  ContainerStatsResponse: ContainerStatsResponse;
  ContainerStatus: ContainerStatus;
  ContainerStatusRequest: ContainerStatusRequest;
  ContainerStatusResponse: ContainerStatusResponse;
  CpuUsage: CpuUsage;
  CreateContainerRequest: CreateContainerRequest;
  CreateContainerResponse: CreateContainerResponse;
  DNSConfig: DNSConfig;
  Device: Device;
  ExecRequest: ExecRequest;
  ExecResponse: ExecResponse;
  ExecSyncRequest: ExecSyncRequest;
  ExecSyncResponse: ExecSyncResponse;
  FilesystemIdentifier: FilesystemIdentifier;
  FilesystemUsage: FilesystemUsage;
  GetEventsRequest: GetEventsRequest;
  HugepageLimit: HugepageLimit;
  IDMapping: IDMapping;
  Image: Image;
  ImageFilter: ImageFilter;
  ImageFsInfoRequest: ImageFsInfoRequest;
  ImageFsInfoResponse: ImageFsInfoResponse;
  ImageSpec: ImageSpec;
  ImageStatusRequest: ImageStatusRequest;
  ImageStatusResponse: ImageStatusResponse;
  Int64Value: Int64Value;
  KeyValue: KeyValue;
  LinuxContainerConfig: LinuxContainerConfig;
  LinuxContainerResources: LinuxContainerResources;
  LinuxContainerSecurityContext: LinuxContainerSecurityContext;
  LinuxPodSandboxConfig: LinuxPodSandboxConfig;
  LinuxPodSandboxStats: LinuxPodSandboxStats;
  LinuxPodSandboxStatus: LinuxPodSandboxStatus;
  LinuxSandboxSecurityContext: LinuxSandboxSecurityContext;
  ListContainerStatsRequest: ListContainerStatsRequest;
  ListContainerStatsResponse: ListContainerStatsResponse;
  ListContainersRequest: ListContainersRequest;
  ListContainersResponse: ListContainersResponse;
  ListImagesRequest: ListImagesRequest;
  ListImagesResponse: ListImagesResponse;
  ListPodSandboxRequest: ListPodSandboxRequest;
  ListPodSandboxResponse: ListPodSandboxResponse;
  ListPodSandboxStatsRequest: ListPodSandboxStatsRequest;
  ListPodSandboxStatsResponse: ListPodSandboxStatsResponse;
  MemoryUsage: MemoryUsage;
  Mount: Mount;
  Namespace: Namespace;
  NamespaceOption: NamespaceOption;
  NetworkConfig: NetworkConfig;
  NetworkInterfaceUsage: NetworkInterfaceUsage;
  NetworkUsage: NetworkUsage;
  PodIP: PodIP;
  PodSandbox: PodSandbox;
  PodSandboxAttributes: PodSandboxAttributes;
  PodSandboxConfig: PodSandboxConfig;
  PodSandboxFilter: PodSandboxFilter;
  PodSandboxMetadata: PodSandboxMetadata;
  PodSandboxNetworkStatus: PodSandboxNetworkStatus;
  PodSandboxStateValue: PodSandboxStateValue;
  PodSandboxStats: PodSandboxStats;
  PodSandboxStatsFilter: PodSandboxStatsFilter;
  PodSandboxStatsRequest: PodSandboxStatsRequest;
  PodSandboxStatsResponse: PodSandboxStatsResponse;
  PodSandboxStatus: PodSandboxStatus;
  PodSandboxStatusRequest: PodSandboxStatusRequest;
  PodSandboxStatusResponse: PodSandboxStatusResponse;
  PortForwardRequest: PortForwardRequest;
  PortForwardResponse: PortForwardResponse;
  PortMapping: PortMapping;
  ProcessUsage: ProcessUsage;
  PullImageRequest: PullImageRequest;
  PullImageResponse: PullImageResponse;
  RemoveContainerRequest: RemoveContainerRequest;
  RemoveContainerResponse: RemoveContainerResponse;
  RemoveImageRequest: RemoveImageRequest;
  RemoveImageResponse: RemoveImageResponse;
  RemovePodSandboxRequest: RemovePodSandboxRequest;
  RemovePodSandboxResponse: RemovePodSandboxResponse;
  ReopenContainerLogRequest: ReopenContainerLogRequest;
  ReopenContainerLogResponse: ReopenContainerLogResponse;
  RunPodSandboxRequest: RunPodSandboxRequest;
  RunPodSandboxResponse: RunPodSandboxResponse;
  RuntimeCondition: RuntimeCondition;
  RuntimeConfig: RuntimeConfig;
  RuntimeStatus: RuntimeStatus;
  SELinuxOption: SELinuxOption;
  SecurityProfile: SecurityProfile;
  StartContainerRequest: StartContainerRequest;
  StartContainerResponse: StartContainerResponse;
  StatusRequest: StatusRequest;
  StatusResponse: StatusResponse;
  StopContainerRequest: StopContainerRequest;
  StopContainerResponse: StopContainerResponse;
  StopPodSandboxRequest: StopPodSandboxRequest;
  StopPodSandboxResponse: StopPodSandboxResponse;
  UInt64Value: UInt64Value;
  UpdateContainerResourcesRequest: UpdateContainerResourcesRequest;
  UpdateContainerResourcesResponse: UpdateContainerResourcesResponse;
  UpdateRuntimeConfigRequest: UpdateRuntimeConfigRequest;
  UpdateRuntimeConfigResponse: UpdateRuntimeConfigResponse;
  UserNamespace: UserNamespace;
  VersionRequest: VersionRequest;
  VersionResponse: VersionResponse;
  WindowsContainerConfig: WindowsContainerConfig;
  WindowsContainerResources: WindowsContainerResources;
  WindowsContainerSecurityContext: WindowsContainerSecurityContext;
  WindowsPodSandboxConfig: WindowsPodSandboxConfig;
  WindowsPodSandboxStats: WindowsPodSandboxStats;
  WindowsSandboxSecurityContext: WindowsSandboxSecurityContext;
}
