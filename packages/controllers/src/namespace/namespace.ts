import { systemClock, timestamp, type Clock, type Requeue } from "@skerry/base";
import type { Client, Informer } from "@skerry/client";
import { kinds, type Kind, type ObjectKey } from "@skerry/machinery";
import type { ConfigMap, Namespace, NamespaceCondition, ServiceAccount } from "@skerry/machinery/types";
import { Controller, type Surroundings } from "../controller.ts";
import { unlessChanged, unlessThere } from "../writes.ts";

export interface NamespaceControllerOptions extends Surroundings {
  /** Every namespaced kind that can be listed and deleted. */
  contents: readonly Kind[];
  /** What pods check the API's certificate with, PEM; published in each namespace. */
  rootCa: string;
}

const ROOT_CA_NAME = "kube-root-ca.crt";
/** How soon to look again whether what was deleted is gone, at first and at last, in milliseconds: what a node must end first may take days. */
const LOOK_AGAIN_MS = 500;
const LOOK_AGAIN_MAX_MS = 10_000;
/** How many objects are deleted at once. */
const AT_ONCE = 32;

/** Gives each namespace its `default` service account and the API's CA, and empties one that is deleted before it goes. */
export class NamespaceController implements AsyncDisposable {
  readonly #client: Client;
  readonly #namespaces: Informer<Namespace>;
  readonly #accounts: Informer<ServiceAccount>;
  readonly #configMaps: Informer<ConfigMap>;
  readonly #contents: readonly Kind[];
  readonly #rootCa: string;
  readonly #clock: Clock;
  readonly #controller: Controller;

  constructor(options: NamespaceControllerOptions) {
    this.#client = options.client;
    this.#namespaces = options.informers.of(kinds.Namespace);
    this.#accounts = options.informers.of(kinds.ServiceAccount);
    this.#configMaps = options.informers.of(kinds.ConfigMap);
    this.#contents = options.contents;
    this.#rootCa = options.rootCa;
    this.#clock = options.clock ?? systemClock;
    this.#controller = new Controller({
      ...options,
      name: "namespace",
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
  }

  start(): void {
    const ofNamespace = ({ namespace }: ObjectKey): void =>
      this.#controller.enqueue({ namespace: "", name: namespace });
    this.#controller.start(
      this.#namespaces.onChange((key) => this.#controller.enqueue(key)),
      this.#accounts.onChange((key, current) => {
        if (key.name === "default" && !current) ofNamespace(key);
      }),
      this.#configMaps.onChange((key, _current, previous) => {
        if (key.name === ROOT_CA_NAME && previous) ofNamespace(key);
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#controller[Symbol.asyncDispose]();
  }

  async #reconcile(key: ObjectKey, signal: AbortSignal): Promise<Requeue | void> {
    const namespace = this.#namespaces.get(key)?.decode();
    if (!namespace) return;
    if (namespace.metadata.deletionTimestamp !== undefined) return this.#empty(namespace, signal);
    await this.#furnish(key.name, signal);
  }

  async #furnish(namespace: string, signal: AbortSignal): Promise<void> {
    if (!this.#accounts.get({ namespace, name: "default" })) {
      await unlessThere(
        this.#client.create(kinds.ServiceAccount, { metadata: { name: "default", namespace } } as ServiceAccount, {
          signal,
        }),
      );
    }
    const published = this.#configMaps.get({ namespace, name: ROOT_CA_NAME })?.decode();
    if (published?.data?.["ca.crt"] === this.#rootCa) return;
    const wanted: ConfigMap = {
      metadata: {
        name: ROOT_CA_NAME,
        namespace,
        annotations: { "kubernetes.io/description": "The certificate authority of this cluster's API server" },
      },
      data: { "ca.crt": this.#rootCa },
    } as ConfigMap;
    await (published
      ? this.#client.update(kinds.ConfigMap, wanted, { signal })
      : unlessThere(this.#client.create(kinds.ConfigMap, wanted, { signal })));
  }

  /** Deletes what is in the namespace; once nothing is left, lets the namespace go. */
  async #empty(namespace: Namespace, signal: AbortSignal): Promise<Requeue | void> {
    const name = namespace.metadata.name ?? "";
    const left = new Map<string, number>();
    const failures: string[] = [];
    for (const kind of this.#contents) {
      try {
        const { items } = await this.#client.list(kind, { namespace: name, signal });
        if (items.length > 0) left.set(kind.resource, items.length);
        const present = items.filter((item) => item.decode().metadata.deletionTimestamp === undefined);
        for (let done = 0; done < present.length; done += AT_ONCE) {
          const batch = present.slice(done, done + AT_ONCE);
          const deletion = { propagationPolicy: "Background", signal } as const;
          await Promise.all(batch.map((item) => unlessChanged(this.#client.delete(kind, item.key, deletion))));
        }
      } catch (error) {
        signal.throwIfAborted();
        failures.push(`${kind.resource}: ${(error as Error).message}`);
      }
    }
    if (left.size === 0 && failures.length === 0) {
      const finalized = {
        ...namespace,
        spec: {
          ...namespace.spec,
          finalizers: (namespace.spec?.finalizers ?? []).filter((each) => each !== "kubernetes"),
        },
      };
      if (finalized.spec.finalizers.length === namespace.spec?.finalizers?.length) return;
      await unlessChanged(this.#client.update(kinds.Namespace, finalized, { subresource: "finalize", signal }));
      return;
    }
    await this.#tell(namespace, left, failures, signal);
    const sinceMs = this.#clock.now() - Date.parse(namespace.metadata.deletionTimestamp ?? "");
    return { requeueAfterMs: Math.min(Math.max(LOOK_AGAIN_MS, sinceMs / 4), LOOK_AGAIN_MAX_MS) };
  }

  /** Says in the namespace's conditions what keeps it. */
  async #tell(
    namespace: Namespace,
    left: ReadonlyMap<string, number>,
    failures: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const now = timestamp(this.#clock.now());
    const before = namespace.status?.conditions ?? [];
    const condition = (type: string, isTrue: boolean, reason: string, message: string): NamespaceCondition => {
      const status = isTrue ? "True" : "False";
      const old = before.find((each) => each.type === type);
      const since = old?.status === status ? (old.lastTransitionTime ?? now) : now;
      return { type, status, reason, message, lastTransitionTime: since };
    };
    const rest = [...left].map(([resource, count]) => `${resource}. has ${count} resource instances`).join(", ");
    const conditions = [
      condition(
        "NamespaceDeletionContentFailure",
        failures.length > 0,
        failures.length > 0 ? "ContentDeletionFailed" : "ContentDeleted",
        failures.length > 0
          ? `Failed to delete all resource types, ${failures.length} remaining: ${failures.join("; ")}`
          : "All content successfully deleted, may be waiting on finalization",
      ),
      condition(
        "NamespaceContentRemaining",
        left.size > 0,
        left.size > 0 ? "SomeResourcesRemain" : "ContentRemoved",
        left.size > 0 ? `Some resources are remaining: ${rest}` : "All content successfully removed",
      ),
    ];
    if (JSON.stringify(conditions) === JSON.stringify(before)) return;
    await this.#client.patch(
      kinds.Namespace,
      { namespace: "", name: namespace.metadata.name ?? "" },
      { type: "merge-patch+json", body: { status: { conditions } } },
      { subresource: "status", signal },
    );
  }
}
