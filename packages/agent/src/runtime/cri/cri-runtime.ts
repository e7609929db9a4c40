import { systemClock, type Clock } from "@skerry/base";
import {
  RuntimeError,
  type Container,
  type ContainerSpec,
  type ContainerStatus,
  type ImageStatus,
  type Runtime,
  type RuntimeChange,
  type Sandbox,
  type SandboxSpec,
  type SandboxStatus,
} from "../runtime.ts";
import { RuntimeCalls, type CallOutcome } from "../runtime-calls.ts";
import type { GrpcClient } from "./grpc-client.ts";
import { runtimeChanges } from "./runtime-changes.ts";
import { criServices, type CriRequest, type CriResponse, type CriServices } from "./services.ts";
import { runtimeError, type Subject } from "./translate-error.ts";
import {
  containerConfig,
  containerOf,
  containerStatusOf,
  imageStatusOf,
  instanceSelector,
  sandboxConfig,
  sandboxOf,
} from "./translate.ts";

export interface CriRuntimeOptions {
  client: GrpcClient;
  /** Marks what is ours on a runtime that others may use too. */
  instance: string;
  /** Why the runtime does not answer, from who looks after it; undefined when that is not known. */
  whyUnavailable?: () => string | undefined;
  /** Why the runtime is not to be asked though it may answer; undefined when it is. Calls then fail with `Unavailable`. */
  whyClosed?: () => string | undefined;
  clock?: Clock;
}

/** For looking: the runtime answers from memory. */
const LOOK_TIMEOUT_MS = 30_000;
/** For making: disks of edge devices are slow. */
const WORK_TIMEOUT_MS = 4 * 60_000;
/** For ending and removing, in which the kernel unmounts in its own time. Whoever waits longer waits for what stands still. */
const END_TIMEOUT_MS = 90_000;
/** How many sandboxes' network namespaces are remembered; the oldest goes first. */
const MAX_KNOWN = 512;

/** A `Runtime` over CRI v1: containerd, or any other runtime that listens on a unix socket. */
export class CriRuntime implements Runtime {
  /** What was called so far. */
  readonly calls = new RuntimeCalls();
  readonly #client: GrpcClient;
  readonly #cri: CriServices;
  readonly #instance: string;
  readonly #whyUnavailable: () => string | undefined;
  readonly #whyClosed: () => string | undefined;
  readonly #clock: Clock;
  /** Sandbox → the file of its network namespace, which only the long form of a status tells, and which never changes. */
  readonly #netns = new Map<string, string>();
  /** Container → its sandbox, which a container's status does not tell. */
  readonly #sandboxOfContainer = new Map<string, string>();

  constructor(options: CriRuntimeOptions) {
    const { client, instance, whyUnavailable, whyClosed, clock = systemClock } = options;
    this.#client = client;
    this.#cri = criServices(client);
    this.#instance = instance;
    this.#whyUnavailable = whyUnavailable ?? (() => undefined);
    this.#whyClosed = whyClosed ?? (() => undefined);
    this.#clock = clock;
  }

  async version(signal: AbortSignal): Promise<{ name: string; version: string; apiVersion: string }> {
    const { runtimeName, runtimeVersion, runtimeApiVersion } = await this.#look("Version", {}, signal);
    return { name: runtimeName, version: runtimeVersion, apiVersion: runtimeApiVersion };
  }

  async problems(signal: AbortSignal): Promise<{ runtime: string[]; network: string[] }> {
    const problems = { runtime: [] as string[], network: [] as string[] };
    let status;
    try {
      ({ status } = await this.#look("Status", {}, signal));
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code !== "Unavailable") throw error;
      problems.runtime.push(error.message);
    }
    for (const { type, status: isTrue, reason, message } of status?.conditions ?? []) {
      if (isTrue) continue;
      const text = [reason, message].filter(Boolean).join(": ");
      (type === "NetworkReady" ? problems.network : problems.runtime).push(text || `${type} is false`);
    }
    return problems;
  }

  async listSandboxes(signal: AbortSignal): Promise<Sandbox[]> {
    const { items } = await this.#look("ListPodSandbox", { filter: this.#ours() }, signal);
    return items.map(sandboxOf);
  }

  async listContainers(signal: AbortSignal): Promise<Container[]> {
    const { containers } = await this.#look("ListContainers", { filter: this.#ours() }, signal);
    for (const { id, podSandboxId } of containers) remember(this.#sandboxOfContainer, id, podSandboxId);
    return containers.map(containerOf);
  }

  async sandboxStatus(id: string, signal: AbortSignal): Promise<SandboxStatus> {
    const known = this.#netns.get(id);
    const request = { podSandboxId: id, verbose: known === undefined };
    const { status, info } = await this.#look("PodSandboxStatus", request, signal);
    if (!status) throw new RuntimeError("NotFound", `The runtime tells nothing about sandbox ${id}`);
    const netns = known ?? netnsOf(info["info"]);
    if (known === undefined && netns !== "") remember(this.#netns, id, netns);
    const ips = [status.network?.ip ?? "", ...(status.network?.additionalIps ?? []).map(({ ip }) => ip)];
    return { ...sandboxOf(status), ips: ips.filter((ip) => ip !== ""), netns };
  }

  async containerStatus(id: string, signal: AbortSignal): Promise<ContainerStatus> {
    const { status } = await this.#look("ContainerStatus", { containerId: id }, signal);
    if (!status) throw new RuntimeError("NotFound", `The runtime tells nothing about container ${id}`);
    return containerStatusOf(status, await this.#sandboxIdOf(id, signal));
  }

  async runSandbox(spec: SandboxSpec, signal: AbortSignal): Promise<string> {
    const config = sandboxConfig(spec, this.#instance);
    const request = { config, runtimeHandler: spec.runtimeHandler };
    return (await this.#call("RunPodSandbox", request, "pod", signal, WORK_TIMEOUT_MS)).podSandboxId;
  }

  async stopSandbox(id: string, signal: AbortSignal): Promise<void> {
    await unlessGone(this.#call("StopPodSandbox", { podSandboxId: id }, "pod", signal, END_TIMEOUT_MS));
  }

  async removeSandbox(id: string, signal: AbortSignal): Promise<void> {
    await unlessGone(this.#call("RemovePodSandbox", { podSandboxId: id }, "pod", signal, END_TIMEOUT_MS));
    this.#netns.delete(id);
  }

  async createContainer(
    sandboxId: string,
    spec: ContainerSpec,
    sandbox: SandboxSpec,
    signal: AbortSignal,
  ): Promise<string> {
    const request = {
      podSandboxId: sandboxId,
      config: containerConfig(spec, sandbox, this.#instance),
      sandboxConfig: sandboxConfig(sandbox, this.#instance),
    };
    const { containerId } = await this.#call("CreateContainer", request, "pod", signal, WORK_TIMEOUT_MS);
    remember(this.#sandboxOfContainer, containerId, sandboxId);
    return containerId;
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#call("StartContainer", { containerId: id }, "pod", signal, WORK_TIMEOUT_MS);
  }

  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const timeoutMs = graceSeconds * 1000 + END_TIMEOUT_MS;
    const request = { containerId: id, timeout: graceSeconds };
    await unlessGone(this.#call("StopContainer", request, "pod", signal, timeoutMs));
  }

  async removeContainer(id: string, signal: AbortSignal): Promise<void> {
    await unlessGone(this.#call("RemoveContainer", { containerId: id }, "pod", signal, END_TIMEOUT_MS));
    this.#sandboxOfContainer.delete(id);
  }

  async reopenLog(id: string, signal: AbortSignal): Promise<void> {
    await this.#look("ReopenContainerLog", { containerId: id }, signal);
  }

  async imageStatus(image: string, signal: AbortSignal): Promise<ImageStatus | undefined> {
    const request = { image: { image } };
    const answer = await this.#call("ImageStatus", request, "image", signal, LOOK_TIMEOUT_MS);
    return answer.image && imageStatusOf(answer.image);
  }

  async listImages(signal: AbortSignal): Promise<ImageStatus[]> {
    const { images } = await this.#call("ListImages", {}, "image", signal, LOOK_TIMEOUT_MS);
    return images.map(imageStatusOf);
  }

  async pullImage(image: string, signal: AbortSignal): Promise<string> {
    // No deadline: on a bad link a pull may take hours, and the runtime ends one that makes no progress.
    return (await this.#call("PullImage", { image: { image } }, "image", signal, undefined)).imageRef;
  }

  async removeImage(image: string, signal: AbortSignal): Promise<void> {
    await this.#call("RemoveImage", { image: { image } }, "image", signal, WORK_TIMEOUT_MS);
  }

  changes(signal: AbortSignal): AsyncIterable<RuntimeChange> {
    return runtimeChanges(this.#client, this.#cri, signal, this.#clock);
  }

  #ours(): { labelSelector: Record<string, string> } {
    return { labelSelector: instanceSelector(this.#instance) };
  }

  async #sandboxIdOf(containerId: string, signal: AbortSignal): Promise<string> {
    const known = this.#sandboxOfContainer.get(containerId);
    if (known !== undefined) return known;
    const { containers } = await this.#look("ListContainers", { filter: { id: containerId } }, signal);
    const sandboxId = containers[0]?.podSandboxId ?? "";
    remember(this.#sandboxOfContainer, containerId, sandboxId);
    return sandboxId;
  }

  #look<M extends Parameters<CriServices["call"]>[0]>(
    method: M,
    request: CriRequest<M>,
    signal: AbortSignal,
  ): Promise<CriResponse<M>> {
    return this.#call(method, request, "memory", signal, LOOK_TIMEOUT_MS);
  }

  async #call<M extends Parameters<CriServices["call"]>[0]>(
    method: M,
    request: CriRequest<M>,
    subject: Subject,
    signal: AbortSignal,
    timeoutMs: number | undefined,
  ): Promise<CriResponse<M>> {
    const closed = this.#whyClosed();
    if (closed !== undefined) throw new RuntimeError("Unavailable", closed);
    const begin = this.#clock.monotonic();
    const ended = (outcome: CallOutcome): void =>
      this.calls.observe(method, outcome, (this.#clock.monotonic() - begin) / 1000);
    try {
      const answer = await this.#cri.call(method, request, { signal, ...(timeoutMs !== undefined && { timeoutMs }) });
      ended("OK");
      return answer;
    } catch (error) {
      const translated = runtimeError(error, subject);
      ended(translated instanceof RuntimeError ? translated.code : "Cancelled");
      if (!(translated instanceof RuntimeError) || translated.code !== "Unavailable") throw translated;
      throw new RuntimeError("Unavailable", this.#whyUnavailable() ?? translated.message, { cause: error });
    }
  }
}

/** What is to be gone, and is gone already, is as wanted. */
async function unlessGone(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== "NotFound") throw error;
  }
}

function remember(known: Map<string, string>, id: string, value: string): void {
  known.delete(id);
  known.set(id, value);
  for (const oldest of known.keys()) {
    if (known.size <= MAX_KNOWN) break;
    known.delete(oldest);
  }
}

/** containerd's long status is JSON that holds the OCI spec of the sandbox; another runtime's may be anything. */
function netnsOf(info: string | undefined): string {
  try {
    const parsed = JSON.parse(info ?? "") as {
      runtimeSpec?: { linux?: { namespaces?: { type?: string; path?: string }[] } };
    };
    return parsed.runtimeSpec?.linux?.namespaces?.find(({ type }) => type === "network")?.path ?? "";
  } catch {
    return "";
  }
}
