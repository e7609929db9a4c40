import { matchesSelector, selectorOf, type KubeObject, type LabelSelector, type ObjectKey } from "@skerry/machinery";
import type { UserInfo } from "../../request.ts";
import type { PolicyRule } from "./rules.ts";

/** rbac/v1 `Role` and `ClusterRole`. */
export interface RoleObject extends KubeObject {
  rules?: PolicyRule[] | null;
  aggregationRule?: { clusterRoleSelectors?: LabelSelector[] };
}

/** rbac/v1 `RoleBinding` and `ClusterRoleBinding`. */
export interface BindingObject extends KubeObject {
  subjects?: { kind: string; name: string; namespace?: string }[] | null;
  roleRef: RoleRef;
}

export interface RoleRef {
  readonly apiGroup?: string;
  readonly kind: string;
  readonly name: string;
}

/** A role that a subject has been given. */
export interface Grant {
  /** Where it holds; "" for everywhere. */
  readonly namespace: string;
  readonly roleRef: RoleRef;
  /** Names the binding in explanations. */
  readonly binding: string;
}

/** Roles by name and grants by subject, so that a decision looks only at what concerns its user. */
export class RoleIndex {
  readonly #roles = new Map<string, RoleObject>();
  readonly #grants = new Map<string, Map<string, Grant>>();
  readonly #subjects = new Map<string, readonly string[]>();
  /** The rules of roles that are made of others, found when they are needed. */
  readonly #aggregated = new Map<string, readonly PolicyRule[]>();

  putRole(kind: "Role" | "ClusterRole", key: ObjectKey, role: RoleObject | undefined): void {
    const id = roleId(kind, key.namespace, key.name);
    if (role) this.#roles.set(id, role);
    else this.#roles.delete(id);
    this.#aggregated.clear();
  }

  putBinding(key: ObjectKey, binding: BindingObject | undefined): void {
    const id = `${key.namespace}/${key.name}`;
    for (const subject of this.#subjects.get(id) ?? []) {
      const grants = this.#grants.get(subject);
      grants?.delete(id);
      if (grants?.size === 0) this.#grants.delete(subject);
    }
    this.#subjects.delete(id);
    if (!binding) return;
    const kind = key.namespace === "" ? "ClusterRoleBinding" : "RoleBinding";
    const grant: Grant = {
      namespace: key.namespace,
      roleRef: binding.roleRef,
      binding: `${kind} ${JSON.stringify(key.namespace === "" ? key.name : `${key.name}/${key.namespace}`)}`,
    };
    const subjects = (binding.subjects ?? []).flatMap((subject) => subjectIds(subject, key.namespace));
    this.#subjects.set(id, subjects);
    for (const subject of subjects) {
      const grants = this.#grants.get(subject);
      if (grants) grants.set(id, grant);
      else this.#grants.set(subject, new Map([[id, grant]]));
    }
  }

  /** What a user has been given, everywhere or in one namespace. */
  *grantsOf(user: UserInfo, namespace: string): Generator<Grant> {
    yield* this.#grantsOfSubject(`user ${user.name}`, namespace);
    for (const group of user.groups) yield* this.#grantsOfSubject(`group ${group}`, namespace);
  }

  has({ kind, name }: RoleRef, namespace: string): boolean {
    return this.#roles.has(roleId(kind, namespace, name));
  }

  /** The rules of a role; none when there is no such role, as long as there is none. */
  rulesOf({ kind, name }: RoleRef, namespace: string): readonly PolicyRule[] {
    const id = roleId(kind, namespace, name);
    const role = this.#roles.get(id);
    if (!role?.aggregationRule) return role?.rules ?? [];
    let rules = this.#aggregated.get(id);
    if (rules === undefined) {
      rules = [...(role.rules ?? []), ...this.#selected(role.aggregationRule.clusterRoleSelectors ?? [], role)];
      this.#aggregated.set(id, rules);
    }
    return rules;
  }

  *#grantsOfSubject(subject: string, namespace: string): Generator<Grant> {
    for (const grant of this.#grants.get(subject)?.values() ?? []) {
      if (grant.namespace === "" || grant.namespace === namespace) yield grant;
    }
  }

  #selected(selectors: readonly LabelSelector[], self: RoleObject): PolicyRule[] {
    const parsed = selectors.map(selectorOf);
    const rules: PolicyRule[] = [];
    for (const [id, role] of this.#roles) {
      if (role === self || !id.startsWith("ClusterRole ")) continue;
      const labels = role.metadata.labels ?? {};
      if (parsed.some((selector) => matchesSelector(selector, labels))) rules.push(...(role.rules ?? []));
    }
    return rules;
  }
}

const roleId = (kind: string, namespace: string, name: string): string =>
  kind === "ClusterRole" ? `ClusterRole ${name}` : `Role ${namespace}/${name}`;

function subjectIds(subject: { kind: string; name: string; namespace?: string }, namespace: string): string[] {
  switch (subject.kind) {
    case "User":
      return [`user ${subject.name}`];
    case "Group":
      return [`group ${subject.name}`];
    case "ServiceAccount":
      return [`user system:serviceaccount:${subject.namespace ?? namespace}:${subject.name}`];
    default:
      return [];
  }
}
