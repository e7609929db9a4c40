import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { isMissingFile } from "@skerry/base";
import { overlaps, parseCidr } from "./cidr.ts";
import type { NetworkNames } from "./cni-config.ts";
import { optionOf, type Iptables, type IptablesRule } from "./iptables.ts";

/** Where CNI keeps the outcome of each sandbox's set-up, for all networks of the machine (libcni's cache). */
const CNI_RESULTS = "/var/lib/cni/results";
/** Chains that the portmap and firewall plugins share among all networks of the machine. */
const HOST_PORTS = "CNI-HOSTPORT-DNAT";
const FORWARD = "CNI-FORWARD";

interface PodLeftovers {
  names: NetworkNames;
  ipamDir: string;
  podCidr: string | undefined;
  iptables: Iptables;
}

/** Removes what belongs to sandboxes of this network other than the living: nothing of another network is touched. */
export async function releaseVanished(left: PodLeftovers, living: ReadonlySet<string>): Promise<void> {
  const heldAddresses = await releaseAddresses(path.join(left.ipamDir, left.names.network), living);
  await releaseHostPorts(left, living);
  await releaseForwarding(left, heldAddresses);
  await forgetResults(left.names.network, living);
  if (living.size === 0) await removeUnusedChains(left.iptables);
}

/** host-local keeps a file per address that names its holder. Returns the addresses that are still held. */
async function releaseAddresses(dir: string, living: ReadonlySet<string>): Promise<Set<string>> {
  const held = new Set<string>();
  for (const file of await namesIn(dir)) {
    if (!/^\d+\.\d+\.\d+\.\d+$/.test(file)) continue;
    const [holder = ""] = (await readFile(path.join(dir, file), "utf8")).split(/\s/);
    if (living.has(holder)) held.add(file);
    else await rm(path.join(dir, file), { force: true });
  }
  return held;
}

/** The portmap plugin makes a chain per pod; the rule that leads there names network and sandbox. */
async function releaseHostPorts({ names, iptables }: PodLeftovers, living: ReadonlySet<string>): Promise<void> {
  for (const rule of await iptables.rules("nat")) {
    if (rule.chain !== HOST_PORTS) continue;
    const [, network, id] = /^dnat name: "(.*)" id: "(.*)"$/.exec(optionOf(rule, "--comment") ?? "") ?? [];
    const chain = optionOf(rule, "-j");
    if (network !== names.network || id === undefined || living.has(id) || chain === undefined) continue;
    await iptables.remove("nat", rule);
    await iptables.removeChain("nat", chain);
  }
}

/** The firewall plugin makes a pair of rules per address. */
async function releaseForwarding({ podCidr, iptables }: PodLeftovers, held: ReadonlySet<string>): Promise<void> {
  if (podCidr === undefined) return;
  const block = parseCidr(podCidr);
  for (const rule of await iptables.rules("filter")) {
    const address = optionOf(rule, "-s", "-d")?.replace(/\/32$/, "");
    if (rule.chain !== FORWARD || address === undefined || held.has(address)) continue;
    if (!address.includes("/") && overlaps(block, parseCidr(address))) await iptables.remove("filter", rule);
  }
}

/** Files are named after network, sandbox and interface; loopback's "network" is the same for all. */
async function forgetResults(network: string, living: ReadonlySet<string>): Promise<void> {
  const prefix = `${network}-`;
  const files = await namesIn(CNI_RESULTS);
  for (const file of files) {
    if (!file.startsWith(prefix)) continue;
    const [, id] = /^([0-9a-f]{64})-[^-]+$/.exec(file.slice(prefix.length)) ?? [];
    if (id === undefined || living.has(id)) continue;
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
async function removeUnusedChains(iptables: Iptables): Promise<void> {
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

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (isMissingFile(error)) return [];
    throw error;
  }
}
