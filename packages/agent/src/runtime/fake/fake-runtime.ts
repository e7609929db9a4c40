import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { systemClock, type Clock } from "@skerry/base";
import {
  RuntimeError,
  type Container,
  type ContainerSpec,
  type ContainerStatus,
  type ImageStatus,
  type ImageStore,
  type Runtime,
  type RuntimeChange,
  type Sandbox,
  type SandboxSpec,
  type SandboxStatus,
} from "../runtime.ts";
import { loadMachine, newMachine, saveMachine, type FakeContainer, type FakeSandbox, type Machine } from "./machine.ts";
import { scriptOf, type Script } from "./script.ts";

/** The calls whose time and failures a test can set. */
export type FakeCall = Exclude<keyof Runtime, "changes"> | "importArchive";

export interface FakeRuntimeOptions {
  clock?: Clock;
  /** Kept by the test: a second runtime over the same machine is the runtime that an agent finds after its restart. */
  machine?: Machine;
  /** Keeps the machine in a file instead, written with each change. */
  stateFile?: string;
  /** Images that a pull finds. `true`: any. */
  registry?: Iterable<string> | true;
  /** Whether containers really write their log and termination message files. */
  writesFiles?: boolean;
  script?: (spec: ContainerSpec) => Script;
}

/**
 * A container runtime without containers, with the rules of a real one: names are reserved, an address and host ports stay
 * taken until their sandbox is stopped, a reboot leaves exited containers or none. Breaking one is refused, or noted in
 * `machine.violations`.
 */
export class FakeRuntime implements Runtime, ImageStore {
  readonly machine: Machine;
  readonly #clock: Clock;
  readonly #stateFile: string | undefined;
  readonly #registry: Set<string> | true;
  readonly #writesFiles: boolean;
  readonly #script: (spec: ContainerSpec) => Script;
  readonly #latency = new Map<FakeCall, number>();
  readonly #failures = new Map<FakeCall, RuntimeError[]>();
  readonly #held = new Set<string>();
  readonly #watchers = new Set<(change: RuntimeChange | undefined) => void>();
  readonly #timers = new Set<() => void>();
  #hook: ((call: FakeCall, when: "before" | "after") => void | Promise<void>) | undefined;
  #isAvailable = true;
  #problems: { runtime: string[]; network: string[] } = { runtime: [], network: [] };

  /** How often each call was made. */
  readonly calls = new Map<FakeCall, number>();

  constructor(options: FakeRuntimeOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#stateFile = options.stateFile;
    this.machine = options.machine ?? (options.stateFile === undefined ? newMachine() : loadMachine(options.stateFile));
    this.#registry = options.registry === true ? true : new Set(options.registry ?? []);
    this.#writesFiles = options.writesFiles ?? false;
    this.#script = options.script ?? scriptOf;
    for (const container of Object.values(this.machine.containers)) this.#schedule(container);
  }

  // What a test does to it.

  /** Puts an image on the machine. */
  addImage(image: string, { uid, username = "" }: { uid?: number; username?: string } = {}): void {
    const id = `sha256:${Buffer.from(image).toString("hex").padEnd(64, "0").slice(0, 64)}`;
    if (this.machine.images.some((one) => one.tags.includes(image))) return;
    this.machine.images.push({ id, tags: [image], digests: [], sizeBytes: 1_000_000, uid, username });
    this.#save();
  }

  /** Puts an image into the registry that pulls ask. */
  publish(image: string): void {
    if (this.#registry !== true) this.#registry.add(image);
  }

  /** Each call of this name takes so long from now on. */
  setLatency(call: FakeCall, ms: number): void {
    this.#latency.set(call, ms);
  }

  /** The next call of this name fails with the error, before it does anything. May be said several times. */
  failNext(call: FakeCall, error: RuntimeError): void {
    this.#failures.set(call, [...(this.#failures.get(call) ?? []), error]);
  }

  /** Holds the name of one instance of a container, which is not listed: a call that was cut off has not ended yet. */
  holdName(podName: string, container: string, attempt: number): void {
    this.#held.add(`${podName}/${container}/${attempt}`);
  }

  /** Runs around each call: before it has an effect, and after, before the caller learns of it. A throw is the call's failure. */
  setHook(hook: ((call: FakeCall, when: "before" | "after") => void | Promise<void>) | undefined): void {
    this.#hook = hook;
  }

  /** Whether the runtime answers at all. Its containers go on meanwhile. */
  setAvailable(isAvailable: boolean): void {
    this.#isAvailable = isAvailable;
    if (!isAvailable) for (const watcher of this.#watchers) watcher(undefined);
  }

  setProblems(problems: { runtime: string[]; network: string[] }): void {
    this.#problems = problems;
  }

  /** Ends a running container as if its process had. */
  exit(podName: string, container: string, exitCode: number, reason = exitCode === 0 ? "Completed" : "Error"): void {
    const found = this.#running(podName, container);
    if (!found) throw new Error(`Cannot end container ${container} of pod ${podName}: it does not run`);
    this.#end(found, exitCode, reason);
  }

  /** The kernel ends a process of a container for want of memory. As of a real runtime, this is told before the container's end, after it, or of one that goes on. */
  runOutOfMemory(id: string): void {
    const container = this.machine.containers[id];
    if (container) container.reason = "OOMKilled";
    this.#changed(id, true);
  }

  /** Whether the pod's container runs now. */
  isRunning(podName: string, container: string): boolean {
    return this.#running(podName, container) !== undefined;
  }

  /** A sandbox dies, and what ran in it too. */
  killSandbox(podName: string): void {
    for (const sandbox of Object.values(this.machine.sandboxes)) {
      if (sandbox.spec.podName === podName && sandbox.ready) this.#endSandbox(sandbox, 137, "Error");
    }
    this.#changed(undefined);
  }

  /**
   * The machine reboots. `kept`: the runtime's root is, so sandboxes are found not ready and containers exited with 255;
   * `removed`: nothing is found.
   */
  reboot(records: "kept" | "removed"): void {
    if (records === "removed") {
      this.machine.sandboxes = {};
      this.machine.containers = {};
    }
    for (const sandbox of Object.values(this.machine.sandboxes)) this.#endSandbox(sandbox, 255, "Unknown");
    this.#changed(undefined);
  }

  /** Stops the clock's callbacks, as the end of the process that holds this runtime does. The machine stays. */
  detach(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    for (const watcher of this.#watchers) watcher(undefined);
  }

  // What an agent asks of it.

  version(signal: AbortSignal): Promise<{ name: string; version: string; apiVersion: string }> {
    return this.#call("version", signal, () => ({ name: "fake", version: "1.0.0", apiVersion: "v1" }));
  }

  problems(signal: AbortSignal): Promise<{ runtime: string[]; network: string[] }> {
    return this.#call("problems", signal, () => this.#problems);
  }

  listSandboxes(signal: AbortSignal): Promise<Sandbox[]> {
    return this.#call("listSandboxes", signal, () => Object.values(this.machine.sandboxes).map(sandboxOf));
  }

  listContainers(signal: AbortSignal): Promise<Container[]> {
    return this.#call("listContainers", signal, () => Object.values(this.machine.containers).map(containerOf));
  }

  sandboxStatus(id: string, signal: AbortSignal): Promise<SandboxStatus> {
    return this.#call("sandboxStatus", signal, () => {
      const sandbox = this.#sandbox(id);
      const ips = sandbox.ip === "" || !sandbox.ready ? [] : [sandbox.ip];
      return { ...sandboxOf(sandbox), ips, netns: `/run/netns/${id}` };
    });
  }

  containerStatus(id: string, signal: AbortSignal): Promise<ContainerStatus> {
    return this.#call("containerStatus", signal, () => {
      const container = this.#container(id);
      const sandbox = this.machine.sandboxes[container.sandboxId];
      return {
        ...containerOf(container),
        startedAtNs: nanoseconds(container.startedAtMs),
        finishedAtNs: nanoseconds(container.finishedAtMs),
        exitCode: container.exitCode,
        reason: container.reason,
        message: "",
        logPath: path.join(sandbox?.spec.logDirectory ?? "", container.spec.logPath),
      };
    });
  }

  runSandbox(spec: SandboxSpec, signal: AbortSignal): Promise<string> {
    return this.#call("runSandbox", signal, () => {
      const others = Object.values(this.machine.sandboxes);
      const reserved = others.find((one) => one.spec.podUid === spec.podUid && one.spec.attempt === spec.attempt);
      if (reserved) throw new RuntimeError("AlreadyExists", `name is reserved for sandbox ${reserved.id}`);
      const taken = others
        .filter((one) => !one.stopped)
        .flatMap((one) => one.spec.portMappings)
        .find((port) => spec.portMappings.some((p) => p.hostPort === port.hostPort && p.protocol === port.protocol));
      if (taken) throw new RuntimeError("Unknown", `cannot map host port ${taken.hostPort}: address already in use`);
      if (others.some((one) => one.ready && one.spec.podUid === spec.podUid)) {
        this.machine.violations.push(`two ready sandboxes of pod ${spec.podName}`);
      }
      const id = this.#newId("sandbox");
      const ip = spec.network === "node" ? "" : this.#freeIp();
      this.machine.sandboxes[id] = { id, spec, ready: true, stopped: false, ip, createdAtMs: this.#clock.now() };
      this.#changed(id);
      return id;
    });
  }

  stopSandbox(id: string, signal: AbortSignal): Promise<void> {
    return this.#call("stopSandbox", signal, () => {
      const sandbox = this.machine.sandboxes[id];
      if (!sandbox) return;
      if (sandbox.ready) this.#endSandbox(sandbox, 137, "Error");
      sandbox.stopped = true;
      this.#changed(id);
    });
  }

  removeSandbox(id: string, signal: AbortSignal): Promise<void> {
    return this.#call("removeSandbox", signal, () => {
      const sandbox = this.machine.sandboxes[id];
      if (!sandbox) return;
      if (!sandbox.stopped) throw new RuntimeError("Invalid", `sandbox ${id} is not stopped`);
      for (const container of Object.values(this.machine.containers)) {
        if (container.sandboxId === id) delete this.machine.containers[container.id];
      }
      delete this.machine.sandboxes[id];
      this.#changed(id);
    });
  }

  createContainer(sandboxId: string, spec: ContainerSpec, _sandbox: SandboxSpec, signal: AbortSignal): Promise<string> {
    return this.#call("createContainer", signal, () => {
      const sandbox = this.#sandbox(sandboxId);
      if (!sandbox.ready) throw new RuntimeError("Invalid", `sandbox ${sandboxId} is not running`);
      if (!this.machine.images.some((image) => image.id === spec.imageRef)) {
        throw new RuntimeError("NotFound", `image ${spec.imageRef} not found`);
      }
      const uid = sandbox.spec.podUid;
      if (this.#held.has(`${sandbox.spec.podName}/${spec.name}/${spec.attempt}`)) {
        throw new RuntimeError("AlreadyExists", "name is reserved for a container that is being made");
      }
      const reserved = this.#containersOf(uid).find(
        (c) => c.spec.name === spec.name && c.spec.attempt === spec.attempt,
      );
      if (reserved) throw new RuntimeError("AlreadyExists", `name is reserved for container ${reserved.id}`);
      const id = this.#newId("container");
      this.machine.containers[id] = {
        id,
        sandboxId,
        spec,
        state: "created",
        createdAtMs: this.#clock.now(),
        startedAtMs: 0,
        finishedAtMs: 0,
        exitCode: 0,
        reason: "",
        endsAtMs: undefined,
      };
      this.#changed(id);
      return id;
    });
  }

  startContainer(id: string, signal: AbortSignal): Promise<void> {
    return this.#call("startContainer", signal, () => {
      const container = this.#container(id);
      const sandbox = this.#sandbox(container.sandboxId);
      if (container.state !== "created") throw new RuntimeError("Invalid", `container ${id} is ${container.state}`);
      if (!sandbox.ready) throw new RuntimeError("Invalid", `sandbox ${sandbox.id} is not running`);
      const uid = sandbox.spec.podUid;
      if (this.#containersOf(uid).some((c) => c.spec.name === container.spec.name && c.state === "running")) {
        this.machine.violations.push(`container ${container.spec.name} of pod ${sandbox.spec.podName} runs twice`);
      }
      const script = this.#script(container.spec);
      container.state = "running";
      container.startedAtMs = this.#clock.now();
      if (script.endsAfterMs !== undefined) container.endsAtMs = container.startedAtMs + script.endsAfterMs;
      const counter = `${uid}/${container.spec.name}`;
      this.machine.starts[counter] = (this.machine.starts[counter] ?? 0) + 1;
      this.#writeLog(container, sandbox, ["started", ...script.says]);
      this.#schedule(container);
      this.#changed(id);
    });
  }

  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const found = this.machine.containers[id];
    const ignores = found?.state === "running" && this.#script(found.spec).ignoresTerm;
    if (ignores) await this.#clock.sleep(graceSeconds * 1000, signal);
    return this.#call("stopContainer", signal, () => {
      const container = this.machine.containers[id];
      if (container?.state === "running") this.#end(container, ignores ? 137 : 143, "Error");
    });
  }

  removeContainer(id: string, signal: AbortSignal): Promise<void> {
    return this.#call("removeContainer", signal, () => {
      const container = this.machine.containers[id];
      if (container?.state === "running") throw new RuntimeError("Invalid", `container ${id} is running`);
      delete this.machine.containers[id];
      this.#changed(id);
    });
  }

  reopenLog(id: string, signal: AbortSignal): Promise<void> {
    return this.#call("reopenLog", signal, () => {
      const container = this.#container(id);
      if (container.state !== "running") throw new RuntimeError("Invalid", `container ${id} is not running`);
      this.#writeLog(container, this.#sandbox(container.sandboxId), []);
    });
  }

  imageStatus(image: string, signal: AbortSignal): Promise<ImageStatus | undefined> {
    return this.#call("imageStatus", signal, () =>
      this.machine.images.find((one) => one.id === image || one.tags.includes(image)),
    );
  }

  listImages(signal: AbortSignal): Promise<ImageStatus[]> {
    return this.#call("listImages", signal, () => [...this.machine.images]);
  }

  pullImage(image: string, signal: AbortSignal): Promise<string> {
    return this.#call("pullImage", signal, () => {
      if (this.#registry !== true && !this.#registry.has(image)) {
        throw new RuntimeError("ImageNotFound", `failed to resolve reference "${image}": not found`);
      }
      this.addImage(image);
      return this.machine.images.find((one) => one.tags.includes(image))?.id ?? "";
    });
  }

  removeImage(image: string, signal: AbortSignal): Promise<void> {
    return this.#call("removeImage", signal, () => {
      this.machine.images = this.machine.images.filter((one) => one.id !== image && !one.tags.includes(image));
      this.#save();
    });
  }

  /** Takes the file's name, without folder and ending, for the image's. */
  importArchive(file: string, signal: AbortSignal): Promise<string[]> {
    return this.#call("importArchive", signal, () => {
      const name = path.basename(file).replace(/\.tar$/, "");
      this.addImage(name);
      return [name];
    });
  }

  async *changes(signal: AbortSignal): AsyncIterable<RuntimeChange> {
    if (!this.#isAvailable) throw new RuntimeError("Unavailable", "the runtime does not answer");
    const queue: (RuntimeChange | undefined)[] = [];
    let wake = (): void => {};
    const watcher = (change: RuntimeChange | undefined): void => {
      // A hint that was not read yet says "look" just as well as two.
      if (queue.length < 100 || change === undefined) queue.push(change);
      wake();
    };
    this.#watchers.add(watcher);
    const onAbort = (): void => wake();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        if (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        if (signal.aborted) return;
        const change = queue.shift();
        if (change === undefined) return;
        yield change;
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #call<T>(call: FakeCall, signal: AbortSignal, work: () => T): Promise<T> {
    signal.throwIfAborted();
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    const ms = this.#latency.get(call) ?? 0;
    if (ms > 0) await this.#clock.sleep(ms, signal);
    if (!this.#isAvailable) throw new RuntimeError("Unavailable", "the runtime does not answer");
    await this.#hook?.(call, "before");
    const failures = this.#failures.get(call) ?? [];
    const failure = failures.shift();
    if (failure) throw failure;
    const result = work();
    await this.#hook?.(call, "after");
    return structuredClone(result);
  }

  #schedule(container: FakeContainer): void {
    if (container.state !== "running" || container.endsAtMs === undefined) return;
    const cancel = this.#clock.after(Math.max(0, container.endsAtMs - this.#clock.now()), () => {
      this.#timers.delete(cancel);
      if (container.state !== "running") return;
      const { exitCode } = this.#script(container.spec);
      this.#end(container, exitCode, exitCode === 0 ? "Completed" : "Error");
    });
    this.#timers.add(cancel);
  }

  #end(container: FakeContainer, exitCode: number, reason: string): void {
    const { lastWords } = this.#script(container.spec);
    const file = container.spec.mounts.find((mount) => mount.hostPath.includes("/containers/"))?.hostPath;
    if (this.#writesFiles && lastWords !== "" && file !== undefined) writeFileSync(file, lastWords);
    const known = container.reason === "" ? reason : container.reason;
    Object.assign(container, { state: "exited", exitCode, reason: known, finishedAtMs: this.#clock.now() });
    this.#changed(container.id);
  }

  #endSandbox(sandbox: FakeSandbox, exitCode: number, reason: string): void {
    sandbox.ready = false;
    for (const container of Object.values(this.machine.containers)) {
      if (container.sandboxId === sandbox.id && container.state === "running") this.#end(container, exitCode, reason);
    }
  }

  #writeLog(container: FakeContainer, sandbox: FakeSandbox, lines: string[]): void {
    if (!this.#writesFiles) return;
    const file = path.join(sandbox.spec.logDirectory, container.spec.logPath);
    mkdirSync(path.dirname(file), { recursive: true });
    const time = new Date(this.#clock.now()).toISOString().replace("Z", "000000Z");
    appendFileSync(file, lines.map((line) => `${time} stdout F ${line}\n`).join(""));
  }

  #running(podName: string, container: string): FakeContainer | undefined {
    return Object.values(this.machine.containers).find(
      (one) =>
        one.state === "running" &&
        one.spec.name === container &&
        this.machine.sandboxes[one.sandboxId]?.spec.podName === podName,
    );
  }

  #containersOf(uid: string): FakeContainer[] {
    return Object.values(this.machine.containers).filter(
      (one) => this.machine.sandboxes[one.sandboxId]?.spec.podUid === uid,
    );
  }

  #sandbox(id: string): FakeSandbox {
    const sandbox = this.machine.sandboxes[id];
    if (!sandbox) throw new RuntimeError("NotFound", `sandbox ${id} not found`);
    return sandbox;
  }

  #container(id: string): FakeContainer {
    const container = this.machine.containers[id];
    if (!container) throw new RuntimeError("NotFound", `container ${id} not found`);
    return container;
  }

  #freeIp(): string {
    const taken = new Set(Object.values(this.machine.sandboxes).flatMap((one) => (one.stopped ? [] : [one.ip])));
    for (let host = 2; host < 255; host++) if (!taken.has(`10.42.0.${host}`)) return `10.42.0.${host}`;
    throw new RuntimeError("Unknown", "no IP addresses available in range 10.42.0.0/24");
  }

  #newId(kind: string): string {
    return `${kind}-${this.machine.nextId++}`;
  }

  #changed(id: string | undefined, oom = false): void {
    this.#save();
    for (const watcher of this.#watchers) watcher({ id, oom });
  }

  #save(): void {
    if (this.#stateFile !== undefined) saveMachine(this.#stateFile, this.machine);
  }
}

const nanoseconds = (ms: number): bigint => BigInt(Math.round(ms)) * 1_000_000n;

const sandboxOf = ({ id, spec, ready, createdAtMs }: FakeSandbox): Sandbox => ({
  id,
  podName: spec.podName,
  podNamespace: spec.podNamespace,
  podUid: spec.podUid,
  attempt: spec.attempt,
  ready,
  createdAtNs: nanoseconds(createdAtMs),
  labels: spec.labels,
  annotations: spec.annotations,
});

const containerOf = ({ id, sandboxId, spec, state, createdAtMs }: FakeContainer): Container => ({
  id,
  sandboxId,
  name: spec.name,
  attempt: spec.attempt,
  state,
  image: spec.image,
  imageRef: spec.imageRef,
  createdAtNs: nanoseconds(createdAtMs),
  labels: spec.labels,
  annotations: spec.annotations,
});
