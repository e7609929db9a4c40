import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { overlaps, parseCidr, isMissingFile, runCommand, writeFileAtomic, type RunCommand } from "@skerry/base";
import { cniConfigList, networkNames, type NetworkNames } from "./cni-config.ts";
import { Iptables, optionOf, type IptablesRule } from "./iptables.ts";
import { holdersOf, releaseVanished, removeUnusedChains, type PodLeftovers } from "./vanished-pods.ts";

export interface PodNetworkOptions {
  instance: string;
  /** Where containerd looks for CNI configuration. */
  confDir: string;
  /** Where host-local notes which address belongs to whom. */
  ipamDir: string;
  /** Runs `ip` and `iptables`, in the network namespace that the pods are to be reached from. */
  run?: RunCommand;
}

/** The pods' network would hide one that the machine has already. */
export class NetworkConflictError extends Error {
  override name = "NetworkConflictError";
}

const CONFIG_FILE = "10-skerry.conflist";

/** The network that the pods of one instance share on this machine: a bridge, addresses, host ports and the rules they need. */
export class PodNetwork {
  readonly names: NetworkNames;
  readonly #confFile: string;
  readonly #ipamDir: string;
  readonly #run: RunCommand;

  constructor({ instance, confDir, ipamDir, run = runCommand }: PodNetworkOptions) {
    this.names = networkNames(instance);
    this.#confFile = path.join(confDir, CONFIG_FILE);
    this.#ipamDir = ipamDir;
    this.#run = run;
  }

  /**
   * Makes the network with the node's block of addresses, or puts right what differs; the runtime's network is ready once
   * this has succeeded. Changes nothing when all is as it should be. Fails with a `NetworkConflictError`.
   */
  async setUp(podCidr: string, signal: AbortSignal): Promise<void> {
    await this.#checkConflict(podCidr, signal);
    await this.#masquerade(podCidr, signal);
    await releaseVanished(await this.#leftovers(signal), () => false);
    await mkdir(this.#ipamDir, { recursive: true, mode: 0o700 });
    await mkdir(path.dirname(this.#confFile), { recursive: true });
    const config = cniConfigList(this.names, podCidr, this.#ipamDir);
    if ((await this.#config()) !== config) await writeFileAtomic(this.#confFile, config);
  }

  /** The sandboxes that hold an address or a host port, whether they still exist or not. */
  async holders(signal: AbortSignal): Promise<Set<string>> {
    return await holdersOf(await this.#leftovers(signal));
  }

  /**
   * Frees what sandboxes held that vanished without being taken down: addresses, host ports, rules. Those of `broken` were
   * perhaps not finished, and will be taken down: they keep their address until then.
   */
  async release(
    { vanished, broken = new Set() }: { vanished: ReadonlySet<string>; broken?: ReadonlySet<string> },
    signal: AbortSignal,
  ): Promise<void> {
    const left = await this.#leftovers(signal);
    await releaseVanished(
      left,
      (id) => vanished.has(id),
      (id) => broken.has(id),
    );
  }

  /** Removes the network with all that was ours. To be called when no pod is left. */
  async remove(signal: AbortSignal): Promise<void> {
    const iptables = new Iptables(this.#run, signal);
    await releaseVanished(await this.#leftovers(signal), () => true);
    await removeUnusedChains(iptables);
    for (const rule of await this.#masqueradeRules(iptables)) await iptables.remove("nat", rule);
    const links = JSON.parse(await this.#run("ip", ["-json", "link", "show"], { signal })) as { ifname: string }[];
    if (links.some(({ ifname }) => ifname === this.names.bridge))
      await this.#run("ip", ["link", "delete", this.names.bridge], { signal });
    await rm(this.#confFile, { force: true });
    await rm(this.#ipamDir, { recursive: true, force: true });
  }

  async #leftovers(signal: AbortSignal): Promise<PodLeftovers> {
    return {
      names: this.names,
      ipamDir: this.#ipamDir,
      podCidr: await this.#configuredCidr(),
      iptables: new Iptables(this.#run, signal),
    };
  }

  async #checkConflict(podCidr: string, signal: AbortSignal): Promise<void> {
    const wanted = parseCidr(podCidr);
    const output = await this.#run("ip", ["-json", "-4", "route", "show", "table", "all"], { signal });
    const routes = JSON.parse(output || "[]") as { dst?: string; dev?: string; type?: string }[];
    for (const { dst, dev, type = "unicast" } of routes) {
      if (dst === undefined || dst === "default" || type !== "unicast" || dev === this.names.bridge) continue;
      if (!overlaps(wanted, parseCidr(dst))) continue;
      throw new NetworkConflictError(
        `Cannot use ${podCidr} for pods: this machine reaches ${dst} through ${dev ?? "another route"}; ` +
          "choose another network with --cluster-cidr",
      );
    }
  }

  async #masquerade(podCidr: string, signal: AbortSignal): Promise<void> {
    const iptables = new Iptables(this.#run, signal);
    const wanted: IptablesRule = {
      chain: "POSTROUTING",
      words: ["-s", podCidr, "!", "-d", podCidr, "-m", "comment", "--comment", this.names.comment, "-j", "MASQUERADE"],
    };
    let isThere = false;
    for (const rule of await this.#masqueradeRules(iptables)) {
      if (!isThere && optionOf(rule, "-s") === podCidr) isThere = true;
      else await iptables.remove("nat", rule); // of an earlier block
    }
    if (!isThere) await iptables.append("nat", wanted);
  }

  async #masqueradeRules(iptables: Iptables): Promise<IptablesRule[]> {
    const rules = await iptables.rules("nat");
    return rules.filter((rule) => rule.chain === "POSTROUTING" && optionOf(rule, "--comment") === this.names.comment);
  }

  async #config(): Promise<string | undefined> {
    try {
      return await readFile(this.#confFile, "utf8");
    } catch (error) {
      if (isMissingFile(error)) return undefined;
      throw error;
    }
  }

  /** The block that pods have had their addresses from; undefined when there was no network. */
  async #configuredCidr(): Promise<string | undefined> {
    const config = await this.#config();
    if (config === undefined) return undefined;
    const { plugins } = JSON.parse(config) as { plugins: { ipam?: { ranges: { subnet: string }[][] } }[] };
    return plugins[0]?.ipam?.ranges[0]?.[0]?.subnet;
  }
}
