import {
  checkDns1123Label,
  checkDns1123Subdomain,
  checkLabelValue,
  checkQualifiedName,
  fieldError,
  validateLabels,
  type FieldError,
} from "@skerry/machinery";
import type { Pod, PodSpec, Toleration } from "@skerry/machinery/types";
import { addInvalid, at } from "../../registry/metadata.ts";
import { nonNegative, oneOf, validateContainers } from "./validate-container.ts";
import { validateDns, validateIp } from "./validate-dns.ts";
import { validatePodSecurity } from "./validate-security.ts";
import { validateVolumes } from "./validate-volume.ts";

/** Source: Kubernetes API reference, Pod; the words are upstream's. */
export function validatePod(pod: Pod, errors: FieldError[]): void {
  if (!pod.spec) {
    errors.push(fieldError.required("spec.containers"));
    return;
  }
  validatePodSpec(pod.spec, "spec", errors);
}

/** The part that holds for pod templates too; `path` is where the spec stands. */
export function validatePodSpec(spec: PodSpec, path: string, errors: FieldError[]): void {
  const volumes = validateVolumes(spec.volumes ?? [], `${path}.volumes`, errors);
  const context = { volumes, hostNetwork: spec.hostNetwork === true, errors };
  if ((spec.containers ?? []).length === 0) errors.push(fieldError.required(`${path}.containers`));
  validateContainers(spec.containers ?? [], `${path}.containers`, context);
  if (spec.initContainers) {
    validateContainers(spec.initContainers, `${path}.initContainers`, context);
    const names = new Set(spec.containers?.map(({ name }) => name));
    for (const [i, { name }] of spec.initContainers.entries()) {
      if (names.has(name)) errors.push(fieldError.duplicate(at(`${path}.initContainers`, i, "name"), name));
    }
  }
  oneOf(spec.restartPolicy, ["Always", "Never", "OnFailure"], `${path}.restartPolicy`, errors);
  validateDns(spec, path, errors);
  validatePodSecurity(spec, path, errors);
  nonNegative(spec.terminationGracePeriodSeconds, `${path}.terminationGracePeriodSeconds`, errors);
  const { activeDeadlineSeconds } = spec;
  if (activeDeadlineSeconds !== undefined && (activeDeadlineSeconds < 1 || activeDeadlineSeconds > 2 ** 31 - 1)) {
    const detail = "must be between 1 and 2147483647, inclusive";
    errors.push(fieldError.invalid(`${path}.activeDeadlineSeconds`, activeDeadlineSeconds, detail));
  }
  errors.push(...validateLabels(spec.nodeSelector, `${path}.nodeSelector`));
  for (const field of ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] as const) {
    const name = spec[field];
    if (name) addInvalid(errors, `${path}.${field}`, name, checkDns1123Subdomain(name));
  }
  for (const field of ["hostname", "subdomain"] as const) {
    const name = spec[field];
    if (name) addInvalid(errors, `${path}.${field}`, name, checkDns1123Label(name));
  }
  validateTolerations(spec.tolerations ?? [], `${path}.tolerations`, errors);
  for (const [i, { ip, hostnames = [] }] of (spec.hostAliases ?? []).entries()) {
    const here = at(`${path}.hostAliases`, i);
    validateIp(ip ?? "", `${here}.ip`, errors);
    for (const [j, name] of hostnames.entries()) {
      addInvalid(errors, at(`${here}.hostnames`, j), name, checkDns1123Subdomain(name));
    }
  }
  for (const [i, { name }] of (spec.imagePullSecrets ?? []).entries()) {
    if (!name) errors.push(fieldError.required(at(`${path}.imagePullSecrets`, i, "name")));
  }
}

const EFFECTS = ["NoExecute", "NoSchedule", "PreferNoSchedule"];

function validateTolerations(tolerations: readonly Toleration[], path: string, errors: FieldError[]): void {
  for (const [i, { key, operator, value, effect, tolerationSeconds }] of tolerations.entries()) {
    const here = at(path, i);
    if (key) addInvalid(errors, `${here}.key`, key, checkQualifiedName(key));
    else if (operator !== "Exists") {
      const detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      errors.push(fieldError.invalid(`${here}.operator`, operator ?? "", detail));
    }
    if (tolerationSeconds !== undefined && effect !== "NoExecute") {
      const detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      errors.push(fieldError.invalid(`${here}.effect`, effect ?? "", detail));
    }
    if (!operator || operator === "Equal")
      addInvalid(errors, `${here}.operator`, value ?? "", checkLabelValue(value ?? ""));
    else if (operator === "Exists") {
      if (value) {
        const detail = "value must be empty when `operator` is 'Exists'";
        errors.push(fieldError.invalid(`${here}.operator`, tolerations[i], detail));
      }
    } else errors.push(fieldError.notSupported(`${here}.operator`, operator, ["Equal", "Exists"]));
    if (effect) oneOf(effect, EFFECTS, `${here}.effect`, errors);
  }
}
