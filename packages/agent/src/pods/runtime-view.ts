import type { Container, Runtime, Sandbox } from "../runtime/runtime.ts";

/** What the runtime lists of one pod. */
export interface RuntimePod {
  uid: string;
  namespace: string;
  name: string;
  sandboxes: Sandbox[];
  containers: Container[];
}

/**
 * The runtime's lists, asked for once for all who want them at the same moment. A list that is taken was begun after it was asked
 * for, so who acts and then looks sees what it did.
 */
export class RuntimeView {
  readonly #runtime: Runtime;
  readonly #stop: AbortSignal;
  #running: Promise<ReadonlyMap<string, RuntimePod>> | undefined;
  #next: Promise<ReadonlyMap<string, RuntimePod>> | undefined;
  #last: ReadonlyMap<string, RuntimePod> = new Map();
  #told: ReadonlyMap<string, RuntimePod> = new Map();

  constructor(runtime: Runtime, stop: AbortSignal) {
    this.#runtime = runtime;
    this.#stop = stop;
  }

  /** All pods by uid. */
  take(): Promise<ReadonlyMap<string, RuntimePod>> {
    if (!this.#running) return this.#begin();
    this.#next ??= this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  /** The lists that were taken last, for whom a moment's age does not matter. */
  get last(): ReadonlyMap<string, RuntimePod> {
    return this.#last;
  }

  /**
   * Takes the lists and returns the uids of the pods that look different than when this was asked before: whoever took them in between keeps
   * nothing from whoever waits for changes. Not to be asked twice at once.
   */
  async news(): Promise<Set<string>> {
    const after = await this.take();
    const changed = differences(this.#told, after);
    this.#told = after;
    return changed;
  }

  #begin(): Promise<ReadonlyMap<string, RuntimePod>> {
    this.#next = undefined;
    const list = this.#list();
    this.#running = list;
    const clear = (): void => {
      if (this.#running === list) this.#running = undefined;
    };
    list.then(clear, clear);
    return list;
  }

  async #list(): Promise<ReadonlyMap<string, RuntimePod>> {
    // One after the other: a container that is listed has its sandbox listed too, unless it was removed in between.
    const containers = await this.#runtime.listContainers(this.#stop);
    const sandboxes = await this.#runtime.listSandboxes(this.#stop);
    const pods = new Map<string, RuntimePod>();
    const uidOf = new Map<string, string>();
    for (const sandbox of sandboxes) {
      const { podUid: uid, podNamespace: namespace, podName: name } = sandbox;
      const pod = pods.get(uid) ?? { uid, namespace, name, sandboxes: [], containers: [] };
      pod.sandboxes.push(sandbox);
      pods.set(uid, pod);
      uidOf.set(sandbox.id, uid);
    }
    for (const container of containers) pods.get(uidOf.get(container.sandboxId) ?? "")?.containers.push(container);
    for (const pod of pods.values()) {
      pod.sandboxes.sort((a, b) => b.attempt - a.attempt);
      pod.containers.sort((a, b) => b.attempt - a.attempt);
    }
    this.#last = pods;
    return pods;
  }
}

/** The uids of pods that look different in two lists. */
function differences(before: ReadonlyMap<string, RuntimePod>, after: ReadonlyMap<string, RuntimePod>): Set<string> {
  const changed = new Set<string>();
  for (const uid of new Set([...before.keys(), ...after.keys()])) {
    if (outline(before.get(uid)) !== outline(after.get(uid))) changed.add(uid);
  }
  return changed;
}

const outline = (pod: RuntimePod | undefined): string =>
  pod === undefined
    ? ""
    : [...pod.sandboxes.map((s) => `${s.id}=${s.ready}`), ...pod.containers.map((c) => `${c.id}=${c.state}`)].join();
