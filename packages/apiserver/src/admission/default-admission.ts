import type { Storage } from "../storage.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import { privilegeEscalation, type EscalationCheck } from "./privilege-escalation.ts";
import { edgeTolerations, priority, serviceAccount } from "./pod-defaults.ts";

/**
 * What every write goes through, in order. Not among them: limits and quotas, whose kinds aren't served, and
 * OwnerReferencesPermissionEnforcement: who may update an object may name its owners.
 */
export const defaultAdmission = (storage: Pick<Storage, "get">, escalation: EscalationCheck): AdmissionPlugin[] => [
  namespaceLifecycle(storage),
  serviceAccount(storage),
  edgeTolerations(),
  priority(),
  privilegeEscalation(escalation),
];
