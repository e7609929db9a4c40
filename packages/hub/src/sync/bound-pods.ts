import type { Informer } from "@skerry/client";
import type { ObjectKey } from "@skerry/machinery";
import type { Pod } from "@skerry/machinery/types";

/** A pod that is gone: where it was bound, and under which name. */
interface GonePod extends ObjectKey {
  node: string;
}

/** How many pods that are gone are remembered; those that went first are forgotten. */
const MAX_GONE = 5000;
const BY_NODE = "node";

/**
 * Knows which pods are bound to a node, and which were until lately: of the end of a pod an edge tells when the API has it no more. What went
 * before this process began is not known.
 */
export class BoundPods {
  readonly #pods: Informer<Pod>;
  readonly #maxGone: number;
  readonly #gone = new Map<string, GonePod>();
  #end: (() => void) | undefined;

  constructor(pods: Informer<Pod>, { maxGone = MAX_GONE }: { maxGone?: number } = {}) {
    this.#pods = pods;
    this.#pods.addIndex(BY_NODE, (pod) => (pod.spec?.nodeName ? [pod.spec.nodeName] : []));
    this.#maxGone = maxGone;
  }

  start(): void {
    this.#end ??= this.#pods.onChange((key, current, previous) => {
      const was = previous?.decode();
      const uid = was?.metadata.uid;
      const node = was?.spec?.nodeName;
      if (uid === undefined || node === undefined || current?.decode().metadata.uid === uid) return;
      this.#gone.set(uid, { ...key, node });
      const [first] = this.#gone.keys();
      if (this.#gone.size > this.#maxGone && first !== undefined) this.#gone.delete(first);
    });
  }

  stop(): void {
    this.#end?.();
    this.#end = undefined;
  }

  /** The pods that are bound to `node`. */
  *of(node: string): Generator<Pod> {
    for (const pod of this.#pods.byIndex(BY_NODE, node)) yield pod.decode();
  }

  /** Whether the pod of this name and uid is bound to `node`, or lately was. */
  has(node: string, { namespace, name, uid }: ObjectKey & { uid: string }): boolean {
    const pod = this.#pods.get({ namespace, name })?.decode();
    if (pod?.metadata.uid === uid) return pod.spec?.nodeName === node;
    const gone = this.#gone.get(uid);
    return gone?.node === node && gone.namespace === namespace && gone.name === name;
  }
}
