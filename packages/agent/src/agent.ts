import { mkdir } from "node:fs/promises";
import path from "node:path";
import { silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import type { FrameTransport, Session, StreamHandler } from "@skerry/wire";
import { EdgeCache } from "./cache/edge-cache.ts";
import { HealthSocket, type AgentStatus, type PodSummary, type Problem } from "./health.ts";
import { EdgeLink } from "./link/edge-link.ts";
import { kubeletApi } from "./logs/kubelet-api.ts";
import type { RotationLimits } from "./logs/log-files.ts";
import { LogRotation } from "./logs/log-rotation.ts";
import { edgeMetrics } from "./metrics.ts";
import { readMachine, type MachineFacts } from "./node/machine-facts.ts";
import { NodeReporter } from "./node/node-reporter.ts";
import type { PodCgroups } from "./pods/cgroups.ts";
import { EventRecorder } from "./pods/events.ts";
import { podPaths } from "./pods/paths.ts";
import { PodLoop } from "./pods/pod-loop.ts";
import type { RuntimeCalls } from "./runtime/runtime-calls.ts";
import type { EndByForce, Runtime } from "./runtime/runtime.ts";
import { linuxMounts, type Mounts } from "./volumes/mounts.ts";

export interface AgentOptions {
  /** Everything that the agent keeps lies below. */
  dataDir: string;
  nodeName: string;
  /** The uid of the Node that this edge joined as. */
  nodeUid?: string;
  /** Reported as the kubelet's: `v1.35.0+skerry`. */
  version?: string;
  runtime: Runtime;
  /** Whether all containers were ended on purpose since the agent last ran, so that no pod waits as after a crash. */
  containersEnded?: boolean;
  /** What was called of it, for metrics. */
  runtimeCalls?: RuntimeCalls;
  cgroups: PodCgroups;
  /** How the hub is reached; without it the agent runs what it knows. */
  link?: {
    dial: (signal: AbortSignal) => Promise<FrameTransport>;
    /** Called each time the link is up. */
    onOpened?: (session: Session) => void;
    retry?: { initialMs: number; maxMs: number };
  };
  /** Sets the network of pods up, for the addresses that the cloud gave this node; called again when they change or it failed. */
  configureNetwork?: (podCidr: string, signal: AbortSignal) => Promise<void>;
  /** Removes what sandboxes left that the runtime does not know; see `PodLoopOptions`. */
  reclaim?: (sandboxes: ReadonlySet<string>, signal: AbortSignal) => Promise<void>;
  /** Ends what the runtime cannot end. */
  endByForce?: EndByForce;
  /** What other parts of the process know to be wrong, such as a runtime that cannot be started. */
  otherProblems?: () => Problem[];
  /** A command of the product on this edge, as a person can paste it; see `Problem`. */
  commandLine?: (words: string) => string;
  mounts?: Mounts;
  /** Looks at the machine; tests have machines of their own. */
  readMachine?: () => Promise<MachineFacts>;
  labels?: Record<string, string>;
  maxPods?: number;
  logLimits?: RotationLimits;
  /** The unix socket on which the agent says how it is; none when absent. */
  socket?: string;
  clock?: Clock;
  random?: () => number;
  log?: Logger;
}

const VERSION = "v1.35.0+skerry";
/** How long the runtime may take to answer one who asks whether the edge is ready. */
const READY_MS = 5_000;
const NETWORK_RETRY_MS = 5_000;

/**
 * The edge: runs the pods that its cache says, tells the cloud how they are when there is one, and goes on when there is none.
 * Composition only; each part has its own file.
 */
export class Agent implements AsyncDisposable {
  readonly #options: AgentOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #parts = new AsyncDisposableStack();
  #cache: EdgeCache | undefined;
  #pods: PodLoop | undefined;
  #node: NodeReporter | undefined;
  #link: EdgeLink | undefined;
  #networkProblem = "";
  #networkConfigured = "";
  #startedAt = 0;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
  }

  /** Opens the cache and begins. Resolves when everything has begun, which needs neither cloud nor runtime to answer. */
  async start(): Promise<void> {
    const { dataDir, nodeName, runtime, cgroups, mounts = linuxMounts } = this.#options;
    const clock = this.#clock;
    const log = this.#log;
    this.#startedAt = clock.now();
    const paths = podPaths(dataDir);
    await mkdir(paths.podsDir, { recursive: true, mode: 0o750 });
    await mkdir(paths.logsDir, { recursive: true, mode: 0o755 });
    const cache = this.#parts.use(EdgeCache.open(path.join(dataDir, "cache.db"), { clock, log }));
    this.#cache = cache;
    const readOwnMachine = this.#options.readMachine ?? (() => readMachine(dataDir));

    const { socket, runtimeCalls } = this.#options;
    if (socket !== undefined) {
      const sources = { startedAt: this.#startedAt, dataDir, cache, runtime, runtimeCalls };
      const health = this.#parts.use(
        new HealthSocket({
          file: socket,
          status: async () => {
            await cache.problemNow();
            return this.status();
          },
          metrics: () => edgeMetrics({ ...sources, link: this.#link }),
          ready: [
            { name: "runtime", problem: () => this.#runtimeProblem() },
            // Not the link: an edge without its cloud does all its work.
            { name: "cache", problem: async () => (await cache.problemNow()) || undefined },
          ],
        }),
      );
      await health.start();
    }

    const { labels, maxPods, version = VERSION } = this.#options;
    const node = this.#parts.use(
      new NodeReporter({
        nodeName,
        version,
        runtime,
        cache,
        clock,
        log,
        readMachine: readOwnMachine,
        onNameServers: () => this.#pods?.lookAtAll(),
        problems: () => (this.#networkProblem === "" ? [] : [this.#networkProblem]),
        ...(this.#options.nodeUid !== undefined && { nodeUid: this.#options.nodeUid }),
        ...(labels && { labels }),
        ...(maxPods !== undefined && { maxPods }),
      }),
    );
    this.#node = node;
    await node.start();

    const { bootId } = await readOwnMachine();
    const lifeId = `${this.#startedAt.toString(36)}${process.pid.toString(36)}`;
    const events = new EventRecorder({
      clock,
      log,
      nodeName,
      lifeId,
      send: (message, slot) => cache.send(message, slot),
    });
    const pods = this.#parts.use(
      new PodLoop({
        means: { runtime, clock, paths, mounts, cgroups, source: cache, node: () => node.view },
        cache,
        events,
        clock,
        random: this.#options.random ?? Math.random,
        log,
        bootId,
        containersEnded: this.#options.containersEnded ?? false,
        ...(this.#options.reclaim && { reclaim: this.#options.reclaim }),
        ...(this.#options.endByForce && { endByForce: this.#options.endByForce }),
        networkMissing: () =>
          this.#options.configureNetwork && this.#networkConfigured === ""
            ? `network is not ready: ${this.#networkProblem || "the cloud gave this node no addresses for pods yet"}`
            : "",
      }),
    );
    this.#pods = pods;
    this.#followNetwork(cache);
    await pods.start();

    const { logLimits } = this.#options;
    const rotation = this.#parts.use(
      new LogRotation({ runtime, pods: () => pods.listed, paths, clock, log, ...(logLimits && { limits: logLimits }) }),
    );
    rotation.start();
    this.#startLink(cache);
    log.info({ node: nodeName, pods: [...cache.pods()].length, complete: cache.complete }, "the edge runs");
  }

  /** Answers requests in the shape of the kubelet's API. */
  get serve(): StreamHandler {
    const { dataDir } = this.#options;
    return kubeletApi({
      podNamed: (namespace, name) => this.#cache?.podNamed(namespace, name),
      facts: (uid) => this.#cache?.facts(uid),
      paths: podPaths(dataDir),
      clock: this.#clock,
    });
  }

  /** The edge's memory. Throws before `start`. */
  get cache(): EdgeCache {
    if (!this.#cache) throw new Error("The agent is not started");
    return this.#cache;
  }

  /** Resolves when no pod is being worked on. */
  async idle(): Promise<void> {
    await this.#pods?.idle();
  }

  /** How everything is. */
  status(): AgentStatus {
    const link = this.#link?.status;
    const problems = this.#node?.problems ?? { runtime: [], network: [] };
    return {
      node: this.#options.nodeName,
      version: this.#options.version ?? VERSION,
      pid: process.pid,
      startedAt: new Date(this.#startedAt).toISOString(),
      ...(link && {
        link: {
          state: link.state,
          isSynced: link.isSynced,
          since: new Date(link.since).toISOString(),
          ...(link.problem !== undefined && { problem: link.problem }),
        },
      }),
      runtime: { version: this.#node?.runtimeVersion ?? "", problems: problems.runtime },
      cache: { complete: this.#cache?.complete ?? false },
      pods: this.#summaries(),
      problems: this.#problems(problems, link?.state === "connected" ? undefined : link?.problem),
      rssBytes: process.memoryUsage.rss(),
    };
  }

  /** Ends the agent. Its pods go on; the next agent finds them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The agent stops"));
    await this.#parts.disposeAsync();
  }

  /** Why the runtime, asked now, cannot start pods. */
  async #runtimeProblem(): Promise<string | undefined> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(READY_MS)]);
    const { runtime } = await this.#options.runtime.problems(signal);
    return runtime.length === 0 ? undefined : runtime.join("; ");
  }

  #startLink(cache: EdgeCache): void {
    const { link, nodeName, version = VERSION, random } = this.#options;
    if (!link) return;
    this.#link = this.#parts.use(
      new EdgeLink({
        dial: link.dial,
        node: nodeName,
        version,
        cache,
        serve: this.serve,
        clock: this.#clock,
        log: this.#log,
        ...(random && { random }),
        onResend: () => void this.#reportAgain(),
        ...(link.onOpened && { onOpened: link.onOpened }),
        ...(link.retry && { retry: link.retry }),
      }),
    );
    this.#link.start();
  }

  /** The cloud took this node for lost, and wrote so over what was reported of it and its pods. */
  async #reportAgain(): Promise<void> {
    try {
      await this.#node?.look({ again: true });
      await this.#pods?.reportAgain();
    } catch (error) {
      // The cloud asks again with the next renewal of the lease.
      if (!this.#stop.signal.aborted) this.#log.warn({ err: error }, "cannot report everything again");
    }
  }

  /** Keeps the pods' network as the cloud's Node says, across changes and failures. */
  #followNetwork(cache: EdgeCache): void {
    const { configureNetwork } = this.#options;
    if (!configureNetwork) return;
    let running = Promise.resolve();
    let cancelRetry = (): void => {};
    const follow = async (): Promise<void> => {
      const podCidr = cache.node()?.spec?.podCIDR ?? "";
      if (podCidr === "" || podCidr === this.#networkConfigured || this.#stop.signal.aborted) return;
      try {
        await configureNetwork(podCidr, this.#stop.signal);
        this.#networkConfigured = podCidr;
        this.#networkProblem = "";
        this.#pods?.retryAll();
      } catch (error) {
        this.#networkProblem = error instanceof Error ? error.message : String(error);
        this.#log.warn({ podCidr, err: error }, "cannot set the pods' network up; trying again");
        cancelRetry();
        cancelRetry = this.#clock.after(NETWORK_RETRY_MS, () => {
          running = running.then(follow);
        });
      }
    };
    const unsubscribe = cache.onChange((changed) => {
      if (changed.some(({ resource }) => resource === "nodes")) running = running.then(follow);
    });
    this.#parts.defer(async () => {
      unsubscribe();
      await running;
      cancelRetry();
    });
    running = running.then(follow);
  }

  #summaries(): PodSummary[] {
    const cache = this.#cache;
    if (!cache) return [];
    return [...cache.pods()].map(([uid, { pod }]) => {
      const status = cache.facts(uid)?.status;
      const containers = status?.containerStatuses ?? [];
      const isSeen = this.#pods?.hasSeen(uid) ?? false;
      const readyContainers = isSeen ? containers.filter((one) => one.ready).length : 0;
      const waiting = containers.map((one) => one.state?.waiting?.reason).find((reason) => reason !== undefined);
      return {
        namespace: pod.metadata.namespace ?? "",
        name: pod.metadata.name ?? "",
        uid,
        phase: status?.phase ?? "Pending",
        ...(status?.podIP !== undefined && { ip: status.podIP }),
        ready: containers.length > 0 && readyContainers === containers.length,
        readyContainers,
        containers: pod.spec?.containers?.length ?? 0,
        restarts: containers.reduce((sum, one) => sum + (one.restartCount ?? 0), 0),
        reason: status?.reason ?? waiting ?? "",
      };
    });
  }

  #problems({ runtime, network }: { runtime: string[]; network: string[] }, link: string | undefined): Problem[] {
    const { commandLine = (words: string) => `./skerry ${words}` } = this.#options;
    return [
      ...runtime.map((what) => ({
        what: `The container runtime is not ready: ${what}`,
        mend: `Nothing to do when it was just started; else look at its log: ${commandLine("logs containerd")}`,
      })),
      ...network.map((what) => ({
        what: `The pods' network is not ready: ${what}`,
        mend: `See what ${commandLine("check")} says of networks and firewall`,
      })),
      ...(link === undefined
        ? []
        : [
            {
              what: `No link to the cloud: ${link}`,
              mend: "Pods go on without it, and the agent keeps trying; check the network and that the cloud runs",
            },
          ]),
      ...(this.#cache?.problem
        ? [
            {
              what: `Cannot write the edge's memory: ${this.#cache.problem}`,
              mend: `Make room on the disk of ${this.#options.dataDir}; pods go on, but what happens now is forgotten by a restart`,
            },
          ]
        : []),
      ...(this.#options.otherProblems?.() ?? []),
    ];
  }
}
