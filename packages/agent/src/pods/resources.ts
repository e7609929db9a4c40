import { parseQuantity, quantityMillis, quantityUnits } from "@skerry/machinery";
import type { Container, Pod } from "@skerry/machinery/types";
import type { ResourceSpec } from "../runtime/runtime.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

/** The scheduling period of CPU quotas. */
const CPU_PERIOD_US = 100_000;
/** cgroup v1 knows no fewer shares; what asks for nothing gets these. */
const MIN_SHARES = 2;
const MIN_QUOTA_US = 1_000;

/**
 * The pod's quality of service ("Pod Quality of Service Classes"): Guaranteed when every container limits cpu and memory and
 * requests as much, BestEffort when none says anything of either, else Burstable.
 */
export function qosClass(pod: Pod): QosClass {
  let isGuaranteed = true;
  let isBestEffort = true;
  for (const container of pod.spec?.containers ?? []) {
    for (const name of ["cpu", "memory"] as const) {
      const { limit, request } = amounts(container, name);
      if (limit !== 0 || request !== 0) isBestEffort = false;
      if (limit === 0 || request !== limit) isGuaranteed = false;
    }
  }
  return isBestEffort ? "BestEffort" : isGuaranteed ? "Guaranteed" : "Burstable";
}

/** What the runtime sets for one container. `memoryCapacity` is the node's, in bytes. */
export function containerResources(pod: Pod, container: Container, memoryCapacity: number): ResourceSpec {
  const cpu = amounts(container, "cpu");
  const memory = amounts(container, "memory");
  return {
    cpuShares: shares(cpu.request),
    cpuQuotaUs: quota(cpu.limit),
    cpuPeriodUs: CPU_PERIOD_US,
    memoryLimitBytes: memory.limit,
    oomScoreAdj: oomScoreAdj(qosClass(pod), memory.request, memoryCapacity),
  };
}

/** Limits of a pod as a whole. A limit that one container lacks is none for the pod. */
export interface PodResources {
  cpuShares: number;
  /** 0: no limit. */
  cpuQuotaUs: number;
  cpuPeriodUs: number;
  /** 0: no limit. */
  memoryLimitBytes: number;
}

export function podResources(pod: Pod): PodResources {
  const containers = pod.spec?.containers ?? [];
  const cpu = containers.map((container) => amounts(container, "cpu"));
  const memory = containers.map((container) => amounts(container, "memory"));
  return {
    cpuShares: shares(sum(cpu.map((one) => one.request))),
    cpuQuotaUs: cpu.every((one) => one.limit > 0) ? quota(sum(cpu.map((one) => one.limit))) : 0,
    cpuPeriodUs: CPU_PERIOD_US,
    memoryLimitBytes: memory.every((one) => one.limit > 0) ? sum(memory.map((one) => one.limit)) : 0,
  };
}

/** How readily the kernel kills what runs out of memory, as the kubelet sets it by class ("Node out of memory behavior"). */
export function oomScoreAdj(qos: QosClass, memoryRequest: number, memoryCapacity: number): number {
  if (qos === "Guaranteed") return -997;
  if (qos === "BestEffort") return 1000;
  const score = 1000 - Math.floor((1000 * memoryRequest) / memoryCapacity);
  return Math.min(999, Math.max(3, score));
}

/** cpu in thousandths, everything else in whole units; 0 when not said. A limit without a request asks for as much. */
export function amounts(container: Container, name: string): { limit: number; request: number } {
  const { limits, requests } = container.resources ?? {};
  const read = (value: string | number | undefined): number =>
    value === undefined
      ? 0
      : name === "cpu"
        ? quantityMillis(parseQuantity(value))
        : quantityUnits(parseQuantity(value));
  const limit = read(limits?.[name]);
  return { limit, request: requests?.[name] === undefined ? limit : read(requests[name]) };
}

const shares = (milliCpu: number): number => Math.max(MIN_SHARES, Math.floor((milliCpu * 1024) / 1000));

const quota = (milliCpu: number): number =>
  milliCpu === 0 ? 0 : Math.max(MIN_QUOTA_US, Math.floor((milliCpu * CPU_PERIOD_US) / 1000));

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
