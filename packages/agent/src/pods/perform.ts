import { existsSync } from "node:fs";
import { chmod, lchown, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { isMissingFile, type Clock } from "@skerry/base";
import type { Container, Pod } from "@skerry/machinery/types";
import { RuntimeError, type ImageStatus, type Runtime } from "../runtime/runtime.ts";
import type { Mounts } from "../volumes/mounts.ts";
import { bindSubPath } from "../volumes/sub-path.ts";
import { setUpVolumes, tearDownVolumes } from "../volumes/volumes.ts";
import type { PodCgroups } from "./cgroups.ts";
import { containerSpec, innerMountPoints, subPathMounts, type ContainerSpecInput } from "./container-spec.ts";
import { podDns, podResolvConf, type NodeDns } from "./dns.ts";
import type { DownwardFacts } from "./downward.ts";
import { containerEnv, type ConfigSource } from "./env.ts";
import type { EventText } from "./events.ts";
import { hostsContent } from "./hosts.ts";
import { rewriteMounted } from "./mounted-file.ts";
import type { ObservedPod } from "./observed.ts";
import { containerLog, hostsFile, podDir, podLogDir, resolvConfFile, terminationFile, type PodPaths } from "./paths.ts";
import { podResources } from "./resources.ts";
import { sandboxSpec } from "./sandbox-spec.ts";
import type { Step, StopTarget } from "./steps.ts";

/** What steps are carried out with; the same for all pods. */
export interface Means {
  runtime: Runtime;
  clock: Clock;
  paths: PodPaths;
  mounts: Mounts;
  cgroups: PodCgroups;
  source: ConfigSource;
  /** What pods are told of the node; addresses may change. */
  node: () => NodeView;
}

export interface NodeView {
  name: string;
  hostIps: string[];
  cpuMillis: number;
  memoryBytes: number;
  storageBytes: number;
  dns: NodeDns;
  /** Its own /etc/hosts. */
  hosts: string;
}

/** One pod's plan while it is carried out: later steps build on what earlier ones made. */
export interface Performance {
  pod: Pod;
  observed: ObservedPod;
  /** The sandbox that containers are made in, once there is one. */
  sandbox: { id: string; attempt: number; ips: string[] } | undefined;
  created: Map<string, string>;
  record: (event: EventText) => void;
}

export type DoneByLoop = Extract<Step, { do: "finish" | "intend" | "wait" }>;

/** An image is not on the machine and its policy forbids to fetch it. */
export class ImageNeverPullError extends Error {
  override name = "ImageNeverPullError";
}

/** Carries one step out. What it does may be half done when it fails or is aborted; the next look sees what came of it. */
export async function perform(
  step: Exclude<Step, DoneByLoop>,
  performance: Performance,
  means: Means,
  signal: AbortSignal,
): Promise<void> {
  const { runtime, paths } = means;
  const { pod } = performance;
  const uid = pod.metadata.uid ?? "";
  switch (step.do) {
    case "resolv-conf":
      return rewriteMounted(resolvConfFile(paths, uid), podResolvConf(pod, means.node().dns));
    case "cgroup":
      // The folder first: it is what says that there is something to take down.
      await mkdir(podDir(paths, uid), { recursive: true, mode: 0o750 });
      return means.cgroups.ensure(uid, podResources(pod), signal);
    case "volumes":
      await mkdir(podDir(paths, uid), { recursive: true, mode: 0o750 });
      return setUpVolumes(pod, { ...means, facts: downwardFacts(performance, means) }, signal);
    case "pull":
      return pull(step, performance, means, signal);
    case "run-sandbox":
      return runSandbox(step.attempt, performance, means, signal);
    case "stop-sandbox":
      return runtime.stopSandbox(step.id, signal);
    case "remove-sandbox":
      return runtime.removeSandbox(step.id, signal);
    case "create":
      return create(step, performance, means, signal);
    case "start":
      await runtime.startContainer(step.id ?? performance.created.get(step.container) ?? "", signal);
      performance.record({
        type: "Normal",
        reason: "Started",
        message: `Started container ${step.container}`,
        container: step.container,
      });
      return;
    case "stop":
      return stop(step.targets, step.graceSeconds, performance, means, signal);
    case "remove":
      return runtime.removeContainer(step.id, signal);
    case "teardown":
      await means.cgroups.remove(uid, signal);
      if (!step.keepLogs) await rm(podLogDir(paths, pod), { recursive: true, force: true });
      return tearDownVolumes(uid, paths, means.mounts, signal);
  }
}

async function pull(
  { container, image, needed }: Extract<Step, { do: "pull" }>,
  { pod, record }: Performance,
  { runtime, clock }: Means,
  signal: AbortSignal,
): Promise<void> {
  const policy = pod.spec?.containers.find((one) => one.name === container)?.imagePullPolicy;
  if (needed && policy === "Never") {
    throw new ImageNeverPullError(`Container image "${image}" is not present with pull policy of Never`);
  }
  record({ type: "Normal", reason: "Pulling", message: `Pulling image "${image}"`, container });
  const startedAt = clock.monotonic();
  const id = await runtime.pullImage(image, signal);
  const seconds = ((clock.monotonic() - startedAt) / 1000).toFixed(3);
  const size = (await runtime.imageStatus(id, signal))?.sizeBytes ?? 0;
  const message = `Successfully pulled image "${image}" in ${seconds}s (${seconds}s including waiting). Image size: ${size} bytes.`;
  record({ type: "Normal", reason: "Pulled", message, container });
}

async function runSandbox(attempt: number, performance: Performance, means: Means, signal: AbortSignal): Promise<void> {
  const { pod, record } = performance;
  if (attempt > 0) {
    const message = "Pod sandbox changed, it will be killed and re-created.";
    record({ type: "Normal", reason: "SandboxChanged", message });
  }
  await mkdir(podLogDir(means.paths, pod), { recursive: true, mode: 0o755 });
  const id = await means.runtime.runSandbox(sandboxOf(pod, attempt, means), signal);
  const { ips } = await means.runtime.sandboxStatus(id, signal);
  performance.sandbox = { id, attempt, ips };
  if (podDns(pod, means.node().dns).servers.length === 0) {
    const message =
      "No name is resolved in this pod until the node has a name server: neither /etc/resolv.conf nor systemd-resolved names one " +
      "that the pod can reach. Give the node one, or name one in spec.dnsConfig.nameservers";
    record({ type: "Warning", reason: "DNSConfigForming", message });
  }
}

async function create(
  { container: name, attempt }: Extract<Step, { do: "create" }>,
  performance: Performance,
  means: Means,
  signal: AbortSignal,
): Promise<void> {
  const { pod, sandbox, created, record } = performance;
  const { runtime, paths, source } = means;
  const container = pod.spec?.containers.find((one) => one.name === name);
  if (!container || !sandbox) throw new Error(`Cannot create container ${name}: no sandbox for it`);
  const image = await runtime.imageStatus(container.image ?? "", signal);
  if (!image) throw new RuntimeError("NotFound", `image "${container.image ?? ""}" is not on the machine any more`);
  const wasPulled = performance.observed.images.get(container.image ?? "") !== true;
  if (!wasPulled) {
    const message = `Container image "${container.image ?? ""}" already present on machine`;
    record({ type: "Normal", reason: "Pulled", message, container: name });
  }
  const env = containerEnv(pod, container, source, downwardFacts(performance, means));
  const input: ContainerSpecInput = {
    pod,
    container,
    attempt,
    image: image satisfies ImageStatus,
    env,
    paths,
    memoryCapacity: means.node().memoryBytes,
  };
  const spec = containerSpec(input);
  await makeFiles(container, attempt, performance, means);
  for (const { volumePath, subPath, boundAt } of subPathMounts(input)) {
    await bindSubPath({ volumePath, subPath, target: boundAt }, means.mounts, signal);
  }
  for (const { point, source } of innerMountPoints(input, spec.mounts)) await makeMountPoint(point, source);
  created.set(name, await runtime.createContainer(sandbox.id, spec, sandboxOf(pod, sandbox.attempt, means), signal));
  record({ type: "Normal", reason: "Created", message: `Created container: ${name}`, container: name });
}

/** The files that a container is given besides its volumes, and its log's folder. What instances long gone left is removed. */
async function makeFiles(
  container: Container,
  attempt: number,
  { pod, sandbox }: Performance,
  { paths, node }: Means,
): Promise<void> {
  const uid = pod.metadata.uid ?? "";
  await rewriteMounted(hostsFile(paths, uid), hostsContent(pod, sandbox?.ips ?? [], node().hosts));
  const words = terminationFile(paths, uid, container.name, attempt);
  await mkdir(path.dirname(words), { recursive: true, mode: 0o750 });
  await removeOlder(path.dirname(words), attempt);
  await writeFile(words, "");
  await chmod(words, 0o666); // whoever the container runs as may write it
  const gid = pod.spec?.securityContext?.fsGroup;
  if (gid !== undefined) await lchown(words, -1, gid);

  const logs = path.dirname(path.join(podLogDir(paths, pod), containerLog(container.name, attempt)));
  await mkdir(logs, { recursive: true, mode: 0o755 });
  await removeOlder(logs, attempt - 1); // the one before stays for `logs --previous`
}

/** What is mounted somewhere needs a folder or a file there, as it is itself. */
async function makeMountPoint(point: string, source: string): Promise<void> {
  if (existsSync(point)) return;
  const isFolder = await stat(source).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      if (isMissingFile(error)) return true; // the runtime makes a folder of what is to be mounted and is not there
      throw error;
    },
  );
  await mkdir(isFolder ? point : path.dirname(point), { recursive: true, mode: 0o755 });
  if (!isFolder) await writeFile(point, "", { flag: "a" });
}

/** Removes the files of attempts before `attempt`: their names begin with its number. */
async function removeOlder(folder: string, attempt: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (Number.parseInt(name, 10) < attempt) await rm(path.join(folder, name), { force: true });
  }
}

async function stop(
  targets: StopTarget[],
  graceSeconds: number,
  { record }: Performance,
  { runtime }: Means,
  signal: AbortSignal,
): Promise<void> {
  const stops = targets.map(({ container, id, why }) => {
    const message =
      why === "changed"
        ? `Container ${container} definition changed, will be restarted`
        : `Stopping container ${container}`;
    record({ type: "Normal", reason: "Killing", message, container });
    return runtime.stopContainer(id, graceSeconds, signal);
  });
  const failures = (await Promise.allSettled(stops)).flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, failures.map((one) => (one as Error).message).join("; "));
}

function sandboxOf(pod: Pod, attempt: number, { paths, cgroups, node }: Means): ReturnType<typeof sandboxSpec> {
  const cgroupParent = cgroups.parentOf(pod.metadata.uid ?? "");
  return sandboxSpec({ pod, attempt, paths, cgroupParent, nodeDns: node().dns });
}

function downwardFacts({ sandbox, observed }: Performance, { node }: Means): DownwardFacts {
  const { name, hostIps, cpuMillis, memoryBytes, storageBytes } = node();
  const ready = sandbox ?? observed.sandboxes.find((one) => one.ready);
  return { nodeName: name, podIps: ready?.ips ?? [], hostIps, allocatable: { cpuMillis, memoryBytes, storageBytes } };
}
