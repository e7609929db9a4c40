import { forbidden, kinds } from "@skerry/machinery";
import type { Pod, Toleration } from "@skerry/machinery/types";
import type { Storage } from "../storage.ts";
import type { AdmissionPlugin } from "./admission.ts";

/** What a new pod gets that depends on the cluster. */

const isNewPod = ({ operation, row, subresource }: Parameters<AdmissionPlugin["admit"]>[0]): boolean =>
  operation === "CREATE" && subresource === "" && row.kind === kinds.Pod;

/**
 * A pod runs as a service account: `default` unless it names another, which must be there. Its token isn't mounted yet, so
 * that a namespace's `default` account may still be on its way.
 */
export const serviceAccount = (storage: Pick<Storage, "get">): AdmissionPlugin => ({
  name: "ServiceAccount",
  admit: (request) => {
    if (!isNewPod(request)) return;
    const { spec, metadata } = request.object as Pod;
    if (!spec) return;
    const name = spec.serviceAccountName || "default";
    spec.serviceAccountName = spec.serviceAccount = name;
    if (name === "default") return;
    const { namespace } = request.key;
    if (storage.get("serviceaccounts", { namespace, name })) return;
    const why = `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`;
    throw forbidden(request.row.kind, metadata.name ?? "", why);
  },
});

const EDGE_TAINTS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/**
 * An edge decides alone: its pods tolerate without end that nobody sees it. Every node of this control plane is an edge, so every pod
 * gets these tolerations, unless it says itself for how long it tolerates them. Upstream's default is 300 s.
 */
export const edgeTolerations = (): AdmissionPlugin => ({
  name: "EdgeTolerations",
  admit: (request) => {
    if (!isNewPod(request)) return;
    const { spec } = request.object as Pod;
    if (!spec) return;
    const tolerations = spec.tolerations ?? [];
    const missing = EDGE_TAINTS.filter((key) => !tolerations.some((toleration) => covers(toleration, key)));
    if (missing.length === 0) return;
    spec.tolerations = [
      ...tolerations,
      ...missing.map((key): Toleration => ({ key, operator: "Exists", effect: "NoExecute" })),
    ];
  },
});

const covers = ({ key, effect }: Toleration, taint: string): boolean =>
  (!key || key === taint) && (!effect || effect === "NoExecute");

/** Every pod has priority 0 unless its author says otherwise, in vain: priority classes aren't served yet. */
export const priority = (): AdmissionPlugin => ({
  name: "Priority",
  admit: (request) => {
    if (!isNewPod(request)) return;
    const { spec } = request.object as Pod;
    if (!spec) return;
    spec.priority ??= 0;
    spec.preemptionPolicy ??= "PreemptLowerPriority";
  },
});
