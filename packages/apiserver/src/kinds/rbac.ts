import {
  checkDns1123Subdomain,
  checkPathSegmentName,
  fieldError,
  kinds,
  validateLabelSelector,
  type FieldError,
} from "@skerry/machinery";
import type {
  AggregationRule,
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from "@skerry/machinery/types";
import type { Column } from "../api.ts";
import { equalJson } from "../registry/json.ts";
import type { KindRow } from "../registry/kind-row.ts";
import { addInvalid, at } from "../registry/metadata.ts";
import { AGE, column, CREATED_AT, wideColumn } from "./columns.ts";

const GROUP = "rbac.authorization.k8s.io";
const SERVICE_ACCOUNT = "ServiceAccount";

export const roleRow: KindRow<Role> = {
  kind: kinds.Role,
  columns: [CREATED_AT],
  name: checkPathSegmentName,
  validate: ({ rules }, errors) => validateRules(rules ?? [], true, errors),
};

export const clusterRoleRow: KindRow<ClusterRole> = {
  kind: kinds.ClusterRole,
  columns: [CREATED_AT],
  name: checkPathSegmentName,
  validate: ({ aggregationRule, rules }, errors) => {
    validateRules(rules ?? [], false, errors);
    if (aggregationRule) validateAggregation(aggregationRule, errors);
  },
};

export const roleBindingRow: KindRow<RoleBinding> = {
  kind: kinds.RoleBinding,
  columns: bindingColumns(),
  name: checkPathSegmentName,
  defaults: defaultBinding,
  validate: (binding, errors) => {
    validateRoleRef(binding.roleRef, ["ClusterRole", "Role"], errors);
    validateSubjects(binding.subjects ?? [], true, errors);
  },
  validateUpdate: validateSameRole,
};

export const clusterRoleBindingRow: KindRow<ClusterRoleBinding> = {
  kind: kinds.ClusterRoleBinding,
  columns: bindingColumns(),
  name: checkPathSegmentName,
  defaults: defaultBinding,
  validate: (binding, errors) => {
    validateRoleRef(binding.roleRef, ["ClusterRole"], errors);
    validateSubjects(binding.subjects ?? [], false, errors);
  },
  validateUpdate: validateSameRole,
};

type AnyBinding = RoleBinding | ClusterRoleBinding;

function bindingColumns(): Column[] {
  const named = ({ subjects = [] }: AnyBinding, kind: string): string =>
    subjects
      .filter((subject) => subject.kind === kind)
      .map(({ name, namespace }) => (kind === SERVICE_ACCOUNT ? `${namespace ?? ""}/${name}` : name))
      .join(", ");
  return [
    column<AnyBinding>("Role", "string", "The role that is given", ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
    AGE,
    wideColumn<AnyBinding>("Users", "string", "Users that it is given to", (binding) => named(binding, "User")),
    wideColumn<AnyBinding>("Groups", "string", "Groups that it is given to", (binding) => named(binding, "Group")),
    wideColumn<AnyBinding>("ServiceAccounts", "string", "Service accounts that it is given to", (binding) =>
      named(binding, SERVICE_ACCOUNT),
    ),
  ];
}

function defaultBinding(binding: AnyBinding): void {
  binding.roleRef ??= { apiGroup: GROUP, kind: "", name: "" };
  binding.roleRef.apiGroup ||= GROUP;
  for (const subject of binding.subjects ?? []) {
    if (subject.kind === "User" || subject.kind === "Group") subject.apiGroup ||= GROUP;
  }
}

function validateRules(rules: readonly PolicyRule[], namespaced: boolean, errors: FieldError[]): void {
  for (const [i, { apiGroups = [], nonResourceURLs = [], resources = [], verbs = [] }] of rules.entries()) {
    const here = at("rules", i);
    if (verbs.length === 0) errors.push(fieldError.required(`${here}.verbs`, "verbs must contain at least one value"));
    if (nonResourceURLs.length > 0) {
      if (namespaced) {
        const detail = "namespaced rules cannot apply to non-resource URLs";
        errors.push(fieldError.invalid(`${here}.nonResourceURLs`, nonResourceURLs, detail));
      }
      if (apiGroups.length > 0 || resources.length > 0) {
        const detail = "rules cannot apply to both regular resources and non-resource URLs";
        errors.push(fieldError.invalid(`${here}.nonResourceURLs`, nonResourceURLs, detail));
      }
      continue;
    }
    if (apiGroups.length === 0) {
      errors.push(fieldError.required(`${here}.apiGroups`, "resource rules must supply at least one api group"));
    }
    if (resources.length === 0) {
      errors.push(fieldError.required(`${here}.resources`, "resource rules must supply at least one resource"));
    }
  }
}

function validateAggregation({ clusterRoleSelectors = [] }: AggregationRule, errors: FieldError[]): void {
  const path = "aggregationRule.clusterRoleSelectors";
  if (clusterRoleSelectors.length === 0) {
    const detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
    errors.push(fieldError.required(path, detail));
  }
  for (const [i, selector] of clusterRoleSelectors.entries()) {
    errors.push(...validateLabelSelector(selector, at(path, i)));
  }
}

function validateRoleRef({ apiGroup, kind, name }: RoleRef, roleKinds: readonly string[], errors: FieldError[]): void {
  if (apiGroup !== GROUP) errors.push(fieldError.notSupported("roleRef.apiGroup", apiGroup, [GROUP]));
  if (!roleKinds.includes(kind)) errors.push(fieldError.notSupported("roleRef.kind", kind, roleKinds));
  if (!name) errors.push(fieldError.required("roleRef.name"));
  else addInvalid(errors, "roleRef.name", name, checkPathSegmentName(name));
}

function validateSubjects(subjects: readonly Subject[], namespaced: boolean, errors: FieldError[]): void {
  for (const [i, { apiGroup = "", kind, name, namespace }] of subjects.entries()) {
    const here = at("subjects", i);
    if (!name) errors.push(fieldError.required(`${here}.name`));
    switch (kind) {
      case SERVICE_ACCOUNT:
        if (name) addInvalid(errors, `${here}.name`, name, checkDns1123Subdomain(name));
        if (apiGroup !== "") errors.push(fieldError.notSupported(`${here}.apiGroup`, apiGroup, [""]));
        if (!namespaced && !namespace) errors.push(fieldError.required(`${here}.namespace`));
        break;
      case "User":
      case "Group":
        if (apiGroup !== GROUP) errors.push(fieldError.notSupported(`${here}.apiGroup`, apiGroup, [GROUP]));
        break;
      default:
        errors.push(fieldError.notSupported(`${here}.kind`, kind ?? "", ["Group", SERVICE_ACCOUNT, "User"]));
    }
  }
}

function validateSameRole({ roleRef }: AnyBinding, old: AnyBinding, errors: FieldError[]): void {
  if (!equalJson(roleRef, old.roleRef)) errors.push(fieldError.invalid("roleRef", roleRef, "cannot change roleRef"));
}
