import { KeyedQueue, type Clock, type Logger, type Requeue } from "@skerry/base";
import type { Client } from "@skerry/client";
import { isAlreadyExists, isConflict, isNotFound, kinds, type ObjectKey } from "@skerry/machinery";
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

/** How many renewals are on the way at once, of all nodes together. Under a slow API the others wait, each once, and come late. */
const MAX_WRITES = 100;
/** How often a renewal is tried anew at once because somebody else has written the lease. */
const MAX_TRIES = 3;

interface Kept {
  identity: NodeIdentity;
  /** As the API last gave it: what the next renewal is written over. */
  lease: Lease | undefined;
}

/** Renews the Leases of nodes whose sessions live, so that no lease travels over a link. */
export class Leases implements AsyncDisposable {
  readonly #options: LeasesOptions;
  readonly #kept = new Map<string, Kept>();
  /** One renewal of a node at a time, however often its link comes and goes. */
  readonly #queue: KeyedQueue;

  constructor(options: LeasesOptions) {
    const { clock, random, log } = options;
    this.#options = options;
    this.#queue = new KeyedQueue({
      run: (node, signal) => this.#renew(node, signal),
      workers: MAX_WRITES,
      retry: { initialMs: RENEW_MS, maxMs: RENEW_MS },
      onError: (node, err) => log.warn({ node, err }, "lease could not be renewed"),
      clock,
      random,
    });
  }

  start(): void {
    this.#queue.start();
  }

  /** Begins to renew: at once, and then every ten seconds, spread. */
  keep(identity: NodeIdentity): void {
    const { node } = identity;
    this.#kept.set(node, { identity, lease: this.#kept.get(node)?.lease });
    this.#queue.add(node);
  }

  release(node: string): void {
    this.#kept.delete(node);
    this.#queue.forget(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]();
  }

  async #renew(node: string, signal: AbortSignal): Promise<Requeue | void> {
    const { random, renewed } = this.#options;
    const kept = this.#kept.get(node);
    if (!kept) return;
    const known = kept.lease;
    kept.lease = undefined; // until it is known to be written
    kept.lease = await this.#write({ ...kept, lease: known }, signal);
    if (this.#kept.get(node) !== kept) return;
    renewed?.(node);
    return { requeueAfterMs: RENEW_MS * (0.9 + 0.2 * random()) };
  }

  async #write({ identity, lease }: Kept, signal: AbortSignal): Promise<Lease> {
    const { client, clock } = this.#options;
    const { node, uid } = identity;
    const spec = {
      holderIdentity: node,
      leaseDurationSeconds: DURATION_SECONDS,
      // RFC 3339 with microseconds (meta/v1 MicroTime).
      renewTime: new Date(clock.now()).toISOString().replace("Z", "000Z"),
    };
    const key = { namespace: NAMESPACE, name: node };
    const fresh: Lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { ...key, ownerReferences: [{ apiVersion: "v1", kind: "Node", name: node, uid }] },
      spec,
    };
    for (let tries = 1, known = lease; ; tries++) {
      try {
        known ??= await this.#read(key, signal);
        const written = known
          ? await client.update<Lease>(kinds.Lease, { ...known, spec: { ...known.spec, ...spec } }, { signal })
          : await client.create<Lease>(kinds.Lease, fresh, { signal });
        return written.decode();
      } catch (error) {
        // Written, made or removed by somebody else: looked at again.
        const isOutdated = isConflict(error) || isAlreadyExists(error) || (known !== undefined && isNotFound(error));
        if (!isOutdated || tries === MAX_TRIES) throw error;
        known = undefined;
      }
    }
  }

  async #read(key: ObjectKey, signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return (await this.#options.client.get<Lease>(kinds.Lease, key, { signal })).decode();
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}
