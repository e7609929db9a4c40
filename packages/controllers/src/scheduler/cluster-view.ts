import { keyString, type ObjectKey } from "@skerry/machinery";
import type { Node, Pod } from "@skerry/machinery/types";
import { allocatableOf, hostPortsOf, requestsOf, type Amounts, type Candidate } from "./fit.ts";

interface Placed {
  node: string;
  uid: string | undefined;
  amounts: Amounts;
  ports: readonly string[];
}

const NOTHING: Amounts = { milliCpu: 0, memory: 0, pods: 0 };
const NO_PORTS: ReadonlyMap<string, number> = new Map();

/** Nodes and what the pods on them take, kept up to date change by change. */
export class ClusterView {
  readonly #nodes = new Map<string, { node: Node; room: Amounts }>();
  readonly #used = new Map<string, { amounts: Amounts; ports: Map<string, number> }>();
  readonly #placed = new Map<string, Placed>();

  setNode(name: string, node: Node | undefined): void {
    if (node) this.#nodes.set(name, { node, room: allocatableOf(node) });
    else this.#nodes.delete(name);
  }

  /** Takes a pod as it is now: bound and not ended, it counts on its node. */
  setPod(key: ObjectKey, pod: Pod | undefined): void {
    const node = pod && !hasEnded(pod) ? pod.spec?.nodeName : undefined;
    if (pod && node) this.place(key, pod, node);
    // An unbound pod may have been placed by us a moment ago: its binding is on the way back to us.
    else if (!pod || hasEnded(pod)) this.unplace(key);
  }

  /** Counts a pod on a node before the API tells that it is bound. */
  place(key: ObjectKey, pod: Pod, node: string): void {
    this.unplace(key);
    const placed = { node, uid: pod.metadata.uid, amounts: requestsOf(pod), ports: hostPortsOf(pod) };
    this.#placed.set(keyString(key), placed);
    this.#count(placed, 1);
  }

  /** Whether this very pod counts on a node, though the API may not tell yet that it is bound. */
  isPlaced(key: ObjectKey, pod: Pod): boolean {
    const placed = this.#placed.get(keyString(key));
    return placed !== undefined && placed.uid === pod.metadata.uid;
  }

  unplace(key: ObjectKey): void {
    const placed = this.#placed.get(keyString(key));
    if (!placed) return;
    this.#placed.delete(keyString(key));
    this.#count(placed, -1);
  }

  *candidates(): Generator<Candidate> {
    for (const [name, { node, room }] of this.#nodes) {
      const used = this.#used.get(name);
      yield { node, room, used: used?.amounts ?? NOTHING, hostPorts: used?.ports ?? NO_PORTS };
    }
  }

  #count({ node, amounts, ports }: Placed, sign: 1 | -1): void {
    let used = this.#used.get(node);
    if (!used) {
      used = { amounts: { ...NOTHING }, ports: new Map() };
      this.#used.set(node, used);
    }
    used.amounts.milliCpu += sign * amounts.milliCpu;
    used.amounts.memory += sign * amounts.memory;
    used.amounts.pods += sign * amounts.pods;
    for (const port of ports) {
      const users = (used.ports.get(port) ?? 0) + sign;
      if (users > 0) used.ports.set(port, users);
      else used.ports.delete(port);
    }
    if (used.amounts.pods === 0) this.#used.delete(node);
  }
}

/** Whether a pod has run to its end and takes nothing any more. */
export const hasEnded = (pod: Pod): boolean => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
