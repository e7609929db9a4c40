import { fieldError, kinds, type FieldError } from "@skerry/machinery";
import type { Deployment } from "@skerry/machinery/types";
import { equalOrEmpty } from "../registry/json.ts";
import type { KindRow } from "../registry/kind-row.ts";
import { AGE, column } from "./columns.ts";
import { nonNegative, oneOf } from "./pod/validate-container.ts";
import { scaleView, statusView } from "./views.ts";
import {
  defaultTemplate,
  selectorText,
  templateColumns,
  validateSameSelector,
  validateWorkload,
  workloadGaps,
} from "./workload.ts";

export const deploymentRow: KindRow<Deployment> = {
  kind: kinds.Deployment,
  columns: [
    column<Deployment>(
      "Ready",
      "string",
      "How many of the wanted pods are ready",
      ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    ),
    column<Deployment>(
      "Up-to-date",
      "integer",
      "How many pods are made from the newest template",
      ({ status }) => status?.updatedReplicas ?? 0,
    ),
    column<Deployment>(
      "Available",
      "integer",
      "How many pods were ready for long enough",
      ({ status }) => status?.availableReplicas ?? 0,
    ),
    AGE,
    ...templateColumns,
  ],
  hasStatus: true,
  // A change of annotations is rolled out too, into the annotations of the ReplicaSets.
  generation: (draft, old) =>
    !equalOrEmpty(draft.spec, old.spec) || !equalOrEmpty(draft.metadata.annotations, old.metadata.annotations),
  defaults: ({ spec }) => {
    if (!spec) return;
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    spec.strategy ??= {};
    spec.strategy.type ||= "RollingUpdate";
    if (spec.strategy.type === "RollingUpdate") {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= "25%";
      spec.strategy.rollingUpdate.maxSurge ??= "25%";
    }
    defaultTemplate(spec.template);
  },
  validate: (deployment, errors) => {
    validateWorkload(deployment, "deployment", errors);
    validateRollout(deployment, errors);
  },
  validateUpdate: validateSameSelector,
  unsupported: workloadGaps,
  subresources: [scaleView<Deployment>(selectorText), statusView()],
};

function validateRollout({ spec }: Deployment, errors: FieldError[]): void {
  if (!spec) return;
  nonNegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit", errors);
  nonNegative(spec.progressDeadlineSeconds, "spec.progressDeadlineSeconds", errors);
  if (spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)) {
    const detail = "must be greater than minReadySeconds";
    errors.push(fieldError.invalid("spec.progressDeadlineSeconds", spec.progressDeadlineSeconds, detail));
  }

  const path = "spec.strategy";
  const { type, rollingUpdate } = spec.strategy ?? {};
  oneOf(type, ["Recreate", "RollingUpdate"], `${path}.type`, errors);
  if (type === "Recreate" && rollingUpdate) {
    const detail = "may not be specified when strategy `type` is 'Recreate'";
    errors.push(fieldError.forbidden(`${path}.rollingUpdate`, detail));
  }
  if (type !== "RollingUpdate" || !rollingUpdate) return;
  const { maxSurge, maxUnavailable } = rollingUpdate;
  const surge = validateShare(maxSurge, `${path}.rollingUpdate.maxSurge`, errors);
  const unavailable = validateShare(maxUnavailable, `${path}.rollingUpdate.maxUnavailable`, errors);
  if (surge === 0 && unavailable === 0) {
    const detail = "may not be 0 when `maxSurge` is 0";
    errors.push(fieldError.invalid(`${path}.rollingUpdate.maxUnavailable`, maxUnavailable ?? 0, detail));
  }
  if (typeof maxUnavailable === "string" && unavailable !== undefined && unavailable > 100) {
    errors.push(
      fieldError.invalid(`${path}.rollingUpdate.maxUnavailable`, maxUnavailable, "must not be greater than 100%"),
    );
  }
}

/** A count or a percentage; its number, or undefined when it is malformed. */
function validateShare(share: number | string | undefined, path: string, errors: FieldError[]): number | undefined {
  if (typeof share === "string") {
    if (/^[0-9]+%$/.test(share)) return Number(share.slice(0, -1));
    const detail =
      "a valid percent string must be a numeric string followed by an ending '%' " +
      "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
    errors.push(fieldError.invalid(path, share, detail));
    return undefined;
  }
  nonNegative(share, path, errors);
  return share ?? 0;
}
