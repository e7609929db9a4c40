import type { Clock, Logger } from "@skerry/base";
import type { Client } from "@skerry/client";
import { isAlreadyExists, isConflict, isNotFound, kinds } from "@skerry/machinery";
import type { Lease } from "@skerry/machinery/types";
import type { NodeIdentity } from "../identity.ts";

/** KEP-589: node heartbeats are Leases of the node's name in this namespace. */
const NAMESPACE = "kube-node-lease";
const DURATION_SECONDS = 40;
const RENEW_MS = 10_000;

export interface LeasesOptions {
  client: Client;
  clock: Clock;
  random: () => number;
  log: Logger;
  /** Told of a node after each renewal. */
  renewed?: (node: string) => void;
}

interface Kept {
  identity: NodeIdentity;
  cancel: () => void;
  /** As the API last gave it: what the next renewal is written over. */
  lease: Lease | undefined;
}

/** Renews the Leases of nodes whose sessions live, so that no lease travels over a link. */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #stop = new AbortController();

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** Begins to renew: at once, and then every ten seconds, spread. */
  keep(identity: NodeIdentity): void {
    const known = this.#kept.get(identity.node);
    known?.cancel();
    const kept: Kept = { identity, cancel: () => {}, lease: known?.lease };
    this.#kept.set(identity.node, kept);
    void this.#renew(kept);
  }

  release(node: string): void {
    this.#kept.get(node)?.cancel();
    this.#kept.delete(node);
  }

  stop(): void {
    this.#stop.abort();
    for (const { cancel } of this.#kept.values()) cancel();
    this.#kept.clear();
  }

  async #renew(kept: Kept): Promise<void> {
    const { clock, random, log } = this.#options;
    const { node } = kept.identity;
    try {
      kept.lease = await this.#write(kept);
      if (this.#kept.get(node) === kept) this.#options.renewed?.(node);
    } catch (error) {
      kept.lease = undefined;
      if (this.#stop.signal.aborted) return;
      log.warn({ node, err: error }, "lease could not be renewed");
    }
    if (this.#stop.signal.aborted || this.#kept.get(node) !== kept) return;
    kept.cancel = clock.after(RENEW_MS * (0.9 + 0.2 * random()), () => void this.#renew(kept));
  }

  async #write(kept: Kept): Promise<Lease> {
    const { client, clock } = this.#options;
    const { signal } = this.#stop;
    const { node, uid } = kept.identity;
    const spec = {
      holderIdentity: node,
      leaseDurationSeconds: DURATION_SECONDS,
      // RFC 3339 with microseconds (meta/v1 MicroTime).
      renewTime: new Date(clock.now()).toISOString().replace("Z", "000Z"),
    };
    const key = { namespace: NAMESPACE, name: node };
    for (let known = kept.lease; ;) {
      try {
        known ??= (await client.get<Lease>(kinds.Lease, key, { signal })).decode();
        return (
          await client.update<Lease>(kinds.Lease, { ...known, spec: { ...known.spec, ...spec } }, { signal })
        ).decode();
      } catch (error) {
        if (isConflict(error) && known) {
          known = undefined;
          continue;
        }
        if (!isNotFound(error)) throw error;
      }
      const lease: Lease = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { ...key, ownerReferences: [{ apiVersion: "v1", kind: "Node", name: node, uid }] },
        spec,
      };
      try {
        return (await client.create<Lease>(kinds.Lease, lease, { signal })).decode();
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
        known = undefined;
      }
    }
  }
}
