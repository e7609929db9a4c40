import {
  fieldError,
  formatSelector,
  matchesSelector,
  selectorOf,
  StatusError,
  unsupportedFields,
  unsupportedText,
  validateAnnotations,
  validateLabels,
  validateLabelSelector,
  type FieldError,
  type LabelSelector,
} from "@skerry/machinery";
import type { PodTemplateSpec } from "@skerry/machinery/types";
import type { Column } from "../api.ts";
import { equalOrEmpty } from "../registry/json.ts";
import { orNone, wideColumn } from "./columns.ts";
import { defaultPodSpec } from "./pod/defaults.ts";
import { nonNegative } from "./pod/validate-container.ts";
import { validatePodSpec } from "./pod/validate.ts";

/** What kinds that make pods from a template have in common. */
interface Workload {
  metadata: object;
  spec?: {
    replicas?: number;
    minReadySeconds?: number;
    selector?: LabelSelector;
    template?: PodTemplateSpec;
  };
}

export function defaultTemplate(template: PodTemplateSpec | undefined): void {
  if (template?.spec) defaultPodSpec(template.spec);
}

/** `kind` as messages name it: `deployment`. */
export function validateWorkload({ spec }: Workload, kind: string, errors: FieldError[]): void {
  nonNegative(spec?.replicas, "spec.replicas", errors);
  nonNegative(spec?.minReadySeconds, "spec.minReadySeconds", errors);
  const { selector, template } = spec ?? {};
  if (!selector) errors.push(fieldError.required("spec.selector"));
  else {
    errors.push(...validateLabelSelector(selector, "spec.selector"));
    if (equalOrEmpty(selector.matchLabels, {}) && (selector.matchExpressions ?? []).length === 0) {
      errors.push(fieldError.invalid("spec.selector", selector, `empty selector is invalid for ${kind}`));
    }
  }
  validateTemplate(template ?? {}, selector, errors);
}

function validateTemplate(template: PodTemplateSpec, selector: LabelSelector | undefined, errors: FieldError[]): void {
  const path = "spec.template";
  const { labels, annotations } = template.metadata ?? {};
  if (selector && !selects(selector, labels)) {
    const detail = "`selector` does not match template `labels`";
    errors.push(fieldError.invalid(`${path}.metadata.labels`, labels ?? {}, detail));
  }
  errors.push(...validateLabels(labels, `${path}.labels`), ...validateAnnotations(annotations, `${path}.annotations`));
  if (!template.spec) {
    errors.push(fieldError.required(`${path}.spec.containers`));
    return;
  }
  validatePodSpec(template.spec, `${path}.spec`, errors);
  const { activeDeadlineSeconds, restartPolicy } = template.spec;
  if (restartPolicy && restartPolicy !== "Always") {
    errors.push(fieldError.notSupported(`${path}.spec.restartPolicy`, restartPolicy, ["Always"]));
  }
  if (activeDeadlineSeconds !== undefined) {
    const detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
    errors.push(fieldError.forbidden(`${path}.spec.activeDeadlineSeconds`, detail));
  }
}

function selects(selector: LabelSelector, labels: Readonly<Record<string, string>> | undefined): boolean {
  try {
    return matchesSelector(selectorOf(selector), labels);
  } catch (error) {
    // A malformed selector is told where it stands.
    if (error instanceof StatusError) return true;
    throw error;
  }
}

export function validateSameSelector({ spec }: Workload, old: Workload, errors: FieldError[]): void {
  if (equalOrEmpty(spec?.selector, old.spec?.selector)) return;
  errors.push(fieldError.invalid("spec.selector", spec?.selector ?? null, "field is immutable"));
}

export const workloadGaps = ({ spec }: Workload): string[] =>
  unsupportedFields(spec?.template ?? {}, "spec.template.spec").map(unsupportedText);

/** The selector as text, for columns and for Scale. */
export function selectorText({ spec }: Workload): string {
  try {
    return spec?.selector ? formatSelector(selectorOf(spec.selector)) : "";
  } catch {
    return "<error>";
  }
}

export const templateColumns: readonly Column[] = [
  wideColumn("Containers", "string", "Names of the containers", (object) => containersOf(object, ({ name }) => name)),
  wideColumn("Images", "string", "What the containers run", (object) =>
    containersOf(object, ({ image }) => image ?? ""),
  ),
  wideColumn("Selector", "string", "Labels of the pods that belong to it", (object) =>
    orNone(selectorText(object as Workload)),
  ),
];

const containersOf = (object: object, text: (container: { name: string; image?: string }) => string): string =>
  ((object as Workload).spec?.template?.spec?.containers ?? []).map(text).join(",");
