import { isDeepStrictEqual } from "node:util";
import type { Clock, Logger } from "@skerry/base";
import type { Node, NodeStatus } from "@skerry/machinery/types";
import type { EdgeCache } from "../cache/edge-cache.ts";
import type { NodeView } from "../pods/perform.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { MachineFacts } from "./machine-facts.ts";
import { allocatable, nodeStatus, withoutHeartbeats } from "./node-status.ts";

export interface NodeReporterOptions {
  nodeName: string;
  /** The Node's own uid, where the identity says it. */
  nodeUid?: string;
  version: string;
  runtime: Runtime;
  cache: EdgeCache;
  clock: Clock;
  log: Logger;
  /** Looks at the machine. */
  readMachine: () => Promise<MachineFacts>;
  /** What else keeps the node from running pods: its network could not be set up. */
  problems: () => string[];
  /** Added to the Node's labels. */
  labels?: Record<string, string>;
  maxPods?: number;
  /** Called when the node's name servers are others than at the look before. */
  onNameServers?: () => void;
}

/** The kubelet's default. */
const MAX_PODS = 110;
const INTERVAL_MS = 5_000;
/** What is not in order is mostly just starting: it is looked at again soon, and then less and less often. */
const SOON_MS = 50;
/** Where the cache keeps what was reported last. */
const NOTE = "nodeStatus";
/** And of which Node. */
const UID_NOTE = "nodeUid";
const CANNOT_REPORT = "cannot report the node's state";

/**
 * Keeps the edge's Node current: looks at machine and runtime every few seconds and reports what changed, and only that. Whether
 * the node lives is the hub's to say, by its link.
 */
export class NodeReporter implements AsyncDisposable {
  readonly #options: NodeReporterOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #machine: MachineFacts | undefined;
  #runtimeVersion = "";
  #runtimeProblems: string[] = [];
  #networkProblems: string[] = [];
  /** As the last look of this life found it, reported or not: when a pressure was there last is no news, and must be known. */
  #status: NodeStatus | undefined;

  constructor(options: NodeReporterOptions) {
    this.#options = options;
  }

  /** Looks once, and then again and again. */
  async start(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      // Pods must run on a disk that takes no writes, too.
      if (!this.#machine) throw error;
      this.#options.log.warn({ err: error }, CANNOT_REPORT);
    }
    this.#running ??= this.#run();
  }

  /** What pods are told of the node. */
  get view(): NodeView {
    const machine = this.#machine;
    if (!machine) throw new Error("The node was not looked at yet");
    const { hosts, dns, addresses } = machine;
    return { name: this.#options.nodeName, hostIps: addresses, hosts, dns, ...allocatable(machine) };
  }

  /** What keeps this node from running pods, for people. */
  get problems(): { runtime: string[]; network: string[] } {
    return { runtime: this.#runtimeProblems, network: this.#networkProblems };
  }

  get runtimeVersion(): string {
    return this.#runtimeVersion;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The agent stops"));
    await this.#running;
  }

  /** Looks at machine and runtime and reports what is new; or everything, where the cloud has written over what was reported. */
  async look({ again = false }: { again?: boolean } = {}): Promise<void> {
    const { cache, clock, nodeName, nodeUid, version, maxPods = MAX_PODS } = this.#options;
    const dns = this.#machine?.dns;
    this.#machine = await this.#options.readMachine();
    if (dns && !isDeepStrictEqual(dns, this.#machine.dns)) this.#options.onNameServers?.();
    await this.#lookAtRuntime();
    // Joined anew: what was reported, was reported of a Node that is gone.
    const isOther = nodeUid !== undefined && cache.note(UID_NOTE) !== nodeUid;
    const note = isOther ? undefined : cache.note(NOTE);
    const before = note === undefined ? undefined : (JSON.parse(note) as NodeStatus);
    const problems = [
      ...this.#runtimeProblems.map((problem) => `container runtime is not ready: ${problem}`),
      ...this.#networkProblems.map((problem) => `container runtime network not ready: ${problem}`),
    ];
    const runtimeVersion =
      this.#runtimeVersion === "" ? (before?.nodeInfo?.containerRuntimeVersion ?? "") : this.#runtimeVersion;
    const status = nodeStatus({
      machine: this.#machine,
      runtimeVersion,
      version,
      maxPods,
      problems,
      before: this.#status ?? before,
      nowMs: clock.now(),
    });
    this.#status = status;
    if (!again && before && withoutHeartbeats(before) === withoutHeartbeats(status)) return;
    const node: Node = { apiVersion: "v1", kind: "Node", metadata: { name: nodeName, labels: this.#labels() }, status };
    const bytes = Buffer.from(JSON.stringify(node));
    await cache.report({ resource: "nodes", namespace: "", name: nodeName, uid: "", gone: false, bytes });
    // After the report: cut off between the two, it is reported twice, which is better than never.
    await cache.setNote(NOTE, JSON.stringify(status));
    if (isOther) await cache.setNote(UID_NOTE, nodeUid);
  }

  async #lookAtRuntime(): Promise<void> {
    const { runtime, problems } = this.#options;
    const { signal } = this.#stop;
    const timeout = AbortSignal.any([signal, AbortSignal.timeout(INTERVAL_MS)]);
    try {
      const { name, version } = await runtime.version(timeout);
      this.#runtimeVersion = `${name}://${version}`;
      const found = await runtime.problems(timeout);
      this.#runtimeProblems = found.runtime;
      this.#networkProblems = [...problems(), ...found.network];
    } catch (error) {
      if (signal.aborted) return;
      this.#runtimeProblems = [`it does not answer: ${error instanceof Error ? error.message : String(error)}`];
    }
  }

  #labels(): Record<string, string> {
    const machine = this.#machine;
    return {
      ...this.#options.labels,
      "kubernetes.io/hostname": this.#options.nodeName,
      "kubernetes.io/os": "linux",
      ...(machine && { "kubernetes.io/arch": machine.architecture }),
      "node-role.kubernetes.io/edge": "",
    };
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    let wait = SOON_MS;
    while (!signal.aborted) {
      const isInOrder = this.#runtimeProblems.length === 0 && this.#networkProblems.length === 0;
      wait = isInOrder ? SOON_MS : Math.min(wait * 1.3, INTERVAL_MS);
      await clock.sleep(isInOrder ? INTERVAL_MS : wait, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.look();
      } catch (error) {
        log.warn({ err: error }, CANNOT_REPORT);
      }
    }
  }
}
