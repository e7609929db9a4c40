import type { FakeClock } from "@skerry/base/testing";
import type { Client, WatchEvent, WatchOptions } from "@skerry/client";
import { Manager } from "@skerry/controllers";
import { seededRandom } from "@skerry/harness";
import { isNotFound, kinds, type Kind, type KubeObject, type ObjectKey } from "@skerry/machinery";
import type { Deployment, Lease, Node, Pod, PodSpec, ReplicaSet } from "@skerry/machinery/types";
import { registryWorld, type RegistryWorld } from "./registry-world.ts";

export interface ControllersWorldOptions {
  /** The longest time by which an informer hears of a change later than it happened, in milliseconds. */
  lagMs?: number;
  /** How long a pod takes until it is ready, and how long a deleted one until it is gone, in milliseconds: at most so long. */
  readyMs?: number;
  goneMs?: number;
  nodes?: number;
  seed?: number;
  clusterCidr?: string;
}

const STEP_MS = 50;
const QUIET_TURNS = 8;
const RENEW_MS = 10_000;
export const GRACE_MS = 40_000;

/**
 * All controllers over a real API on virtual time. The nodes are this test's: they renew their leases, and say of pods bound to them that they are
 * ready, or gone, after a while.
 */
export class ControllersWorld implements AsyncDisposable {
  readonly world: RegistryWorld;
  readonly random: () => number;
  /** Nodes that renew their leases and run pods. */
  readonly alive = new Set<string>();
  /** Pods of these images are never ready. */
  readonly broken = new Set<string>();
  /** Looks at every pod there is after each step; throws when something is as it must never be. */
  watcher: ((pods: readonly Pod[]) => void) | undefined;
  readonly #options: ControllersWorldOptions;
  readonly #due = new Map<string, number>();
  #manager: Manager | undefined;
  #renewedAt = -RENEW_MS;

  private constructor(world: RegistryWorld, options: ControllersWorldOptions) {
    this.world = world;
    this.#options = options;
    this.random = seededRandom(options.seed ?? 1);
  }

  static async create(options: ControllersWorldOptions = {}): Promise<ControllersWorld> {
    const scene = new ControllersWorld(await registryWorld(), options);
    for (let i = 0; i < (options.nodes ?? 1); i++) await scene.addNode(`n${i}`);
    await scene.startControllers();
    return scene;
  }

  get client(): Client {
    return this.world.client;
  }

  get clock(): FakeClock {
    return this.world.clock;
  }

  async startControllers(): Promise<void> {
    const { api, clock } = this.world;
    const client = this.#lagging(this.world.client);
    this.#manager = new Manager({
      clientFor: () => client,
      kinds: api.resources
        .filter(({ verbs, kind }) => verbs.includes("watch") && verbs.includes("delete") && kind.kind !== "Event")
        .map(({ kind }) => kind),
      clusterCidr: this.#options.clusterCidr ?? "10.42.0.0/16",
      rootCa: "the CA",
      nodeGraceMs: GRACE_MS,
      clock,
      random: this.random,
    });
    await this.#manager.start();
  }

  async stopControllers(): Promise<void> {
    const manager = this.#manager;
    this.#manager = undefined;
    let isDone = false;
    const done = manager?.[Symbol.asyncDispose]().finally(() => (isDone = true));
    while (done && !isDone) {
      await settle();
      this.clock.advance(1);
    }
    await done;
  }

  async addNode(
    name: string,
    more: { labels?: Record<string, string>; spec?: object; cpu?: string } = {},
  ): Promise<void> {
    const { labels = {}, spec = {}, cpu = "64" } = more;
    const made = await this.client.create(kinds.Node, { metadata: { name, labels }, spec } as Node);
    const resources = { cpu, memory: "64Gi", pods: "1000" };
    const ready = { type: "Ready", status: "True", reason: "KubeletReady", message: "" };
    const status = { capacity: resources, allocatable: resources, conditions: [ready] };
    await this.client.update(kinds.Node, { ...made.decode(), status }, { subresource: "status" });
    this.alive.add(name);
    await this.#renew(name);
  }

  /** Says that a node is well, as it does when it comes back. */
  async report(name: string): Promise<void> {
    this.alive.add(name);
    await this.#renew(name);
    const conditions = [{ type: "Ready", status: "True", reason: "KubeletReady", message: "" }];
    const patch = { type: "strategic-merge-patch+json", body: { status: { conditions } } } as const;
    await this.client.patch(kinds.Node, { namespace: "", name }, patch, { subresource: "status" });
  }

  async get<T extends KubeObject>(kind: Kind<T>, name: string, namespace = "default"): Promise<T> {
    return (await this.client.get(kind, { namespace: kind.namespaced ? namespace : "", name })).decode();
  }

  async find<T extends KubeObject>(kind: Kind<T>, name: string, namespace = "default"): Promise<T | undefined> {
    return this.get(kind, name, namespace).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  }

  async pods(namespace = "default"): Promise<Pod[]> {
    return (await this.client.list(kinds.Pod, { namespace })).items.map((item) => item.decode());
  }

  /** The sets of a deployment, oldest revision first. */
  async sets(name: string): Promise<ReplicaSet[]> {
    const { items } = await this.client.list(kinds.ReplicaSet, { namespace: "default" });
    const own = items.map((item) => item.decode()).filter((set) => set.metadata.ownerReferences?.[0]?.name === name);
    return own.toSorted((a, b) => revisionOf(a) - revisionOf(b));
  }

  async patch<T extends KubeObject>(kind: Kind<T>, name: string, body: object): Promise<T> {
    const key = { namespace: kind.namespaced ? "default" : "", name };
    return (await this.client.patch(kind, key, { type: "merge-patch+json", body })).decode();
  }

  /** Lets so much time pass in small steps. */
  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.clock.advance(Math.min(STEP_MS, left));
      await settle();
      await this.#runNodes();
    }
  }

  async until<T>(
    what: string,
    check: () => T | undefined | false | Promise<T | undefined | false>,
    withinMs = 120_000,
  ): Promise<T> {
    const deadline = this.clock.monotonic() + withinMs;
    for (;;) {
      const found = await check();
      if (found !== undefined && found !== false) return found;
      if (this.clock.monotonic() >= deadline) throw new Error(`After ${withinMs} ms it has not come to: ${what}`);
      await this.advance(STEP_MS);
    }
  }

  /** Waits until a rollout is complete, as `kubectl rollout status` does. */
  async rolledOut(name: string): Promise<Deployment> {
    return this.until(`${name} to be rolled out`, async () => {
      const deployment = await this.get(kinds.Deployment, name);
      const { status, spec, metadata } = deployment;
      const wanted = spec?.replicas ?? 0;
      const isDone =
        (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0) &&
        (status?.updatedReplicas ?? 0) === wanted &&
        (status?.replicas ?? 0) === wanted &&
        (status?.availableReplicas ?? 0) === wanted;
      return isDone && deployment;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopControllers();
    await this.world[Symbol.asyncDispose]();
  }

  async #renew(name: string): Promise<void> {
    const key = { namespace: "kube-node-lease", name };
    const spec = { holderIdentity: name, renewTime: new Date(this.clock.now()).toISOString().replace("Z", "000Z") };
    const patch = { type: "merge-patch+json", body: { spec } } as const;
    await this.client.patch(kinds.Lease, key, patch).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      return this.client.create(kinds.Lease, { metadata: key, spec } as Lease);
    });
  }

  async #runNodes(): Promise<void> {
    const now = this.clock.monotonic();
    if (now - this.#renewedAt >= RENEW_MS) {
      this.#renewedAt = now;
      for (const name of this.alive) await this.#renew(name);
    }
    const all = (await this.client.list(kinds.Pod)).items.map((item) => item.decode());
    this.watcher?.(all);
    for (const pod of all) {
      if (!this.alive.has(pod.spec?.nodeName ?? "")) continue;
      const isGoing = pod.metadata.deletionTimestamp !== undefined;
      if (!isGoing && (isReady(pod) || this.broken.has(pod.spec?.containers[0]?.image ?? ""))) continue;
      const id = `${pod.metadata.uid}/${isGoing ? "gone" : "ready"}`;
      const longest = (isGoing ? this.#options.goneMs : this.#options.readyMs) ?? 0;
      const due = this.#due.get(id) ?? now + Math.trunc(this.random() * longest);
      this.#due.set(id, due);
      if (now < due) continue;
      this.#due.delete(id);
      const key = { namespace: pod.metadata.namespace ?? "", name: pod.metadata.name ?? "" };
      await (isGoing ? this.#end(key) : this.setReady(key, true));
    }
  }

  async #end(key: ObjectKey): Promise<void> {
    await this.client.delete(kinds.Pod, key, { gracePeriodSeconds: 0 });
  }

  async setReady(key: ObjectKey, isNowReady: boolean): Promise<void> {
    const lastTransitionTime = `${new Date(this.clock.now()).toISOString().slice(0, 19)}Z`;
    const condition = { type: "Ready", status: isNowReady ? "True" : "False", lastTransitionTime };
    const body = { status: { phase: "Running", conditions: [condition] } };
    await this.client.patch(kinds.Pod, key, { type: "strategic-merge-patch+json", body }, { subresource: "status" });
  }

  /** A client whose watches tell late. Order is kept. */
  #lagging(client: Client): Client {
    const { lagMs = 0 } = this.#options;
    const { clock, random } = this;
    return {
      get: (...args) => client.get(...args),
      list: (...args) => client.list(...args),
      create: (...args) => client.create(...args),
      update: (...args) => client.update(...args),
      patch: (...args) => client.patch(...args),
      delete: (...args) => client.delete(...args),
      async *watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
        for await (const event of client.watch(kind, options)) {
          if (lagMs > 0) await clock.sleep(random() * lagMs, options.signal);
          yield event;
        }
      },
    };
  }
}

export const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
export const isActive = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined && pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed";
export const imageOf = (of: { spec?: PodSpec }): string => of.spec?.containers[0]?.image ?? "";
export const revisionOf = (set: ReplicaSet): number =>
  Number(set.metadata.annotations?.["deployment.kubernetes.io/revision"] ?? 0);

export const deployment = (name: string, replicas: number, image: string, more: object = {}): Deployment =>
  ({
    metadata: { namespace: "default", name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "main", image }] } },
      ...more,
    },
  }) as unknown as Deployment;

/** A merge patch that gives a deployment another image. */
export const withImage = (image: string): object => ({
  spec: { template: { spec: { containers: [{ name: "main", image }] } } },
});

async function settle(): Promise<void> {
  for (let i = 0; i < QUIET_TURNS; i++) await new Promise((resolve) => setImmediate(resolve));
}
