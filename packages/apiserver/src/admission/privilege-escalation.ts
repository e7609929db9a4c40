import { kinds, type Kind, type ObjectKey } from "@skerry/machinery";
import type { ClusterRole, PolicyRule, Role, RoleBinding, RoleRef } from "@skerry/machinery/types";
import { equalOrEmpty } from "../registry/json.ts";
import type { UserInfo } from "../request.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./admission.ts";

/** Throws Forbidden when a user would give rights that he may not give. The RBAC authorizer is one. */
export interface EscalationCheck {
  checkEscalation(user: UserInfo, role: { kind: Kind; key: ObjectKey; rules: readonly PolicyRule[] }): void;
  checkBinding(user: UserInfo, binding: { kind: Kind; key: ObjectKey; roleRef: RoleRef }): void;
}

const ROLES: readonly Kind[] = [kinds.Role, kinds.ClusterRole];
const BINDINGS: readonly Kind[] = [kinds.RoleBinding, kinds.ClusterRoleBinding];

/** Who writes the rules of roles that are made of others may become anything. */
const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/** Nobody gives rights away that he has not. Source: Kubernetes, "Using RBAC Authorization", privilege escalation prevention. */
export const privilegeEscalation = (check: EscalationCheck): AdmissionPlugin => ({
  name: "PrivilegeEscalation",
  admit: (request) => {
    if (request.operation === "DELETE") return;
    if (ROLES.includes(request.row.kind)) checkRole(check, request);
    else if (BINDINGS.includes(request.row.kind)) checkBinding(check, request);
  },
});

function checkRole(check: EscalationCheck, { context, key, object, old, row }: AdmissionRequest): void {
  const [role, was] = [object as Role & ClusterRole, old as (Role & ClusterRole) | undefined];
  const aggregates = !equalOrEmpty(role.aggregationRule, was?.aggregationRule);
  // Metadata alone gives nothing to anybody.
  if (was && !aggregates && equalOrEmpty(role.rules, was.rules)) return;
  const rules = aggregates ? [...(role.rules ?? []), ...EVERYTHING] : (role.rules ?? []);
  check.checkEscalation(context.user, { kind: row.kind, key, rules });
}

function checkBinding(check: EscalationCheck, { context, key, object, old, row }: AdmissionRequest): void {
  const [binding, was] = [object as RoleBinding, old as RoleBinding | undefined];
  if (was && equalOrEmpty(binding.roleRef, was.roleRef) && equalOrEmpty(binding.subjects, was.subjects)) return;
  check.checkBinding(context.user, { kind: row.kind, key, roleRef: binding.roleRef });
}
