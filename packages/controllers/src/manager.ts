import { silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import { Informers, type Client } from "@skerry/client";
import { kinds, type Kind } from "@skerry/machinery";
import { DeploymentController } from "./deployment/deployment.ts";
import { EventRecorder } from "./events.ts";
import { GarbageCollector } from "./garbage-collector/garbage-collector.ts";
import { NamespaceController } from "./namespace/namespace.ts";
import { NodeLifecycle } from "./node/node-lifecycle.ts";
import { PodGarbageCollector } from "./pod-gc/pod-gc.ts";
import { ReplicaSetController } from "./replicaset/replicaset.ts";
import { Scheduler } from "./scheduler/scheduler.ts";

export interface ManagerOptions {
  /** The API as one of our own parts: each acts under its own name and rights. */
  clientFor: (component: "controllers" | "scheduler") => Client;
  /** Kinds that can be listed, watched and deleted; Events apart, which nothing owns and which expire by themselves. */
  kinds: readonly Kind[];
  /** An IPv4 network, /8 to /24, of which each node gets a /24. */
  clusterCidr: string;
  /** The CA of the API's certificate, PEM. */
  rootCa: string;
  nodeGraceMs?: number;
  clock?: Clock;
  random?: () => number;
  log?: Logger;
}

/** Runs all controllers and the scheduler over one set of informers; they start and end together. */
export class Manager implements AsyncDisposable {
  readonly #options: ManagerOptions;
  readonly #stack = new AsyncDisposableStack();
  readonly #stop = new AbortController();
  #started: Promise<void> | undefined;

  constructor(options: ManagerOptions) {
    this.#options = options;
  }

  /** Resolves when the informers have their first lists and the controllers work. */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#started?.catch(() => {}); // told to whoever started it
    await this.#stack.disposeAsync();
  }

  async #start(): Promise<void> {
    const { clock = systemClock, log = silentLogger, random, clientFor } = this.#options;
    const common = { clock, log, ...(random && { random }) };
    const client = clientFor("controllers");
    const informers = this.#stack.use(new Informers({ client, ...common }));
    const events = this.#stack.use(new EventRecorder({ client, component: "skerry-controllers", ...common }));
    const scheduled = this.#stack.use(
      new EventRecorder({ client: clientFor("scheduler"), component: "default-scheduler", ...common }),
    );
    const shared = { client, informers, events, ...common };
    const parts = [
      new NamespaceController({
        ...shared,
        contents: [...this.#options.kinds.filter((kind) => kind.namespaced), kinds.Event],
        rootCa: this.#options.rootCa,
      }),
      new NodeLifecycle({
        ...shared,
        clusterCidr: this.#options.clusterCidr,
        ...(this.#options.nodeGraceMs !== undefined && { graceMs: this.#options.nodeGraceMs }),
      }),
      new ReplicaSetController(shared),
      new DeploymentController(shared),
      new GarbageCollector({ ...shared, kinds: this.#options.kinds }),
      new PodGarbageCollector(shared),
      new Scheduler({ ...shared, client: clientFor("scheduler"), events: scheduled }),
    ];
    informers.start();
    const { signal } = this.#stop;
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    await Promise.race([informers.synced(), aborted]);
    if (signal.aborted) return;
    for (const part of parts) {
      this.#stack.use(part);
      part.start();
    }
  }
}
