import { randomUUID } from "node:crypto";
import path from "node:path";
import { CriRuntime, GrpcClient, HELLO_IMAGE, type ContainerSpec, type SandboxSpec } from "@skerry/agent";
import type { Machine } from "../test/system/machine.ts";

const SECURITY: SandboxSpec["security"] = {
  supplementalGroups: [],
  privileged: false,
  readonlyRootfs: false,
  noNewPrivileges: false,
  addCapabilities: [],
  dropCapabilities: [],
};
const RESOURCES = { cpuShares: 2, cpuQuotaUs: 0, cpuPeriodUs: 100_000, memoryLimitBytes: 0, oomScoreAdj: 1000 };

/** What containerd itself takes for a pod, network included, asked by nobody but us: sandbox, container and its start, in milliseconds. */
export async function runtimeAlone(machine: Machine, count: number): Promise<number[]> {
  await using client = new GrpcClient({ socketPath: path.join(machine.dataDir, "run/containerd/containerd.sock") });
  const runtime = new CriRuntime({ client, instance: "bench" });
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push(await startPod(runtime, path.join(machine.dataDir, "bench-logs")));
  return times;
}

async function startPod(runtime: CriRuntime, logDirectory: string): Promise<number> {
  const signal = AbortSignal.timeout(60_000);
  const podUid = randomUUID();
  const names = { labels: {}, annotations: {} };
  const sandbox: SandboxSpec = {
    ...names,
    podName: `bench-${podUid}`,
    podNamespace: "default",
    podUid,
    attempt: 0,
    hostname: "bench",
    logDirectory: path.join(logDirectory, podUid),
    dns: undefined,
    portMappings: [],
    network: "pod",
    pid: "container",
    ipc: "pod",
    cgroupParent: "",
    sysctls: {},
    security: SECURITY,
    runtimeHandler: "",
  };
  const image = await runtime.imageStatus(HELLO_IMAGE, signal);
  if (!image) throw new Error(`${HELLO_IMAGE} is not there`);
  const began = performance.now();
  const id = await runtime.runSandbox(sandbox, signal);
  try {
    const container: ContainerSpec = {
      ...names,
      name: "web",
      attempt: 0,
      imageRef: image.id,
      image: HELLO_IMAGE,
      command: [],
      args: [],
      workingDir: "",
      env: [],
      mounts: [],
      logPath: "web.log",
      stdin: false,
      tty: false,
      resources: RESOURCES,
      security: SECURITY,
    };
    await runtime.startContainer(await runtime.createContainer(id, container, sandbox, signal), signal);
    return performance.now() - began;
  } finally {
    await runtime.stopSandbox(id, signal);
    await runtime.removeSandbox(id, signal);
  }
}
