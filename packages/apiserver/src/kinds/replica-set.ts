import { kinds } from "@skerry/machinery";
import type { ReplicaSet } from "@skerry/machinery/types";
import { equalOrEmpty } from "../registry/json.ts";
import type { KindRow } from "../registry/kind-row.ts";
import { AGE, column } from "./columns.ts";
import { scaleView, statusView } from "./views.ts";
import {
  defaultTemplate,
  selectorText,
  templateColumns,
  validateSameSelector,
  validateWorkload,
  workloadGaps,
} from "./workload.ts";

export const replicaSetRow: KindRow<ReplicaSet> = {
  kind: kinds.ReplicaSet,
  columns: [
    column<ReplicaSet>("Desired", "integer", "How many pods are wanted", ({ spec }) => spec?.replicas ?? 0),
    column<ReplicaSet>("Current", "integer", "How many pods there are", ({ status }) => status?.replicas ?? 0),
    column<ReplicaSet>("Ready", "integer", "How many pods are ready", ({ status }) => status?.readyReplicas ?? 0),
    AGE,
    ...templateColumns,
  ],
  selectable: { "status.replicas": ({ status }) => String(status?.replicas ?? 0) },
  hasStatus: true,
  generation: (draft, old) => !equalOrEmpty(draft.spec, old.spec),
  defaults: ({ spec }) => {
    if (!spec) return;
    spec.replicas ??= 1;
    defaultTemplate(spec.template);
  },
  prepareForCreate: (set) => {
    set.status = { replicas: 0 };
  },
  validate: (set, errors) => validateWorkload(set, "replicaset", errors),
  validateUpdate: validateSameSelector,
  unsupported: (set) =>
    // What its Deployment's author was told already needn't be said to the controller.
    (set.metadata.ownerReferences ?? []).some(({ controller }) => controller) ? [] : workloadGaps(set),
  subresources: [scaleView<ReplicaSet>(selectorText), statusView()],
};
