import { parseQuantity } from "@skerry/machinery";
import type { Container, Pod } from "@skerry/machinery/types";
import { ContainerConfigError } from "./config-error.ts";

/** What the node adds to a pod that tells its containers about itself ("Downward API"). */
export interface DownwardFacts {
  nodeName: string;
  podIps: string[];
  hostIps: string[];
  /** What stands for a limit that is not set. */
  allocatable: { cpuMillis: number; memoryBytes: number; storageBytes: number };
}

export interface ResourceRef {
  containerName?: string;
  resource: string;
  divisor?: string | number;
}

/** The value of a `fieldRef`. Labels and annotations as a whole are only for files: lines `key="value"`, sorted. */
export function fieldValue(pod: Pod, fieldPath: string, facts: DownwardFacts): string {
  const { metadata, spec } = pod;
  const one = /^metadata\.(labels|annotations)\['([^']*)'\]$/.exec(fieldPath);
  if (one) return metadata[one[1] as "labels" | "annotations"]?.[one[2] ?? ""] ?? "";
  switch (fieldPath) {
    case "metadata.name":
      return metadata.name ?? "";
    case "metadata.namespace":
      return metadata.namespace ?? "";
    case "metadata.uid":
      return metadata.uid ?? "";
    case "metadata.labels":
      return lines(metadata.labels);
    case "metadata.annotations":
      return lines(metadata.annotations);
    case "spec.nodeName":
      return facts.nodeName;
    case "spec.serviceAccountName":
      return spec?.serviceAccountName ?? "";
    case "status.hostIP":
      return facts.hostIps[0] ?? "";
    case "status.hostIPs":
      return facts.hostIps.join(",");
    case "status.podIP":
      return (spec?.hostNetwork ? facts.hostIps : facts.podIps)[0] ?? "";
    case "status.podIPs":
      return (spec?.hostNetwork ? facts.hostIps : facts.podIps).join(",");
    default:
      throw new ContainerConfigError(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** The value of a `resourceFieldRef`, in units of its divisor, rounded up. */
export function resourceValue(pod: Pod, ref: ResourceRef, facts: DownwardFacts, self?: Container): string {
  const container =
    ref.containerName === undefined || ref.containerName === ""
      ? self
      : pod.spec?.containers.find((one) => one.name === ref.containerName);
  if (!container) throw new ContainerConfigError(`container ${ref.containerName ?? ""} not found`);
  const [side = "", ...rest] = ref.resource.split(".");
  const name = rest.join(".");
  const set = side === "limits" ? container.resources?.limits : container.resources?.requests;
  if ((side !== "limits" && side !== "requests") || name === "") {
    throw new ContainerConfigError(`unsupported container resource: ${ref.resource}`);
  }
  const divisor = parseQuantity(ref.divisor === undefined || ref.divisor === "0" ? "1" : ref.divisor).nanos || NANOS;
  const value = set?.[name];
  const nanos = value === undefined ? (side === "limits" ? fallback(name, facts) : 0n) : parseQuantity(value).nanos;
  return String((nanos + divisor - 1n) / divisor);
}

const NANOS = 1_000_000_000n;

function fallback(name: string, { allocatable }: DownwardFacts): bigint {
  if (name === "cpu") return BigInt(allocatable.cpuMillis) * 1_000_000n;
  if (name === "memory") return BigInt(allocatable.memoryBytes) * NANOS;
  return name === "ephemeral-storage" ? BigInt(allocatable.storageBytes) * NANOS : 0n;
}

const lines = (values: Record<string, string> | undefined): string =>
  Object.entries(values ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
