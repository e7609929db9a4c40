/** Types of containerd's messages, made by `npm run codegen` beside `containerd.json`. Do not edit. */

export type TaskStatus = "UNKNOWN" | "CREATED" | "RUNNING" | "STOPPED" | "PAUSED" | "PAUSING";
export type WriteAction = "STAT" | "WRITE" | "COMMIT";

export interface AbortRequest {
  ref: string;
}
export interface AddResourceRequest {
  id: string;
  resource?: Resource;
}
export interface Any {
  typeUrl: string;
  value: Uint8Array;
}
export interface ApplyRequest {
  diff?: Descriptor;
  mounts: Mount[];
  payloads: Record<string, Any>;
}
export interface ApplyResponse {
  applied?: Descriptor;
}
export interface CheckpointTaskRequest {
  containerId: string;
  parentCheckpoint: string;
  options?: Any;
}
export interface CheckpointTaskResponse {
  descriptors: Descriptor[];
}
export interface CloseIORequest {
  containerId: string;
  execId: string;
  stdin: boolean;
}
export interface Container {
  id: string;
  labels: Record<string, string>;
  image: string;
  runtime?: ContainerRuntime;
  spec?: Any;
  snapshotter: string;
  snapshotKey: string;
  createdAt?: Timestamp;
  updatedAt?: Timestamp;
  extensions: Record<string, Any>;
}
export interface ContainerCreate {
  id: string;
  image: string;
  runtime?: ContainerCreateRuntime;
}
export interface ContainerCreateRuntime {
  name: string;
  options?: Any;
}
export interface ContainerDelete {
  id: string;
}
export interface ContainerRuntime {
  name: string;
  options?: Any;
}
export interface ContainerUpdate {
  id: string;
  image: string;
  labels: Record<string, string>;
  snapshotKey: string;
}
export interface ContentDelete {
  digest: string;
}
export interface CreateContainerRequest {
  container?: Container;
}
export interface CreateContainerResponse {
  container?: Container;
}
export interface CreateImageRequest {
  image?: Image;
}
export interface CreateImageResponse {
  image?: Image;
}
export interface CreateNamespaceRequest {
  namespace?: Namespace;
}
export interface CreateNamespaceResponse {
  namespace?: Namespace;
}
export interface CreateRequest {
  id: string;
  labels: Record<string, string>;
}
export interface CreateResponse {
  lease?: Lease;
}
export interface CreateTaskRequest {
  containerId: string;
  rootfs: Mount[];
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
  checkpoint?: Descriptor;
  options?: Any;
  runtimePath: string;
}
export interface CreateTaskResponse {
  containerId: string;
  pid: number;
}
export interface DeleteContainerRequest {
  id: string;
}
export interface DeleteContentRequest {
  digest: string;
}
export interface DeleteImageRequest {
  name: string;
  sync: boolean;
}
export interface DeleteNamespaceRequest {
  name: string;
}
export interface DeleteProcessRequest {
  containerId: string;
  execId: string;
}
export interface DeleteRequest {
  id: string;
  sync: boolean;
}
export interface DeleteResourceRequest {
  id: string;
  resource?: Resource;
}
export interface DeleteResponse {
  id: string;
  pid: number;
  exitStatus: number;
  exitedAt?: Timestamp;
}
export interface DeleteTaskRequest {
  containerId: string;
}
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: bigint;
  annotations: Record<string, string>;
}
export interface DiffRequest {
  left: Mount[];
  right: Mount[];
  mediaType: string;
  ref: string;
  labels: Record<string, string>;
}
export interface DiffResponse {
  diff?: Descriptor;
}
export type Empty = Record<string, never>;
export interface Envelope {
  timestamp?: Timestamp;
  namespace: string;
  topic: string;
  event?: Any;
}
export interface ExecProcessRequest {
  containerId: string;
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
  spec?: Any;
  execId: string;
}
export type ExecProcessResponse = Record<string, never>;
export interface FieldMask {
  paths: string[];
}
export interface ForwardRequest {
  envelope?: Envelope;
}
export interface GetContainerRequest {
  id: string;
}
export interface GetContainerResponse {
  container?: Container;
}
export interface GetImageRequest {
  name: string;
}
export interface GetImageResponse {
  image?: Image;
}
export interface GetNamespaceRequest {
  name: string;
}
export interface GetNamespaceResponse {
  namespace?: Namespace;
}
export interface GetRequest {
  containerId: string;
  execId: string;
}
export interface GetResponse {
  process?: TaskProcess;
}
export interface Image {
  name: string;
  labels: Record<string, string>;
  target?: Descriptor;
  createdAt?: Timestamp;
  updatedAt?: Timestamp;
}
export interface ImageCreate {
  name: string;
  labels: Record<string, string>;
}
export interface ImageDelete {
  name: string;
}
export interface ImageUpdate {
  name: string;
  labels: Record<string, string>;
}
export interface Info {
  digest: string;
  size: bigint;
  createdAt?: Timestamp;
  updatedAt?: Timestamp;
  labels: Record<string, string>;
}
export interface InfoRequest {
  digest: string;
}
export interface InfoResponse {
  info?: Info;
}
export interface KillRequest {
  containerId: string;
  execId: string;
  signal: number;
  all: boolean;
}
export interface Lease {
  id: string;
  createdAt?: Timestamp;
  labels: Record<string, string>;
}
export interface ListContainerMessage {
  container?: Container;
}
export interface ListContainersRequest {
  filters: string[];
}
export interface ListContainersResponse {
  containers: Container[];
}
export interface ListContentRequest {
  filters: string[];
}
export interface ListContentResponse {
  info: Info[];
}
export interface ListImagesRequest {
  filters: string[];
}
export interface ListImagesResponse {
  images: Image[];
}
export interface ListNamespacesRequest {
  filter: string;
}
export interface ListNamespacesResponse {
  namespaces: Namespace[];
}
export interface ListPidsRequest {
  containerId: string;
}
export interface ListPidsResponse {
  processes: TaskProcessInfo[];
}
export interface ListRequest {
  filters: string[];
}
export interface ListResourcesRequest {
  id: string;
}
export interface ListResourcesResponse {
  resources: Resource[];
}
export interface ListResponse {
  leases: Lease[];
}
export interface ListStatusesRequest {
  filters: string[];
}
export interface ListStatusesResponse {
  statuses: Status[];
}
export interface ListTasksRequest {
  filter: string;
}
export interface ListTasksResponse {
  tasks: TaskProcess[];
}
export interface Metric {
  timestamp?: Timestamp;
  id: string;
  data?: Any;
}
export interface MetricsRequest {
  filters: string[];
}
export interface MetricsResponse {
  metrics: Metric[];
}
export interface Mount {
  type: string;
  source: string;
  target: string;
  options: string[];
}
export interface Namespace {
  name: string;
  labels: Record<string, string>;
}
export interface NamespaceCreate {
  name: string;
  labels: Record<string, string>;
}
export interface NamespaceDelete {
  name: string;
}
export interface NamespaceUpdate {
  name: string;
  labels: Record<string, string>;
}
export interface PauseTaskRequest {
  containerId: string;
}
export interface Platform {
  os: string;
  architecture: string;
  variant: string;
}
export interface PublishRequest {
  topic: string;
  event?: Any;
}
export interface ReadContentRequest {
  digest: string;
  offset: bigint;
  size: bigint;
}
export interface ReadContentResponse {
  offset: bigint;
  data: Uint8Array;
}
export interface ResizePtyRequest {
  containerId: string;
  execId: string;
  width: number;
  height: number;
}
export interface Resource {
  id: string;
  type: string;
}
export interface ResumeTaskRequest {
  containerId: string;
}
export interface RpcStatus {
  code: number;
  message: string;
  details: Any[];
}
export interface SnapshotCommit {
  key: string;
  name: string;
}
export interface SnapshotPrepare {
  key: string;
  parent: string;
}
export interface SnapshotRemove {
  key: string;
}
export interface StartRequest {
  containerId: string;
  execId: string;
}
export interface StartResponse {
  pid: number;
}
export interface Status {
  startedAt?: Timestamp;
  updatedAt?: Timestamp;
  ref: string;
  offset: bigint;
  total: bigint;
  expected: string;
}
export interface StatusRequest {
  ref: string;
}
export interface StatusResponse {
  status?: Status;
}
export interface SubscribeRequest {
  filters: string[];
}
export interface TaskCheckpointed {
  containerId: string;
  checkpoint: string;
}
export interface TaskCreate {
  containerId: string;
  bundle: string;
  rootfs: Mount[];
  io?: TaskIO;
  checkpoint: string;
  pid: number;
}
export interface TaskDelete {
  containerId: string;
  pid: number;
  exitStatus: number;
  exitedAt?: Timestamp;
  id: string;
}
export interface TaskExecAdded {
  containerId: string;
  execId: string;
}
export interface TaskExecStarted {
  containerId: string;
  execId: string;
  pid: number;
}
export interface TaskExit {
  containerId: string;
  id: string;
  pid: number;
  exitStatus: number;
  exitedAt?: Timestamp;
}
export interface TaskIO {
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}
export interface TaskOOM {
  containerId: string;
}
export interface TaskPaused {
  containerId: string;
}
export interface TaskProcess {
  containerId: string;
  id: string;
  pid: number;
  status: TaskStatus;
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
  exitStatus: number;
  exitedAt?: Timestamp;
}
export interface TaskProcessInfo {
  pid: number;
  info?: Any;
}
export interface TaskResumed {
  containerId: string;
}
export interface TaskStart {
  containerId: string;
  pid: number;
}
export interface Timestamp {
  seconds: bigint;
  nanos: number;
}
export interface UpdateContainerRequest {
  container?: Container;
  updateMask?: FieldMask;
}
export interface UpdateContainerResponse {
  container?: Container;
}
export interface UpdateImageRequest {
  image?: Image;
  updateMask?: FieldMask;
}
export interface UpdateImageResponse {
  image?: Image;
}
export interface UpdateNamespaceRequest {
  namespace?: Namespace;
  updateMask?: FieldMask;
}
export interface UpdateNamespaceResponse {
  namespace?: Namespace;
}
export interface UpdateRequest {
  info?: Info;
  updateMask?: FieldMask;
}
export interface UpdateResponse {
  info?: Info;
}
export interface UpdateTaskRequest {
  containerId: string;
  resources?: Any;
  annotations: Record<string, string>;
}
export interface VersionResponse {
  version: string;
  revision: string;
}
export interface WaitRequest {
  containerId: string;
  execId: string;
}
export interface WaitResponse {
  exitStatus: number;
  exitedAt?: Timestamp;
}
export interface WriteContentRequest {
  action: WriteAction;
  ref: string;
  total: bigint;
  expected: string;
  offset: bigint;
  data: Uint8Array;
  labels: Record<string, string>;
}
export interface WriteContentResponse {
  action: WriteAction;
  startedAt?: Timestamp;
  updatedAt?: Timestamp;
  offset: bigint;
  total: bigint;
  digest: string;
}

export interface Messages {
  AbortRequest: AbortRequest;
  AddResourceRequest: AddResourceRequest;
  Any: Any;
  ApplyRequest: ApplyRequest;
  ApplyResponse: ApplyResponse;
  CheckpointTaskRequest: CheckpointTaskRequest;
  CheckpointTaskResponse: CheckpointTaskResponse;
  CloseIORequest: CloseIORequest;
  Container: Container;
  ContainerCreate: ContainerCreate;
  ContainerCreateRuntime: ContainerCreateRuntime;
  ContainerDelete: ContainerDelete;
  ContainerRuntime: ContainerRuntime;
  ContainerUpdate: ContainerUpdate;
  ContentDelete: ContentDelete;
  CreateContainerRequest: CreateContainerRequest;
  CreateContainerResponse: CreateContainerResponse;
  CreateImageRequest: CreateImageRequest;
  CreateImageResponse: CreateImageResponse;
  CreateNamespaceRequest: CreateNamespaceRequest;
  CreateNamespaceResponse: CreateNamespaceResponse;
  CreateRequest: CreateRequest;
  CreateResponse: CreateResponse;
  CreateTaskRequest: CreateTaskRequest;
  CreateTaskResponse: CreateTaskResponse;
  DeleteContainerRequest: DeleteContainerRequest;
  DeleteContentRequest: DeleteContentRequest;
  DeleteImageRequest: DeleteImageRequest;
  DeleteNamespaceRequest: DeleteNamespaceRequest;
  DeleteProcessRequest: DeleteProcessRequest;
  DeleteRequest: DeleteRequest;
  DeleteResourceRequest: DeleteResourceRequest;
  DeleteResponse: DeleteResponse;
  DeleteTaskRequest: DeleteTaskRequest;
  Descriptor: Descriptor;
  DiffRequest: DiffRequest;
  DiffResponse: DiffResponse;
  Empty: Empty;
  Envelope: Envelope;
  ExecProcessRequest: ExecProcessRequest;
  ExecProcessResponse: ExecProcessResponse;
  FieldMask: FieldMask;
  ForwardRequest: ForwardRequest;
  GetContainerRequest: GetContainerRequest;
  GetContainerResponse: GetContainerResponse;
  GetImageRequest: GetImageRequest;
  GetImageResponse: GetImageResponse;
  GetNamespaceRequest: GetNamespaceRequest;
  GetNamespaceResponse: GetNamespaceResponse;
  GetRequest: GetRequest;
  GetResponse: GetResponse;
  Image: Image;
  ImageCreate: ImageCreate;
  ImageDelete: ImageDelete;
  ImageUpdate: ImageUpdate;
  Info: Info;
  InfoRequest: InfoRequest;
  InfoResponse: InfoResponse;
  KillRequest: KillRequest;
  Lease: Lease;
  ListContainerMessage: ListContainerMessage;
  ListContainersRequest: ListContainersRequest;
  ListContainersResponse: ListContainersResponse;
  ListContentRequest: ListContentRequest;
  ListContentResponse: ListContentResponse;
  ListImagesRequest: ListImagesRequest;
  ListImagesResponse: ListImagesResponse;
  ListNamespacesRequest: ListNamespacesRequest;
  ListNamespacesResponse: ListNamespacesResponse;
  ListPidsRequest: ListPidsRequest;
  ListPidsResponse: ListPidsResponse;
  ListRequest: ListRequest;
  ListResourcesRequest: ListResourcesRequest;
  ListResourcesResponse: ListResourcesResponse;
  ListResponse: ListResponse;
  ListStatusesRequest: ListStatusesRequest;
  ListStatusesResponse: ListStatusesResponse;
  ListTasksRequest: ListTasksRequest;
  ListTasksResponse: ListTasksResponse;
  Metric: Metric;
  MetricsRequest: MetricsRequest;
  MetricsResponse: MetricsResponse;
  Mount: Mount;
  Namespace: Namespace;
  NamespaceCreate: NamespaceCreate;
  NamespaceDelete: NamespaceDelete;
  NamespaceUpdate: NamespaceUpdate;
  PauseTaskRequest: PauseTaskRequest;
  Platform: Platform;
  PublishRequest: PublishRequest;
  ReadContentRequest: ReadContentRequest;
  ReadContentResponse: ReadContentResponse;
  ResizePtyRequest: ResizePtyRequest;
  Resource: Resource;
  ResumeTaskRequest: ResumeTaskRequest;
  RpcStatus: RpcStatus;
  SnapshotCommit: SnapshotCommit;
  SnapshotPrepare: SnapshotPrepare;
  SnapshotRemove: SnapshotRemove;
  StartRequest: StartRequest;
  StartResponse: StartResponse;
  Status: Status;
  StatusRequest: StatusRequest;
  StatusResponse: StatusResponse;
  SubscribeRequest: SubscribeRequest;
  TaskCheckpointed: TaskCheckpointed;
  TaskCreate: TaskCreate;
  TaskDelete: TaskDelete;
  TaskExecAdded: TaskExecAdded;
  TaskExecStarted: TaskExecStarted;
  TaskExit: TaskExit;
  TaskIO: TaskIO;
  TaskOOM: TaskOOM;
  TaskPaused: TaskPaused;
  TaskProcess: TaskProcess;
  TaskProcessInfo: TaskProcessInfo;
  TaskResumed: TaskResumed;
  TaskStart: TaskStart;
  Timestamp: Timestamp;
  UpdateContainerRequest: UpdateContainerRequest;
  UpdateContainerResponse: UpdateContainerResponse;
  UpdateImageRequest: UpdateImageRequest;
  UpdateImageResponse: UpdateImageResponse;
  UpdateNamespaceRequest: UpdateNamespaceRequest;
  UpdateNamespaceResponse: UpdateNamespaceResponse;
  UpdateRequest: UpdateRequest;
  UpdateResponse: UpdateResponse;
  UpdateTaskRequest: UpdateTaskRequest;
  VersionResponse: VersionResponse;
  WaitRequest: WaitRequest;
  WaitResponse: WaitResponse;
  WriteContentRequest: WriteContentRequest;
  WriteContentResponse: WriteContentResponse;
}
