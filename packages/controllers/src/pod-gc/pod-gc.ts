import { silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import type { Client, Informer } from "@skerry/client";
import { isNotFound, keyString, kinds, type Encoded } from "@skerry/machinery";
import type { Node, Pod } from "@skerry/machinery/types";
import type { Surroundings } from "../controller.ts";
import { hasEnded } from "../scheduler/cluster-view.ts";
import { unlessChanged } from "../writes.ts";

export interface PodGarbageCollectorOptions extends Surroundings {
  /** How many ended pods are kept for their logs and status. */
  endedLimit?: number;
  everyMs?: number;
}

/** Removes pods that no node will ever finish: those of deleted nodes, those deleted before they had a node, and the oldest ended ones beyond a limit. */
export class PodGarbageCollector implements AsyncDisposable {
  readonly #client: Client;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #endedLimit: number;
  readonly #everyMs: number;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: PodGarbageCollectorOptions) {
    this.#client = options.client;
    this.#pods = options.informers.of(kinds.Pod);
    this.#nodes = options.informers.of(kinds.Node);
    this.#endedLimit = options.endedLimit ?? 12_500;
    this.#everyMs = options.everyMs ?? 20_000;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(this.#everyMs, signal);
        await this.#sweep(signal);
      } catch (error) {
        if (!signal.aborted) this.#log.warn({ err: error }, "pod garbage collection failed");
      }
    }
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const ended: Encoded<Pod>[] = [];
    const missing = new Map<string, boolean>();
    for (const entry of this.#pods.values()) {
      const pod = entry.decode();
      const node = pod.spec?.nodeName;
      if (!node) {
        if (pod.metadata.deletionTimestamp !== undefined) await this.#remove(entry, signal);
      } else if (await this.#isMissing(node, missing, signal)) await this.#remove(entry, signal);
      else if (hasEnded(pod)) ended.push(entry);
    }
    const madeAt = (entry: Encoded<Pod>): string => entry.decode().metadata.creationTimestamp ?? "";
    const oldest = ended.toSorted((a, b) => (madeAt(a) < madeAt(b) ? -1 : 1));
    for (const entry of oldest.slice(0, Math.max(0, ended.length - this.#endedLimit)))
      await this.#remove(entry, signal);
  }

  /** Whether a node is gone for certain: the informer has none, and neither has the API. */
  async #isMissing(name: string, known: Map<string, boolean>, signal: AbortSignal): Promise<boolean> {
    if (this.#nodes.get({ namespace: "", name })) return false;
    const before = known.get(name);
    if (before !== undefined) return before;
    const missing = await this.#client.get(kinds.Node, { namespace: "", name }, { signal }).then(
      () => false,
      (error: unknown) => {
        if (isNotFound(error)) return true;
        throw error;
      },
    );
    known.set(name, missing);
    return missing;
  }

  async #remove(entry: Encoded<Pod>, signal: AbortSignal): Promise<void> {
    const { uid } = entry.decode().metadata;
    const preconditions = { ...(uid !== undefined && { uid }) };
    try {
      await unlessChanged(this.#client.delete(kinds.Pod, entry.key, { gracePeriodSeconds: 0, preconditions, signal }));
    } catch (error) {
      signal.throwIfAborted();
      // One that cannot be removed keeps none of the others.
      this.#log.warn({ pod: keyString(entry.key), err: error }, "pod could not be removed");
    }
  }
}
