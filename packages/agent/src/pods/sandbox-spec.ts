import type { Pod } from "@skerry/machinery/types";
import type { NamespaceMode, PortMapping, SandboxSpec } from "../runtime/runtime.ts";
import { podDns, withServer, type NodeDns } from "./dns.ts";
import { podLogDir, type PodPaths } from "./paths.ts";
import { sandboxSecurity } from "./security.ts";

export interface SandboxSpecInput {
  pod: Pod;
  attempt: number;
  paths: PodPaths;
  cgroupParent: string;
  nodeDns: NodeDns;
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
    dns: withServer(podDns(pod, nodeDns)),
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

function portMappings(pod: Pod): PortMapping[] {
  return (pod.spec?.containers ?? []).flatMap((container) =>
    (container.ports ?? []).flatMap(({ hostPort, containerPort, protocol = "TCP", hostIP = "" }) =>
      hostPort ? [{ protocol: protocol as PortMapping["protocol"], containerPort, hostPort, hostIp: hostIP }] : [],
    ),
  );
}
