import type { NodeCondition, NodeStatus } from "@skerry/machinery/types";
import { apiTime } from "../pods/status.ts";
import type { MachineFacts } from "./machine-facts.ts";

export interface NodeStatusInput {
  machine: MachineFacts;
  /** `containerd://1.6.20`; empty while the runtime has never answered. */
  runtimeVersion: string;
  /** `v1.35.0+skerry`. */
  version: string;
  maxPods: number;
  /** Why no pods can be run; empty when they can. */
  problems: string[];
  /** The status at the look before: conditions that did not change keep their times. */
  before: NodeStatus | undefined;
  nowMs: number;
}

/** Below these the node is under pressure, and what stands above them is not given to pods: a kubelet's hard eviction thresholds. */
const MEMORY_RESERVE = 100 * 2 ** 20;
const STORAGE_RESERVE = 0.1;
const PID_SHARE = 0.9;
/** A pressure that ended stays reported so long, or it would come and go with every pod. */
const PRESSURE_MS = 300_000;

/** What pods can have of the machine. */
export function allocatable(machine: MachineFacts): { cpuMillis: number; memoryBytes: number; storageBytes: number } {
  return {
    cpuMillis: machine.cpus * 1000,
    memoryBytes: Math.max(0, machine.memoryBytes - MEMORY_RESERVE),
    storageBytes: Math.floor(machine.storageBytes * (1 - STORAGE_RESERVE)),
  };
}

/** The Node's status as a kubelet would report it. Equal inputs, whenever, give equal statuses but for heartbeats. */
export function nodeStatus(input: NodeStatusInput): NodeStatus {
  const { machine, runtimeVersion, version, maxPods } = input;
  const usable = allocatable(machine);
  return {
    capacity: resources(machine.cpus * 1000, machine.memoryBytes, machine.storageBytes, maxPods),
    allocatable: resources(usable.cpuMillis, usable.memoryBytes, usable.storageBytes, maxPods),
    conditions: conditions(input),
    addresses: [
      ...machine.addresses.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: machine.hostname },
    ],
    nodeInfo: {
      machineID: machine.machineId,
      systemUUID: machine.machineId,
      bootID: machine.bootId,
      kernelVersion: machine.kernel,
      osImage: machine.osImage,
      containerRuntimeVersion: runtimeVersion,
      kubeletVersion: version,
      kubeProxyVersion: "",
      operatingSystem: "linux",
      architecture: machine.architecture,
    },
  };
}

/** A status without the times that pass by themselves: what must differ to be worth telling. */
export const withoutHeartbeats = (status: NodeStatus): string =>
  JSON.stringify(status, (key, value: unknown) => (key === "lastHeartbeatTime" ? undefined : value));

function conditions({ machine, problems, before, nowMs }: NodeStatusInput): NodeCondition[] {
  const now = apiTime(nowMs);
  const condition = (type: string, status: string, reason: string, message: string): NodeCondition => {
    const old = before?.conditions?.find((one) => one.type === type);
    const lastTransitionTime = old?.status === status ? (old.lastTransitionTime ?? now) : now;
    return { type, status, lastHeartbeatTime: now, lastTransitionTime, reason, message };
  };
  const pressure = (type: keyof typeof PRESSURES, isNow: boolean): NodeCondition => {
    const old = before?.conditions?.find((one) => one.type === type);
    const { yes, no } = PRESSURES[type];
    const has = condition(type, "True", yes.reason, `kubelet has ${yes.text}`);
    if (isNow) return has;
    const seenAt = old?.status === "True" ? (old.lastHeartbeatTime ?? now) : undefined;
    const agoMs = seenAt === undefined ? PRESSURE_MS : nowMs - Date.parse(seenAt);
    // Its heartbeat stays that of the last look that found it.
    if (seenAt !== undefined && agoMs >= 0 && agoMs < PRESSURE_MS) return { ...has, lastHeartbeatTime: seenAt };
    return condition(type, "False", no.reason, `kubelet has ${no.text}`);
  };
  return [
    pressure("MemoryPressure", machine.memoryAvailableBytes < MEMORY_RESERVE),
    pressure("DiskPressure", machine.storageAvailableBytes < machine.storageBytes * STORAGE_RESERVE),
    pressure("PIDPressure", machine.pids > machine.maxPids * PID_SHARE),
    problems.length === 0
      ? condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
      : condition("Ready", "False", "KubeletNotReady", problems.join("; ")),
  ];
}

/** What is said of each pressure. */
const PRESSURES = {
  MemoryPressure: {
    yes: { reason: "KubeletHasInsufficientMemory", text: "insufficient memory available" },
    no: { reason: "KubeletHasSufficientMemory", text: "sufficient memory available" },
  },
  DiskPressure: {
    yes: { reason: "KubeletHasDiskPressure", text: "disk pressure" },
    no: { reason: "KubeletHasNoDiskPressure", text: "no disk pressure" },
  },
  PIDPressure: {
    yes: { reason: "KubeletHasInsufficientPID", text: "insufficient PID available" },
    no: { reason: "KubeletHasSufficientPID", text: "sufficient PID available" },
  },
} as const;

const resources = (cpuMillis: number, memory: number, storage: number, pods: number): Record<string, string> => ({
  cpu: cpuMillis % 1000 === 0 ? String(cpuMillis / 1000) : `${cpuMillis}m`,
  memory: `${Math.floor(memory / 1024)}Ki`,
  "ephemeral-storage": `${Math.floor(storage / 1024)}Ki`,
  pods: String(pods),
});
