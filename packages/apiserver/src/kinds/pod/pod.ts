import { kinds, unsupportedFields, unsupportedText, type Kind } from "@skerry/machinery";
import type { Eviction, Pod } from "@skerry/machinery/types";
import { equalOrEmpty } from "../../registry/json.ts";
import type { ActRow, KindRow } from "../../registry/kind-row.ts";
import { statusView } from "../views.ts";
import { bindingRow } from "./binding.ts";
import { podColumns } from "./columns.ts";
import { defaultPod } from "./defaults.ts";
import { qosClassOf } from "./qos.ts";
import { validatePodUpdate } from "./validate-update.ts";
import { validatePod } from "./validate.ts";

/** `/eviction`: a deletion that may be refused for the good of others. Nothing limits disruptions yet, so none is. */
const eviction: ActRow<Pod> = {
  form: "act",
  name: "eviction",
  verbs: ["create"],
  kind: kinds.Eviction as Kind,
  deletion: (body) => {
    const { dryRun = [], gracePeriodSeconds, preconditions } = (body as Eviction).deleteOptions ?? {};
    return {
      // What `kubectl drain --dry-run=server` sends.
      ...(dryRun.length > 0 && { dryRun: true }),
      ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
      ...(preconditions !== undefined && { preconditions }),
    };
  },
};

const DEFAULT_GRACE_SECONDS = 30;

/** `now` is wall time in milliseconds. */
export const podRow = (now: () => number): KindRow<Pod> => ({
  kind: kinds.Pod,
  columns: podColumns,
  selectable: {
    "spec.nodeName": (pod) => pod.spec?.nodeName ?? "",
    "spec.restartPolicy": (pod) => pod.spec?.restartPolicy ?? "",
    "spec.schedulerName": (pod) => pod.spec?.schedulerName ?? "",
    "spec.serviceAccountName": (pod) => pod.spec?.serviceAccountName ?? "",
    "spec.hostNetwork": (pod) => String(pod.spec?.hostNetwork ?? false),
    "status.phase": (pod) => pod.status?.phase ?? "",
    "status.podIP": (pod) => pod.status?.podIP ?? "",
    "status.podIPs": (pod) => (pod.status?.podIPs ?? []).map(({ ip }) => ip).join(","),
    "status.nominatedNodeName": (pod) => pod.status?.nominatedNodeName ?? "",
  },
  hasStatus: true,
  generation: (draft, old) => !equalOrEmpty(draft.spec, old.spec),
  defaults: defaultPod,
  prepareForCreate: (pod) => {
    pod.status = { phase: "Pending", qosClass: qosClassOf(pod) };
  },
  validate: validatePod,
  validateUpdate: validatePodUpdate,
  unsupported: (pod) => unsupportedFields(pod).map(unsupportedText),
  gracePeriod: (pod, asked) => {
    const phase = pod.status?.phase;
    // Nothing runs that could be stopped gracefully.
    if (!pod.spec?.nodeName || phase === "Succeeded" || phase === "Failed") return 0;
    return asked ?? pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  },
  subresources: [statusView(), bindingRow(now), eviction, { form: "stream", name: "log", verbs: ["get"] }],
});
