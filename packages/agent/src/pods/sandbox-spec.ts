import type { Pod } from "@skerry/machinery/types";
import type { NamespaceMode, PortMapping, SandboxSpec } from "../runtime/runtime.ts";
import { podLogDir, type PodPaths } from "./paths.ts";
import { sandboxSecurity } from "./security.ts";

/** Name servers as resolv.conf(5) has them. */
export interface DnsConfig {
  servers: string[];
  searches: string[];
  options: string[];
}

export interface SandboxSpecInput {
  pod: Pod;
  attempt: number;
  paths: PodPaths;
  cgroupParent: string;
  /** The node's own name servers. */
  nodeDns: DnsConfig;
}

/** Describes the sandbox that the pod asks for. The same pod and attempt give the same description. */
export function sandboxSpec({ pod, attempt, paths, cgroupParent, nodeDns }: SandboxSpecInput): SandboxSpec {
  const { metadata, spec } = pod;
  const network: NamespaceMode = spec?.hostNetwork ? "node" : "pod";
  return {
    podName: metadata.name ?? "",
    podNamespace: metadata.namespace ?? "",
    podUid: metadata.uid ?? "",
    attempt,
    hostname: spec?.hostNetwork ? "" : hostnameOf(pod),
    logDirectory: podLogDir(paths, pod),
    dns: podDns(pod, nodeDns),
    portMappings: network === "node" ? [] : portMappings(pod),
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    network,
    pid: spec?.hostPID ? "node" : spec?.shareProcessNamespace ? "pod" : "container",
    ipc: spec?.hostIPC ? "node" : "pod",
    cgroupParent,
    sysctls: Object.fromEntries((spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value])),
    security: sandboxSecurity(pod),
    runtimeHandler: "",
  };
}

/** `spec.hostname`, or the pod's name, cut to what a host name may be long (63 characters). */
export function hostnameOf(pod: Pod): string {
  const name = pod.spec?.hostname ?? pod.metadata.name ?? "";
  return name.slice(0, 63).replace(/[-.]+$/, "");
}

/** By dnsPolicy. There is no cluster DNS here yet, so ClusterFirst means the node's servers, as the kubelet falls back to. */
function podDns(pod: Pod, nodeDns: DnsConfig): DnsConfig {
  const { dnsPolicy, dnsConfig } = pod.spec ?? {};
  const base: DnsConfig = dnsPolicy === "None" ? { servers: [], searches: [], options: [] } : nodeDns;
  const added = (dnsConfig?.options ?? []).flatMap(({ name, value }) =>
    name === undefined ? [] : [value === undefined ? name : `${name}:${value}`],
  );
  const optionName = (option: string): string => option.split(":", 1)[0] ?? option;
  const kept = base.options.filter((option) => !added.some((one) => optionName(one) === optionName(option)));
  return {
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]).slice(0, 3), // resolv.conf(5): MAXNS
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]),
    options: [...kept, ...added],
  };
}

function portMappings(pod: Pod): PortMapping[] {
  return (pod.spec?.containers ?? []).flatMap((container) =>
    (container.ports ?? []).flatMap(({ hostPort, containerPort, protocol = "TCP", hostIP = "" }) =>
      hostPort ? [{ protocol: protocol as PortMapping["protocol"], containerPort, hostPort, hostIp: hostIP }] : [],
    ),
  );
}

const unique = (values: string[]): string[] => [...new Set(values)];
