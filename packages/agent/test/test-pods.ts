import path from "node:path";
import type { PrivateContainerd } from "../src/containerd/private-containerd.ts";
import { HELLO_IMAGE } from "../src/images/builtin-images.ts";
import type { ContainerSpec, SandboxSpec, SecuritySpec } from "../src/runtime/runtime.ts";
import type { EdgeSandbox } from "./edge-sandbox.ts";

/** Long enough for a machine with other work. */
export const patience = (): AbortSignal => AbortSignal.timeout(90_000);

const security: SecuritySpec = {
  supplementalGroups: [],
  privileged: false,
  readonlyRootfs: false,
  noNewPrivileges: false,
  addCapabilities: [],
  dropCapabilities: [],
};

export function sandboxSpec(
  place: Pick<EdgeSandbox, "dir" | "instance">,
  name: string,
  changes: Partial<SandboxSpec> = {},
): SandboxSpec {
  return {
    podName: name,
    podNamespace: "default",
    podUid: `uid-${name}`,
    attempt: 0,
    hostname: name,
    logDirectory: path.join(place.dir, "pods", name),
    dns: { servers: ["10.43.0.10"], searches: ["default.svc.cluster.local"], options: ["ndots:5"] },
    portMappings: [],
    labels: { app: name },
    annotations: { note: "kept" },
    network: "pod",
    pid: "container",
    ipc: "pod",
    cgroupParent: `/skerry-${place.instance}/pod${name}`,
    sysctls: {},
    security,
    runtimeHandler: "",
    ...changes,
  };
}

export function containerSpec(imageRef: string, changes: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    name: "main",
    attempt: 0,
    imageRef,
    image: HELLO_IMAGE,
    command: [],
    args: [],
    workingDir: "",
    env: [],
    mounts: [],
    labels: { version: "1" },
    annotations: {},
    logPath: "main/0.log",
    stdin: false,
    tty: false,
    resources: {
      cpuShares: 2,
      cpuQuotaUs: 0,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 64 * 1024 * 1024,
      oomScoreAdj: 900,
    },
    security,
    ...changes,
  };
}

export interface RunningPod {
  spec: SandboxSpec;
  sandboxId: string;
  containerId: string;
  ip: string;
}

/** A pod with one container of the sample image: its HTTP server, or what `command` says. */
export async function runPod(
  edge: PrivateContainerd,
  spec: SandboxSpec,
  changes: Partial<ContainerSpec> = {},
): Promise<RunningPod> {
  const signal = patience();
  const sandboxId = await edge.runtime.runSandbox(spec, signal);
  const image = await edge.runtime.imageStatus(HELLO_IMAGE, signal);
  const containerId = await edge.runtime.createContainer(
    sandboxId,
    containerSpec(image?.id ?? "", changes),
    spec,
    signal,
  );
  await edge.runtime.startContainer(containerId, signal);
  const { ips } = await edge.runtime.sandboxStatus(sandboxId, signal);
  return { spec, sandboxId, containerId, ip: ips[0] ?? "" };
}

/** Opens a place's containerd and waits until it can run pods. */
export async function openReady(place: EdgeSandbox, podCidr = "10.42.7.0/24"): Promise<PrivateContainerd> {
  const edge = place.open();
  edge.start();
  await edge.supervisor.whenServing(patience());
  await edge.ensureBuiltinImages(patience());
  await edge.setUpNetwork(podCidr, patience());
  return edge;
}
