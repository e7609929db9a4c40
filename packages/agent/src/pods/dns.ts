import type { Pod } from "@skerry/machinery/types";

/** Name servers as resolv.conf(5) has them. */
export interface DnsConfig {
  servers: string[];
  searches: string[];
  options: string[];
}

/** The node's name servers. */
export interface NodeDns extends DnsConfig {
  /** Those that no pod with a network of its own reaches: on loopback, the host itself (0.0.0.0), or known by an interface of the node. */
  ownServers: string[];
}

const NODE_ONLY = /^(127\.|0\.0\.0\.0$|::1?$|fe80:)/i;
/** resolv.conf(5): MAXNS. */
const MAX_SERVERS = 3;

/**
 * The node's name servers by its /etc/resolv.conf and by the list that systemd-resolved keeps of the servers behind its own, which is on
 * loopback. The list counts where the file names nothing that a pod can reach. Either is "" where there is no such file.
 */
export function nodeDns(resolvConf: string, resolvedConf: string): NodeDns {
  const own = parseResolvConf(resolvConf);
  const behind = parseResolvConf(resolvedConf);
  if (own.servers.length > 0 || behind.servers.length === 0) return own;
  return { ...behind, ownServers: own.ownServers };
}

/**
 * What the pod's resolv.conf says, by its dnsPolicy; no server where the node has none for it. There is no cluster DNS here yet, so
 * ClusterFirst means the node's servers, as the kubelet falls back to.
 */
export function podDns(pod: Pod, node: NodeDns): DnsConfig {
  const { dnsPolicy, dnsConfig, hostNetwork } = pod.spec ?? {};
  const base: DnsConfig =
    dnsPolicy === "None"
      ? { servers: [], searches: [], options: [] }
      : { ...node, servers: hostNetwork && node.servers.length === 0 ? node.ownServers : node.servers };
  const added = (dnsConfig?.options ?? []).flatMap(({ name, value }) =>
    name === undefined ? [] : [value === undefined ? name : `${name}:${value}`],
  );
  const optionName = (option: string): string => option.split(":", 1)[0] ?? option;
  const kept = base.options.filter((option) => !added.some((one) => optionName(one) === optionName(option)));
  return {
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]).slice(0, MAX_SERVERS),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]),
    options: [...kept, ...added],
  };
}

/** With a server that answers nothing, so that a look-up fails at once, where there is none: the runtime would copy the node's file. */
export const withServer = (dns: DnsConfig): DnsConfig =>
  dns.servers.length > 0 ? dns : { ...dns, servers: ["127.0.0.1"] };

/** The text of the pod's resolv.conf, which the agent keeps current. */
export function podResolvConf(pod: Pod, node: NodeDns): string {
  const { servers, searches, options } = withServer(podDns(pod, node));
  const lines = servers.map((server) => `nameserver ${server}`);
  if (searches.length > 0) lines.push(`search ${searches.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}

function parseResolvConf(text: string): NodeDns {
  const named: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    const [first] = values;
    if (keyword === "nameserver" && first !== undefined) named.push(first);
    else if (keyword === "search") searches = values;
    else if (keyword === "options") options = values;
  }
  return {
    servers: named.filter((server) => !NODE_ONLY.test(server)),
    ownServers: named.filter((server) => NODE_ONLY.test(server)),
    searches,
    options,
  };
}

const unique = (values: string[]): string[] => [...new Set(values)];
