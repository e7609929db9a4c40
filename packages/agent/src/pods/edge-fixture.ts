import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { silentLogger, type Logger } from "@skerry/base";
import { FakeClock } from "@skerry/base/testing";
import type { Container, Pod, PodSpec, PodStatus } from "@skerry/machinery/types";
import { projectionHash, type StateChange } from "@skerry/wire";
import { EdgeCache } from "../cache/edge-cache.ts";
import { FakeRuntime, type FakeRuntimeOptions } from "../runtime/fake/fake-runtime.ts";
import { newMachine, type Machine } from "../runtime/fake/machine.ts";
import { noMounts } from "../volumes/mounts.ts";
import { noCgroups } from "./cgroups.ts";
import type { NodeDns } from "./dns.ts";
import { EventRecorder } from "./events.ts";
import { podPaths } from "./paths.ts";
import { PodLoop } from "./pod-loop.ts";

/**
 * An edge without link and containers, for tests of this folder: a cache in a temporary folder and a fake machine, both of which
 * outlive the agents that are started over them and cut off at will.
 */
export class EdgeFixture implements AsyncDisposable {
  /** Another after each boot. */
  clock = new FakeClock();
  readonly machine: Machine = newMachine();
  readonly folder: string;
  #containersEnded = false;
  #boots = 1;
  /** What was given to be reclaimed, one list a time. */
  readonly reclaimed: string[][] = [];
  /** The sandboxes and containers that were ended past the runtime. */
  readonly endedByForce: string[] = [];
  /** Pods that have a cgroup; a test may add some that nobody removed. */
  readonly cgroups = new Set<string>();
  /** The node's name servers. */
  dns: NodeDns = { servers: ["192.0.2.53"], ownServers: [], searches: [], options: [] };
  /** How many processes of a pod the kernel has killed for their memory. */
  readonly oomKills = new Map<string, number>();
  log: Logger = silentLogger;
  #cache: EdgeCache | undefined;
  #runtime: FakeRuntime | undefined;
  #loop: PodLoop | undefined;
  #lives = 0;
  readonly #runtimeOptions: FakeRuntimeOptions;

  private constructor(folder: string, runtimeOptions: FakeRuntimeOptions) {
    this.folder = folder;
    this.#runtimeOptions = runtimeOptions;
  }

  static async create(runtimeOptions: FakeRuntimeOptions = {}): Promise<EdgeFixture> {
    return new EdgeFixture(await mkdtemp(path.join(tmpdir(), "skerry-edge-")), runtimeOptions);
  }

  get cache(): EdgeCache {
    if (!this.#cache) throw new Error("The edge is not started");
    return this.#cache;
  }

  get runtime(): FakeRuntime {
    if (!this.#runtime) throw new Error("The edge is not started");
    return this.#runtime;
  }

  /** Starts an agent's life over what earlier ones left. */
  async start(prepare: (runtime: FakeRuntime) => void = () => {}): Promise<void> {
    const { clock, log } = this;
    this.#lives++;
    this.#cache = EdgeCache.open(path.join(this.folder, "cache.db"), { clock, log });
    const runtime = new FakeRuntime({ ...this.#runtimeOptions, clock, machine: this.machine });
    this.#runtime = runtime;
    prepare(runtime);
    const cache = this.#cache;
    const events = new EventRecorder({
      clock,
      log,
      nodeName: "n1",
      send: (message, slot) => cache.send(message, slot),
      lifeId: String(this.#lives),
    });
    this.#loop = new PodLoop({
      means: {
        runtime,
        clock,
        paths: podPaths(this.folder),
        mounts: noMounts,
        cgroups: {
          ...noCgroups,
          ensure: async (uid) => void this.cgroups.add(uid),
          remove: async (uid) => void this.cgroups.delete(uid),
          uids: async () => new Set(this.cgroups),
          oomKills: async (uid) => this.oomKills.get(uid) ?? 0,
        },
        source: cache,
        node: () => ({
          name: "n1",
          hostIps: ["192.0.2.1"],
          cpuMillis: 2000,
          memoryBytes: 2 ** 30,
          storageBytes: 2 ** 33,
          dns: this.dns,
          hosts: "",
        }),
      },
      cache,
      events,
      clock,
      random: () => 0.5,
      log,
      bootId: `boot-${this.#boots}`,
      containersEnded: this.#containersEnded,
      reclaim: async (sandboxes) => {
        this.reclaimed.push([...sandboxes]);
      },
      endByForce: {
        sandbox: async (id) => {
          this.endedByForce.push(id);
          runtime.killSandbox(this.machine.sandboxes[id]?.spec.podName ?? "");
        },
        container: async (id) => void this.endedByForce.push(id),
      },
    });
    await this.#loop.start();
    this.#containersEnded = false;
  }

  /** Cuts the agent off wherever it is; runtime and files stay as they are. */
  async stop(): Promise<void> {
    const loop = this.#loop;
    const cache = this.#cache;
    this.#loop = undefined;
    this.#cache = undefined;
    this.#runtime?.detach();
    await loop?.[Symbol.asyncDispose]();
    await cache?.[Symbol.asyncDispose]();
  }

  /** The power fails; what starts next starts after a boot, with the wall clock at `wallMs`. See `FakeRuntime.reboot` for the records. */
  async cutPower(records: "kept" | "removed", wallMs = this.clock.now()): Promise<void> {
    await this.stop();
    this.runtime.reboot(records);
    this.clock = new FakeClock(wallMs);
    this.#boots++;
  }

  /** The instance is taken down: the agent first, then all containers, which leave no record. */
  async takeDown(): Promise<void> {
    await this.stop();
    this.runtime.reboot("removed");
    this.#containersEnded = true;
  }

  /** Makes the agent look at everything, as its clock would. */
  lookAtAll(): void {
    this.#loop?.lookAtAll();
  }

  /** The agent's memory is gone when it starts again; what it left in the runtime and in folders is not. */
  async loseCache(): Promise<void> {
    await this.stop();
    for (const suffix of ["", "-wal"]) await rm(path.join(this.folder, `cache.db${suffix}`), { force: true });
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Waits, without moving the clock, until nothing more happens by itself. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 4; quiet++) {
      const isQuiet = await isIdle(this.#loop);
      await new Promise(setImmediate);
      if (isQuiet) continue;
      await this.#loop?.idle();
      quiet = -1;
    }
  }

  /** Moves the clock on in small steps, letting everything settle in between. */
  async pass(ms: number, stepMs = 500): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - passed));
      await this.settle();
    }
  }

  /** The cloud wants this pod as it is now. */
  async put(pod: Pod): Promise<void> {
    await this.cache.commit([put("pods", pod)]);
  }

  async putObject(resource: string, object: Pick<Pod, "metadata">): Promise<void> {
    await this.cache.commit([put(resource, object)]);
  }

  /** The cloud no longer has this pod here. */
  async drop(pod: Pod): Promise<void> {
    const { namespace = "", name = "", uid = "" } = pod.metadata;
    await this.cache.commit([{ op: "delete", object: { resource: "pods", namespace, name, uid, hash: "" } }]);
  }

  /** The newest status reported of a pod, and whether it was said to be gone. */
  reported(pod: Pod): { status: PodStatus; gone: boolean } | undefined {
    const reports = this.cache.reports.after(0, 1000).filter(({ item }) => item.uid === pod.metadata.uid);
    const last = reports.at(-1)?.item;
    if (!last) return undefined;
    const object = JSON.parse(Buffer.from(last.bytes).toString()) as Pod;
    return { status: object.status ?? {}, gone: last.gone };
  }

  /** `reason: message` of the events recorded, oldest first. */
  events(): string[] {
    return this.cache.messages.after(0, 5000).map(({ item }) => {
      const event = JSON.parse(Buffer.from(item.bytes).toString()) as { reason: string; message: string };
      return `${event.reason}: ${event.message}`;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function isIdle(loop: PodLoop | undefined): Promise<boolean> {
  if (!loop) return true;
  return Promise.race([loop.idle().then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
}

function put(resource: string, object: Pick<Pod, "metadata">): StateChange {
  const bytes = Buffer.from(JSON.stringify(object));
  const { namespace = "", name = "", uid = "" } = object.metadata;
  return { op: "put", object: { resource, namespace, name, uid, hash: projectionHash(bytes) }, bytes };
}

let serial = 0;

/** A pod of one container `main` that runs image `app:1`, unless said otherwise. */
export function pod(spec: Partial<PodSpec> = {}, container: Partial<Container> = {}, name = "web"): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", name, uid: `00000000-0000-4000-8000-${String(++serial).padStart(12, "0")}` },
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      nodeName: "n1",
      containers: [{ name: "main", image: "app:1", imagePullPolicy: "IfNotPresent", ...container }],
      ...spec,
    },
  };
}

/** The pod as it looks after `kubectl delete`. */
export const deleted = (pod: Pod, graceSeconds = 30): Pod => ({
  ...pod,
  metadata: {
    ...pod.metadata,
    deletionTimestamp: "2026-01-01T00:00:00Z",
    deletionGracePeriodSeconds: graceSeconds,
  },
});

/** What was last reported of a container. */
export const containerOf = (edge: EdgeFixture, wanted: Pod, name = "main") =>
  edge.reported(wanted)?.status.containerStatuses?.find((one) => one.name === name);

/** Fails unless nothing of any pod is left anywhere. */
export async function assertNothingLeft(edge: EdgeFixture): Promise<void> {
  assert.deepEqual(Object.keys(edge.machine.sandboxes), []);
  assert.deepEqual(Object.keys(edge.machine.containers), []);
  assert.deepEqual(await readdir(path.join(edge.folder, "pods")), []);
  assert.deepEqual(await readdir(path.join(edge.folder, "logs", "pods")), []);
  assert.deepEqual([...edge.cache.pods()], []);
  assert.deepEqual(edge.cache.rememberedUids(), []);
}
