import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { namesIn, overlaps, parseCidr } from "@skerry/base";
import type { NetworkNames } from "./cni-config.ts";
import { optionOf, type Iptables, type IptablesRule } from "./iptables.ts";

/** Where CNI keeps the outcome of each sandbox's set-up, for all networks of the machine (libcni's cache). */
const CNI_RESULTS = "/var/lib/cni/results";
/** Chains that the portmap and firewall plugins share among all networks of the machine. */
const HOST_PORTS = "CNI-HOSTPORT-DNAT";
const FORWARD = "CNI-FORWARD";

export interface PodLeftovers {
  names: NetworkNames;
  ipamDir: string;
  podCidr: string | undefined;
  iptables: Iptables;
}

/** Whether a sandbox is no more, and what it held is to be freed. */
export type IsGone = (sandboxId: string) => boolean;

/** The sandboxes that hold an address or a host port of this network, whether they still exist or not. */
export async function holdersOf({ names, ipamDir, iptables }: PodLeftovers): Promise<Set<string>> {
  const dir = path.join(ipamDir, names.network);
  const holders = new Set<string>();
  for (const address of await addressesIn(dir)) holders.add(await holderOf(path.join(dir, address)));
  for (const rule of await iptables.rules("nat")) {
    const id = hostPortHolder(rule, names.network);
    if (id !== undefined) holders.add(id);
  }
  return holders;
}

/**
 * Removes what belongs to sandboxes of this network that are gone, and the forwarding rules of those that `isBroken`: nothing of
 * another network is touched. Rules for an address that nobody holds go in any case: CNI takes back only what it had finished.
 */
export async function releaseVanished(
  left: PodLeftovers,
  isGone: IsGone,
  isBroken: IsGone = () => false,
): Promise<void> {
  // Rules are read before addresses: a pod that is being made has its address before its rules.
  const rules = await left.iptables.rules("filter");
  const held = await releaseAddresses(path.join(left.ipamDir, left.names.network), isGone, isBroken);
  await releaseForwarding(left, rules, held);
  await releaseHostPorts(left, isGone);
  await forgetResults(left.names.network, isGone);
}

/** host-local keeps a file per address that names its holder. Returns the addresses whose rules stay. */
async function releaseAddresses(dir: string, isGone: IsGone, isBroken: IsGone): Promise<Set<string>> {
  const held = new Set<string>();
  for (const address of await addressesIn(dir)) {
    const file = path.join(dir, address);
    const holder = await holderOf(file);
    if (isGone(holder)) await rm(file, { force: true });
    else if (!isBroken(holder)) held.add(address);
  }
  return held;
}

const addressesIn = async (dir: string): Promise<string[]> =>
  (await namesIn(dir)).filter((name) => /^\d+\.\d+\.\d+\.\d+$/.test(name));

async function holderOf(file: string): Promise<string> {
  const [holder = ""] = (await readFile(file, "utf8")).split(/\s/);
  return holder;
}

/** The portmap plugin makes a chain per pod; the rule that leads there names network and sandbox. */
async function releaseHostPorts({ names, iptables }: PodLeftovers, isGone: IsGone): Promise<void> {
  for (const rule of await iptables.rules("nat")) {
    const id = hostPortHolder(rule, names.network);
    const chain = optionOf(rule, "-j");
    if (id === undefined || !isGone(id) || chain === undefined) continue;
    await iptables.remove("nat", rule);
    await iptables.removeChain("nat", chain);
  }
}

function hostPortHolder(rule: IptablesRule, wantedNetwork: string): string | undefined {
  if (rule.chain !== HOST_PORTS) return undefined;
  const [, network, id] = /^dnat name: "(.*)" id: "(.*)"$/.exec(optionOf(rule, "--comment") ?? "") ?? [];
  return network === wantedNetwork ? id : undefined;
}

/** The firewall plugin makes a pair of rules per address. */
async function releaseForwarding(
  { podCidr, iptables }: PodLeftovers,
  rules: readonly IptablesRule[],
  held: ReadonlySet<string>,
): Promise<void> {
  if (podCidr === undefined) return;
  const block = parseCidr(podCidr);
  for (const rule of rules) {
    const address = optionOf(rule, "-s", "-d")?.replace(/\/32$/, "");
    if (rule.chain !== FORWARD || address === undefined || held.has(address)) continue;
    if (!address.includes("/") && overlaps(block, parseCidr(address))) await iptables.remove("filter", rule);
  }
}

/** Files are named after network, sandbox and interface; loopback's "network" is the same for all. */
async function forgetResults(network: string, isGone: IsGone): Promise<void> {
  const prefix = `${network}-`;
  const files = await namesIn(CNI_RESULTS);
  for (const file of files) {
    if (!file.startsWith(prefix)) continue;
    const [, id] = /^([0-9a-f]{64})-[^-]+$/.exec(file.slice(prefix.length)) ?? [];
    if (id === undefined || !isGone(id)) continue;
    for (const other of files) {
      if (other.includes(`-${id}-`)) await rm(path.join(CNI_RESULTS, other), { force: true });
    }
  }
}

/** What leads to the plugins' shared chains, by table. */
const SHARED: readonly { table: "nat" | "filter"; uses: string; chains: readonly string[] }[] = [
  { table: "nat", uses: HOST_PORTS, chains: [HOST_PORTS, "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"] },
  { table: "filter", uses: FORWARD, chains: [FORWARD, "CNI-ADMIN"] },
];

/** Removes the chains that all networks share once none uses them; an administrator's own rules in them are a use. */
export async function removeUnusedChains(iptables: Iptables): Promise<void> {
  for (const { table, uses, chains } of SHARED) {
    const rules = await iptables.rules(table);
    const leadsToShared = (rule: IptablesRule): boolean => chains.includes(optionOf(rule, "-j") ?? "");
    const isUsed = rules.some(
      (rule) =>
        (rule.chain === uses && !leadsToShared(rule)) || rule.chain === "CNI-ADMIN" || leadsFromPod(rule, chains),
    );
    if (isUsed) continue;
    const present = await iptables.chains(table);
    for (const rule of rules) if (leadsToShared(rule)) await iptables.remove(table, rule);
    for (const chain of chains) if (present.has(chain)) await iptables.removeChain(table, chain);
  }
}

/** A rule of a pod's own chain that uses a shared one. */
const leadsFromPod = (rule: IptablesRule, chains: readonly string[]): boolean =>
  rule.chain.startsWith("CNI-DN-") && chains.includes(optionOf(rule, "-j") ?? "");
