import type { Pod } from "@skerry/machinery/types";
import { hostnameOf } from "./sandbox-spec.ts";

/** The file that containers see as /etc/hosts. `nodeHosts` is the node's own, which pods on its network share. */
export function hostsContent(pod: Pod, podIps: string[], nodeHosts: string): string {
  const lines = ["# Written by Skerry for this pod; changes are lost."];
  if (pod.spec?.hostNetwork) lines.push(nodeHosts.trimEnd());
  else {
    lines.push(
      "127.0.0.1\tlocalhost",
      "::1\tlocalhost ip6-localhost ip6-loopback",
      "fe00::0\tip6-localnet",
      "fe00::0\tip6-mcastprefix",
      "fe00::1\tip6-allnodes",
      "fe00::2\tip6-allrouters",
    );
    const hostname = hostnameOf(pod);
    for (const ip of podIps) lines.push(`${ip}\t${hostname}`);
  }
  for (const { ip, hostnames = [] } of pod.spec?.hostAliases ?? []) lines.push([ip, ...hostnames].join("\t"));
  return `${lines.join("\n")}\n`;
}
