import { fieldError, type FieldError } from "@skerry/machinery";
import type { Container, Pod, PodSpec, Toleration } from "@skerry/machinery/types";
import { equalJson, equalOrEmpty } from "../../registry/json.ts";

const UPDATABLE = [
  "`spec.containers[*].image`",
  "`spec.initContainers[*].image`",
  "`spec.activeDeadlineSeconds`",
  "`spec.tolerations` (only additions to existing tolerations)",
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
];

/** A pod that is there keeps its spec, but for a few fields. Source: Kubernetes, "Pod update and replacement". */
export function validatePodUpdate(pod: Pod, old: Pod, errors: FieldError[]): void {
  const [spec, was] = [pod.spec ?? ({} as PodSpec), old.spec ?? ({} as PodSpec)];
  if ((spec.containers ?? []).length !== (was.containers ?? []).length) {
    errors.push(fieldError.forbidden("spec.containers", "pod updates may not add or remove containers"));
    return;
  }
  validateDeadline(spec.activeDeadlineSeconds, was.activeDeadlineSeconds, errors);
  validateAddedTolerations(spec.tolerations ?? [], was.tolerations ?? [], errors);
  validateGates(spec, was, errors);

  const kept = maskUpdatable(spec, was);
  const changed = Object.keys({ ...kept, ...was }).filter(
    (field) => !equalOrEmpty(kept[field as keyof PodSpec], was[field as keyof PodSpec]),
  );
  if (changed.length === 0) return;
  const fields = changed.map((field) => `spec.${field}`).join(", ");
  errors.push(
    fieldError.forbidden(
      "spec",
      `pod updates may not change fields other than ${UPDATABLE.join(",")}\nchanged: ${fields}`,
    ),
  );
}

function validateDeadline(deadline: number | undefined, was: number | undefined, errors: FieldError[]): void {
  if (was === undefined) return;
  const path = "spec.activeDeadlineSeconds";
  if (deadline === undefined) {
    errors.push(fieldError.invalid(path, null, "must not update from a positive integer to nil value"));
  } else if (deadline > was) {
    errors.push(fieldError.invalid(path, deadline, "must be less than or equal to previous value"));
  }
}

function validateAddedTolerations(
  tolerations: readonly Toleration[],
  was: readonly Toleration[],
  errors: FieldError[],
): void {
  const isKept = (old: Toleration): boolean =>
    tolerations.some((toleration) => equalJson({ ...toleration, tolerationSeconds: old.tolerationSeconds }, old));
  if (!was.every(isKept)) {
    const detail = "existing toleration can not be modified except its tolerationSeconds";
    errors.push(fieldError.forbidden("spec.tolerations", detail));
  }
}

function validateGates(spec: PodSpec, was: PodSpec, errors: FieldError[]): void {
  const old = new Set(was.schedulingGates?.map(({ name }) => name));
  for (const { name } of spec.schedulingGates ?? []) {
    if (old.has(name)) continue;
    const detail = `only deletion is allowed, but found new scheduling gate '${name}'`;
    errors.push(fieldError.forbidden("spec.schedulingGates", detail));
  }
}

/** The new spec with what may change taken from the old one. */
function maskUpdatable(spec: PodSpec, was: PodSpec): PodSpec {
  const images = (list: Container[] | undefined, old: Container[] | undefined): Container[] | undefined =>
    list?.map((container, i) => {
      const image = old?.[i]?.image;
      return image === undefined ? container : { ...container, image };
    });
  const masked: PodSpec = { ...spec, containers: images(spec.containers, was.containers) ?? [] };
  const initContainers = images(spec.initContainers, was.initContainers);
  if (initContainers) masked.initContainers = initContainers;
  for (const field of ["activeDeadlineSeconds", "tolerations", "schedulingGates"] as const) {
    if (was[field] === undefined) delete masked[field];
    else Object.assign(masked, { [field]: was[field] });
  }
  const { terminationGracePeriodSeconds: grace } = was;
  if (grace !== undefined && grace < 0 && spec.terminationGracePeriodSeconds === 1) {
    masked.terminationGracePeriodSeconds = grace;
  }
  return masked;
}
