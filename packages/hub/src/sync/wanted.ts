import type { Informer, Informers } from "@skerry/client";
import { keyString, kinds, type Kind, type KubeObject, type ObjectKey } from "@skerry/machinery";
import type { ConfigMap, Node, Pod, Secret } from "@skerry/machinery/types";
import { objectId, type ObjectName } from "@skerry/wire";
import { Projections, type Projection } from "./projection.ts";
import { referencesOf } from "./references.ts";

/** Told that what a node should have under this name may have changed. */
export type WantedListener = (node: string, name: ObjectName) => void;

const BY_NODE = "node";
const BY_CONFIG_MAP = "configmaps";
const BY_SECRET = "secrets";

/**
 * What each node should hold: its own Node, the pods bound to it, and the ConfigMaps and Secrets that those refer to. Nothing is computed
 * ahead: `of` looks at the live copies and answers for now, so that asking late, twice or too often is all the same.
 */
export class Wanted {
  readonly #nodes: Informer<Node>;
  readonly #pods: Informer<Pod>;
  readonly #configMaps: Informer<ConfigMap>;
  readonly #secrets: Informer<Secret>;
  readonly #projections = new Projections();
  readonly #listeners = new Set<WantedListener>();
  readonly #ends: (() => void)[] = [];

  constructor(informers: Informers) {
    this.#nodes = informers.of(kinds.Node);
    this.#pods = informers.of(kinds.Pod);
    this.#configMaps = informers.of(kinds.ConfigMap);
    this.#secrets = informers.of(kinds.Secret);
    this.#pods.addIndex(BY_NODE, (pod) => (pod.spec?.nodeName ? [pod.spec.nodeName] : []));
    this.#pods.addIndex(BY_CONFIG_MAP, (pod) => (pod.spec?.nodeName ? referencesOf(pod).configMaps : []));
    this.#pods.addIndex(BY_SECRET, (pod) => (pod.spec?.nodeName ? referencesOf(pod).secrets : []));
  }

  start(): void {
    this.#ends.push(
      this.#nodes.onChange(({ name }) => this.#tell(name, { resource: "nodes", namespace: "", name })),
      this.#pods.onChange((key, current, previous) => {
        if (this.#listeners.size === 0) return;
        const now = current?.decode();
        const before = previous?.decode();
        for (const node of new Set([now?.spec?.nodeName, before?.spec?.nodeName])) {
          if (node === undefined) continue;
          // What a pod needs arrives before the pod, so that it never starts without.
          for (const pod of [now, before]) if (pod) this.#tellReferences(node, pod);
          this.#tell(node, { resource: "pods", ...key });
        }
      }),
      this.#configMaps.onChange((key) => this.#tellUsers(BY_CONFIG_MAP, key)),
      this.#secrets.onChange((key) => this.#tellUsers(BY_SECRET, key)),
    );
  }

  stop(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  /** Everything is here that existed at the start. Before that nothing may be concluded from an absence. */
  get isSynced(): boolean {
    return [this.#nodes, this.#pods, this.#configMaps, this.#secrets].every((informer) => informer.isSynced);
  }

  onChange(listener: WantedListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** What `node` should hold under a name; undefined: nothing. */
  of(node: string, name: ObjectName): Projection | undefined {
    switch (name.resource) {
      case "nodes":
        return name.name === node ? this.#project(this.#nodes, kinds.Node, name) : undefined;
      case "pods":
        return this.#pods.get(name)?.decode().spec?.nodeName === node
          ? this.#project(this.#pods, kinds.Pod, name)
          : undefined;
      case "configmaps":
        return this.#isUsed(BY_CONFIG_MAP, name, node)
          ? this.#project(this.#configMaps, kinds.ConfigMap, name)
          : undefined;
      case "secrets":
        return this.#isUsed(BY_SECRET, name, node) ? this.#project(this.#secrets, kinds.Secret, name) : undefined;
      default:
        return undefined;
    }
  }

  /** The names of everything that a node should hold, what is needed before who needs it. */
  namesFor(node: string): ObjectName[] {
    const names = new Map<string, ObjectName>();
    const add = (name: ObjectName): void => void names.set(objectId(name), name);
    add({ resource: "nodes", namespace: "", name: node });
    const pods = [...this.#pods.byIndex(BY_NODE, node)];
    for (const pod of pods) for (const name of referenceNames(pod.decode())) add(name);
    for (const { key } of pods) add({ resource: "pods", ...key });
    return [...names.values()];
  }

  #project<T extends KubeObject>(informer: Informer<T>, kind: Kind<T>, key: ObjectKey): Projection | undefined {
    const encoded = informer.get(key);
    return encoded && this.#projections.of(kind, encoded);
  }

  #isUsed(index: string, key: ObjectKey, node: string): boolean {
    for (const pod of this.#pods.byIndex(index, keyString(key))) {
      if (pod.decode().spec?.nodeName === node) return true;
    }
    return false;
  }

  #tellUsers(index: "configmaps" | "secrets", { namespace, name }: ObjectKey): void {
    if (this.#listeners.size === 0) return;
    const nodes = new Set<string>();
    for (const pod of this.#pods.byIndex(index, `${namespace}/${name}`)) {
      const node = pod.decode().spec?.nodeName;
      if (node) nodes.add(node);
    }
    for (const node of nodes) this.#tell(node, { resource: index, namespace, name });
  }

  #tellReferences(node: string, pod: Pod): void {
    for (const name of referenceNames(pod)) this.#tell(node, name);
  }

  #tell(node: string, name: ObjectName): void {
    for (const listener of this.#listeners) listener(node, name);
  }
}

function referenceNames(pod: Pod): ObjectName[] {
  const { configMaps, secrets } = referencesOf(pod);
  const nameOf = (resource: string, key: string): ObjectName => {
    const slash = key.indexOf("/");
    return { resource, namespace: key.slice(0, slash), name: key.slice(slash + 1) };
  };
  return [...configMaps.map((key) => nameOf("configmaps", key)), ...secrets.map((key) => nameOf("secrets", key))];
}
