import { systemClock, timestamp, type Clock, type Requeue } from "@skerry/base";
import type { Client, Informer } from "@skerry/client";
import { kinds, type ObjectKey } from "@skerry/machinery";
import type { Lease, Node, NodeCondition, Pod, Taint } from "@skerry/machinery/types";
import { Controller, type Surroundings } from "../controller.ts";
import { referenceTo, type EventRecorder } from "../events.ts";
import { unlessGone } from "../writes.ts";
import { PodCidrs } from "./pod-cidr.ts";

export interface NodeLifecycleOptions extends Surroundings {
  events: EventRecorder;
  clusterCidr: string;
  /** How old a node's lease may be before the node counts as lost, in milliseconds. */
  graceMs?: number;
}

/** The namespace in which each node has a lease of its name (KEP-589). */
export const LEASE_NAMESPACE = "kube-node-lease";
const NOT_READY = "node.kubernetes.io/not-ready";
const UNREACHABLE = "node.kubernetes.io/unreachable";
/** The conditions that a node says of itself. Those of others, such as that its identity is used twice, are as true as before. */
const OWN_CONDITIONS: ReadonlySet<string> = new Set(["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]);

/**
 * Gives nodes their share of the pod network, and says honestly what is known of them: a node whose lease grows old has conditions Unknown,
 * is tainted so that nothing new is placed there, and its pods are shown as not ready. They are not deleted: the edge goes on alone.
 */
export class NodeLifecycle implements AsyncDisposable {
  readonly #client: Client;
  readonly #nodes: Informer<Node>;
  readonly #leases: Informer<Lease>;
  readonly #pods: Informer<Pod>;
  readonly #events: EventRecorder;
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #cidrs: PodCidrs;
  readonly #controller: Controller;
  /** When this process first saw each node's lease as it is, in monotonic milliseconds: wall clocks of machines differ and jump. */
  readonly #seen = new Map<string, { revision: string; at: number }>();

  constructor(options: NodeLifecycleOptions) {
    this.#client = options.client;
    this.#nodes = options.informers.of(kinds.Node);
    this.#leases = options.informers.of(kinds.Lease);
    this.#pods = options.informers.of(kinds.Pod);
    this.#pods.addIndex("node", (pod) => (pod.spec?.nodeName ? [pod.spec.nodeName] : []));
    this.#events = options.events;
    this.#clock = options.clock ?? systemClock;
    this.#graceMs = options.graceMs ?? 40_000;
    this.#cidrs = new PodCidrs(options.clusterCidr);
    this.#controller = new Controller({
      ...options,
      name: "node-lifecycle",
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
  }

  start(): void {
    // All of them before the first choice.
    for (const node of this.#nodes.values()) this.#occupy(node.decode());
    this.#controller.start(
      this.#nodes.onChange((key, current) => {
        if (current) {
          this.#occupy(current.decode());
          this.#controller.enqueue(key);
          return;
        }
        this.#cidrs.release(key.name);
        this.#seen.delete(key.name);
        // What it had may be what another waits for.
        for (const node of this.#nodes.values()) if (!node.decode().spec?.podCIDR) this.#controller.enqueue(node.key);
      }),
      this.#leases.onChange(({ namespace, name }, current, previous) => {
        if (namespace !== LEASE_NAMESPACE || !current) return;
        this.#seen.set(name, { revision: current.revision, at: this.#clock.monotonic() });
        // A renewal matters only to a node that was given up: it is looked at when its time is over, too.
        const node = this.#nodes.get({ namespace: "", name })?.decode();
        if (!previous || (node && isLost(node))) this.#controller.enqueue({ namespace: "", name });
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#controller[Symbol.asyncDispose]();
  }

  async #reconcile(key: ObjectKey, signal: AbortSignal): Promise<Requeue | void> {
    const node = this.#nodes.get(key)?.decode();
    if (!node || node.metadata.deletionTimestamp !== undefined) return;
    const now = this.#clock.monotonic();
    let seen = this.#seen.get(key.name);
    if (!seen) {
      // Never renewed as far as we know: its time begins with our first look.
      seen = { revision: "", at: now };
      this.#seen.set(key.name, seen);
    }
    const leftMs = seen.at + this.#graceMs - now;
    const lost = leftMs <= 0;

    const told = lost && !isLost(node) ? await this.#giveUp(node, signal) : node;
    await this.#settle(told, lost, signal);
    if (lost) await this.#markPods(key.name, signal);
    return lost ? undefined : { requeueAfterMs: leftMs };
  }

  #occupy(node: Node): void {
    const { podCIDR } = node.spec ?? {};
    const name = node.metadata.name ?? "";
    if (!podCIDR || this.#cidrs.occupy(podCIDR, name)) return;
    const message = `Node ${name} has the pod network ${podCIDR}, which is another node's: pods of the two cannot be told apart`;
    this.#events.record(referenceTo(kinds.Node, node), "Warning", "CIDRAssignmentFailed", message);
  }

  /** Says in the node's own conditions that nothing has been heard from it, and returns the node as it is then. */
  async #giveUp(node: Node, signal: AbortSignal): Promise<Node> {
    const now = timestamp(this.#clock.now());
    const own = (node.status?.conditions ?? []).filter(({ type }) => OWN_CONDITIONS.has(type));
    const conditions: NodeCondition[] = own.map((condition) => ({
      ...condition,
      status: "Unknown",
      reason: "NodeStatusUnknown",
      message: "The node's link is down: nothing has been heard from it.",
      lastTransitionTime: condition.status === "Unknown" ? (condition.lastTransitionTime ?? now) : now,
    }));
    if (!own.some((condition) => condition.type === "Ready")) {
      conditions.push({
        type: "Ready",
        status: "Unknown",
        reason: "NodeStatusNeverUpdated",
        message: "The node has never reported.",
        lastTransitionTime: now,
      });
    }
    // The revision makes sure that nothing was heard meanwhile.
    const { name = "", resourceVersion } = node.metadata;
    const patched = await this.#client.patch(
      kinds.Node,
      { namespace: "", name },
      { type: "strategic-merge-patch+json", body: { metadata: { resourceVersion }, status: { conditions } } },
      { subresource: "status", signal },
    );
    this.#tell(node, "NodeNotReady", `Node ${name} status is now: NodeNotReady`);
    return patched.decode();
  }

  #tell(node: Node, reason: string, message: string): void {
    this.#events.record(referenceTo(kinds.Node, node), "Normal", reason, message);
  }

  /** Gives the node its network, and the taints that its state calls for. */
  async #settle(node: Node, lost: boolean, signal: AbortSignal): Promise<void> {
    const name = node.metadata.name ?? "";
    const ready = node.status?.conditions?.find((condition) => condition.type === "Ready")?.status;
    const key = lost || ready === "Unknown" ? UNREACHABLE : ready === "True" ? undefined : NOT_READY;
    const before = node.spec?.taints ?? [];
    const taints = planTaints(before, key, timestamp(this.#clock.now()));
    const cidr = node.spec?.podCIDR ? undefined : this.#cidrs.allocate(name);
    if (cidr === undefined && !node.spec?.podCIDR) {
      const message = `Node ${name} has no pod network: the cluster's is used up. Start the cloud with a larger --cluster-cidr, or remove nodes`;
      this.#events.record(referenceTo(kinds.Node, node), "Warning", "CIDRNotAvailable", message);
    }
    if (taints === before && cidr === undefined) return;
    await this.#client.patch(
      kinds.Node,
      { namespace: "", name },
      {
        type: "merge-patch+json",
        body: {
          // Taints are a list that others write too: a change since we looked must be looked at again.
          metadata: { resourceVersion: node.metadata.resourceVersion },
          spec: {
            ...(taints !== before && { taints }),
            ...(cidr !== undefined && { podCIDR: cidr, podCIDRs: [cidr] }),
          },
        },
      },
      { signal },
    );
    if (cidr !== undefined)
      this.#tell(node, "RegisteredNode", `Node ${name} event: Registered Node ${name} in Controller`);
    if (taints === before) return;
    if (key === undefined) this.#tell(node, "NodeReady", `Node ${name} status is now: NodeReady`);
    // Of a lost node it was said when it was given up.
    if (key === NOT_READY) this.#tell(node, "NodeNotReady", `Node ${name} status is now: NodeNotReady`);
  }

  /** Shows the pods of a lost node as not ready: nobody can know whether they are. */
  async #markPods(node: string, signal: AbortSignal): Promise<void> {
    for (const entry of this.#pods.byIndex("node", node)) {
      const pod = entry.decode();
      if (pod.status?.conditions?.find((condition) => condition.type === "Ready")?.status !== "True") continue;
      const condition = {
        type: "Ready",
        status: "False",
        reason: "NodeNotReady",
        lastTransitionTime: timestamp(this.#clock.now()),
      };
      const { uid, resourceVersion } = pod.metadata;
      const body = { metadata: { uid, resourceVersion }, status: { conditions: [condition] } };
      await unlessGone(
        this.#client.patch(
          kinds.Pod,
          entry.key,
          { type: "strategic-merge-patch+json", body },
          { subresource: "status", signal },
        ),
      );
    }
  }
}

const isLost = (node: Node): boolean =>
  node.status?.conditions?.find((condition) => condition.type === "Ready")?.status === "Unknown";

/** The taints that a node should have: those of others as they are, and of ours the one that its state calls for, both effects. */
export function planTaints(before: readonly Taint[], key: string | undefined, now: string): readonly Taint[] {
  const isOurs = (taint: Taint): boolean => taint.key === NOT_READY || taint.key === UNREACHABLE;
  const ours = before.filter(isOurs);
  const isRight = key === undefined ? ours.length === 0 : ours.length === 2 && ours.every((taint) => taint.key === key);
  if (isRight) return before;
  const others = before.filter((taint) => !isOurs(taint));
  if (key === undefined) return others;
  return [...others, { key, effect: "NoSchedule", timeAdded: now }, { key, effect: "NoExecute", timeAdded: now }];
}
