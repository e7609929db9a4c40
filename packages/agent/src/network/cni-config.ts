import { createHash } from "node:crypto";

/** What a network of pods is called; each instance has its own, so that several share a machine. */
export interface NetworkNames {
  network: string;
  bridge: string;
  /** On the masquerade rule. */
  comment: string;
}

/** `IFNAMSIZ` less the closing zero. */
const MAX_INTERFACE_NAME = 15;

export function networkNames(instance: string): NetworkNames {
  const plain = `sk-${instance}`;
  const hashed = `sk-${createHash("sha256").update(instance).digest("hex").slice(0, 10)}`;
  return {
    network: `skerry-${instance}`,
    bridge: plain.length <= MAX_INTERFACE_NAME ? plain : hashed,
    comment: `skerry ${instance}`,
  };
}

/**
 * The CNI configuration list of a node's pods (CNI spec 1.0, "Network configuration"): a bridge with addresses from
 * the node's block, host ports, and accepting rules where the machine's FORWARD chain drops, as Docker makes it.
 *
 * The bridge plugin turns on IP forwarding. It does not masquerade: that is one rule for the node, not a chain for each pod,
 * which would stay behind when a network namespace vanishes.
 */
export function cniConfigList(names: NetworkNames, podCidr: string, ipamDir: string): string {
  const list = {
    cniVersion: "1.0.0",
    name: names.network,
    plugins: [
      {
        type: "bridge",
        bridge: names.bridge,
        isGateway: true,
        isDefaultGateway: true,
        // The block changes when the node is made anew: the bridge then takes its new address.
        forceAddress: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: { type: "host-local", dataDir: ipamDir, ranges: [[{ subnet: podCidr }]] },
      },
      { type: "portmap", capabilities: { portMappings: true }, snat: true },
      { type: "firewall", backend: "iptables" },
    ],
  };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}
