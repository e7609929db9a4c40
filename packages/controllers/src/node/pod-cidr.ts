import { isIPv4 } from "node:net";

/** How many bits of a node's share of the cluster's network are its own: 254 pods. */
const NODE_BITS = 24;

/**
 * Hands out a /24 of the cluster's network to each node. What is taken is read from the nodes themselves, so there is nothing to persist;
 * between a choice and its arrival in the informer, the choice is remembered here.
 */
export class PodCidrs {
  readonly #base: number;
  readonly #count: number;
  readonly #owners = new Map<string, string>();
  readonly #shares = new Map<string, string>();
  /** Every share before this one is taken. */
  #firstFree = 0;

  /** @param clusterCidr An IPv4 network of /24 or larger, e.g. `10.42.0.0/16`. */
  constructor(clusterCidr: string) {
    const [address = "", bits = ""] = clusterCidr.split("/");
    const size = Number(bits);
    if (!isIPv4(address) || !(size >= 8 && size <= NODE_BITS)) {
      throw new RangeError(`The cluster's network ${clusterCidr} must be between /8 and /24, and IPv4`);
    }
    const value = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
    this.#base = value - (value % 2 ** (32 - size));
    this.#count = 2 ** (NODE_BITS - size);
  }

  /** Notes that a node has a share. False when it is another's already, which keeps it. */
  occupy(cidr: string, node: string): boolean {
    const owner = this.#owners.get(cidr);
    if (owner === undefined) this.#take(cidr, node);
    return owner === undefined || owner === node;
  }

  /** Gives back what the node had. */
  release(node: string): void {
    const cidr = this.#shares.get(node);
    if (cidr === undefined) return;
    this.#shares.delete(node);
    this.#owners.delete(cidr);
    this.#firstFree = 0;
  }

  /** The node's share, or the first free one, which is its from now on; undefined when none is left. */
  allocate(node: string): string | undefined {
    const known = this.#shares.get(node);
    if (known !== undefined) return known;
    for (; this.#firstFree < this.#count; this.#firstFree++) {
      const cidr = this.#cidrAt(this.#firstFree);
      if (this.#owners.has(cidr)) continue;
      this.#take(cidr, node);
      return cidr;
    }
    return undefined;
  }

  /** A node has one share: one that was chosen here and never arrived goes back. */
  #take(cidr: string, node: string): void {
    this.release(node);
    this.#owners.set(cidr, node);
    this.#shares.set(node, cidr);
  }

  #cidrAt(index: number): string {
    const value = this.#base + index * 2 ** (32 - NODE_BITS);
    return `${[24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".")}/${NODE_BITS}`;
  }
}
