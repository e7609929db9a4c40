import { fieldError, type FieldError } from "@skerry/machinery";
import type { PodSpec, SecurityContext } from "@skerry/machinery/types";
import { at } from "../../registry/metadata.ts";

/** Runtimes keep ids in 32 bits: a larger one could come out as root's. */
const MAX_ID = 2 ** 31 - 1;
const GROUP_POLICIES = ["Always", "OnRootMismatch"];

function validateId(id: number | undefined, path: string, errors: FieldError[]): void {
  if (id === undefined || (id >= 0 && id <= MAX_ID)) return;
  errors.push(fieldError.invalid(path, id, `must be between 0 and ${MAX_ID}, inclusive`));
}

/** Source: Kubernetes API reference, PodSecurityContext; the words are upstream's. */
export function validatePodSecurity(spec: PodSpec, path: string, errors: FieldError[]): void {
  if (spec.hostPID && spec.shareProcessNamespace) {
    const detail = "ShareProcessNamespace and HostPID cannot both be enabled";
    errors.push(fieldError.invalid(`${path}.shareProcessNamespace`, true, detail));
  }
  const { securityContext: security } = spec;
  if (!security) return;
  const here = `${path}.securityContext`;
  validateId(security.fsGroup, `${here}.fsGroup`, errors);
  validateId(security.runAsUser, `${here}.runAsUser`, errors);
  validateId(security.runAsGroup, `${here}.runAsGroup`, errors);
  for (const [i, group] of (security.supplementalGroups ?? []).entries()) {
    validateId(group, at(`${here}.supplementalGroups`, i), errors);
  }
  const { fsGroupChangePolicy: policy } = security;
  if (policy !== undefined && !GROUP_POLICIES.includes(policy)) {
    errors.push(fieldError.notSupported(`${here}.fsGroupChangePolicy`, policy, GROUP_POLICIES));
  }
  validateSysctls(spec, `${here}.sysctls`, errors);
}

const MAX_SYSCTL_LENGTH = 253;
const SYSCTL = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const sysctlPattern = new RegExp(`^${SYSCTL}$`);

function validateSysctls({ securityContext }: PodSpec, path: string, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [i, { name }] of (securityContext?.sysctls ?? []).entries()) {
    const here = at(path, i, "name");
    if (!name) errors.push(fieldError.required(here));
    else if (name.length > MAX_SYSCTL_LENGTH || !sysctlPattern.test(name)) {
      const detail = `must have at most ${MAX_SYSCTL_LENGTH} characters and match regex ^${SYSCTL}$`;
      errors.push(fieldError.invalid(here, name, detail));
    } else if (names.has(name)) errors.push(fieldError.duplicate(here, name));
    names.add(name);
  }
}

/** Source: Kubernetes API reference, SecurityContext; the words are upstream's. */
export function validateContainerSecurity(security: SecurityContext, path: string, errors: FieldError[]): void {
  validateId(security.runAsUser, `${path}.runAsUser`, errors);
  validateId(security.runAsGroup, `${path}.runAsGroup`, errors);
  if (security.allowPrivilegeEscalation !== false) return;
  const contradicts = (what: string): void => {
    const detail = `cannot set \`allowPrivilegeEscalation\` to false and ${what}`;
    errors.push(fieldError.invalid(path, security, detail));
  };
  if (security.privileged) contradicts("`privileged` to true");
  if (security.capabilities?.add?.includes("CAP_SYS_ADMIN")) contradicts("`capabilities.Add` CAP_SYS_ADMIN");
}
