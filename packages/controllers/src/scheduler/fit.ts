import { parseQuantity, quantityMillis, quantityUnits } from "@skerry/machinery";
import type { Container, Node, Pod, Taint, Toleration } from "@skerry/machinery/types";

/** What a pod needs of a node, or a node has: CPU in thousandths, memory in bytes, a number of pods. */
export interface Amounts {
  milliCpu: number;
  memory: number;
  pods: number;
}

/** A node as the scheduler sees it: the object, and what the pods bound to it take. */
export interface Candidate {
  node: Node;
  /** What it has for pods, read once from its status. */
  room: Amounts;
  used: Amounts;
  /** Host ports taken on it, `TCP/0.0.0.0/80`, and by how many pods. */
  hostPorts: ReadonlyMap<string, number>;
}

/** The node to bind to, or why each node was refused: reason → how many nodes. */
export type Placement = { node: string } | { reasons: ReadonlyMap<string, number>; nodes: number };

/**
 * Chooses the node for a pod: of those that fit, the one with the largest share left free afterwards; equals in the order of names.
 */
export function place(pod: Pod, candidates: Iterable<Candidate>): Placement {
  const wanted = requestsOf(pod);
  const ports = hostPortsOf(pod);
  const reasons = new Map<string, number>();
  let best: { node: string; score: number } | undefined;
  let nodes = 0;
  for (const candidate of candidates) {
    nodes += 1;
    const name = candidate.node.metadata?.name ?? "";
    const refusals = refusalsOf(pod, wanted, ports, candidate);
    if (refusals.length > 0) {
      for (const reason of refusals) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      continue;
    }
    const score = freeShare(wanted, candidate);
    if (!best || score > best.score || (score === best.score && name < best.node)) best = { node: name, score };
  }
  return best ? { node: best.node } : { reasons, nodes };
}

/** `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {a: b}.`: the text that people search for. */
export function refusalText(reasons: ReadonlyMap<string, number>, nodes: number): string {
  if (nodes === 0) return "no nodes available to schedule pods";
  const parts = [...reasons].map(([reason, count]) => `${count} ${reason}`).toSorted();
  return `0/${nodes} nodes are available: ${parts.join(", ")}.`;
}

function refusalsOf(
  pod: Pod,
  wanted: Amounts,
  ports: readonly string[],
  { node, room, used, hostPorts }: Candidate,
): string[] {
  const spec = pod.spec;
  if (node.spec?.unschedulable && !tolerates(spec?.tolerations, UNSCHEDULABLE)) return ["node(s) were unschedulable"];
  const taint = node.spec?.taints?.find(
    (each) => (each.effect === "NoSchedule" || each.effect === "NoExecute") && !tolerates(spec?.tolerations, each),
  );
  if (taint) return [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`];
  const labels = node.metadata?.labels ?? {};
  if (Object.entries(spec?.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) {
    return ["node(s) didn't match Pod's node affinity/selector"];
  }
  if (ports.some((port) => clashes(port, hostPorts))) {
    return ["node(s) didn't have free ports for the requested pod ports"];
  }
  const refusals: string[] = [];
  if (used.pods + 1 > room.pods) refusals.push("Too many pods");
  if (wanted.milliCpu > 0 && used.milliCpu + wanted.milliCpu > room.milliCpu) refusals.push("Insufficient cpu");
  if (wanted.memory > 0 && used.memory + wanted.memory > room.memory) refusals.push("Insufficient memory");
  for (const name of otherRequestsOf(pod))
    if (!(name in (node.status?.allocatable ?? {}))) refusals.push(`Insufficient ${name}`);
  return refusals;
}

/** Resources beside those that are counted which a pod wants: a node that has none of one can never run it. */
function otherRequestsOf(pod: Pod): Set<string> {
  const names = new Set<string>();
  for (const container of pod.spec?.containers ?? []) {
    for (const [name, amount] of Object.entries(container.resources?.requests ?? {})) {
      if (name !== "cpu" && name !== "memory" && name !== "ephemeral-storage" && milliOf(amount) > 0) names.add(name);
    }
  }
  return names;
}

const UNSCHEDULABLE: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

/** Whether one of the tolerations covers a taint. Source: Kubernetes, "Taints and Tolerations". */
export function tolerates(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some((toleration) => {
    if (toleration.effect !== undefined && toleration.effect !== "" && toleration.effect !== taint.effect) return false;
    const anyKey = toleration.key === undefined || toleration.key === "";
    if (!anyKey && toleration.key !== taint.key) return false;
    if (toleration.operator === "Exists") return true;
    return !anyKey && (toleration.value ?? "") === (taint.value ?? "");
  });
}

/** The sum of the containers' requests; a pod counts as one. */
export function requestsOf(pod: Pod): Amounts {
  const total = { milliCpu: 0, memory: 0, pods: 1 };
  for (const container of pod.spec?.containers ?? []) {
    const { milliCpu, memory } = containerRequests(container);
    total.milliCpu += milliCpu;
    total.memory += memory;
  }
  return total;
}

function containerRequests(container: Container): { milliCpu: number; memory: number } {
  const { requests } = container.resources ?? {};
  return { milliCpu: milliOf(requests?.["cpu"]), memory: valueOf(requests?.["memory"]) };
}

/** What a node has for pods. */
export function allocatableOf(node: Node): Amounts {
  const allocatable = node.status?.allocatable ?? node.status?.capacity ?? {};
  return {
    milliCpu: milliOf(allocatable["cpu"]),
    memory: valueOf(allocatable["memory"]),
    pods: valueOf(allocatable["pods"]),
  };
}

function freeShare(wanted: Amounts, { room, used }: Candidate): number {
  const share = (taken: number, of: number): number => (of <= 0 ? 0 : 1 - taken / of);
  return (
    share(used.milliCpu + wanted.milliCpu, room.milliCpu) +
    share(used.memory + wanted.memory, room.memory) +
    share(used.pods + 1, room.pods)
  );
}

/** The host ports of a pod: `TCP/0.0.0.0/80`. */
export function hostPortsOf(pod: Pod): string[] {
  return (pod.spec?.containers ?? []).flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => (port.hostPort ?? 0) > 0)
      .map((port) => `${port.protocol ?? "TCP"}/${port.hostIP || "0.0.0.0"}/${port.hostPort}`),
  );
}

/** A port on every address clashes with the same port on any, and the other way round. */
function clashes(port: string, taken: ReadonlyMap<string, number>): boolean {
  const [protocol, ip, number] = port.split("/");
  for (const other of taken.keys()) {
    const [otherProtocol, otherIp, otherNumber] = other.split("/");
    if (protocol !== otherProtocol || number !== otherNumber) continue;
    if (ip === otherIp || ip === "0.0.0.0" || otherIp === "0.0.0.0") return true;
  }
  return false;
}

const valueOf = (quantity: string | number | undefined): number =>
  quantity === undefined ? 0 : quantityUnits(parseQuantity(quantity));
const milliOf = (quantity: string | number | undefined): number =>
  quantity === undefined ? 0 : quantityMillis(parseQuantity(quantity));
