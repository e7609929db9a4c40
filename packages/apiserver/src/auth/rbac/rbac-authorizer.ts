import { silentLogger, type Clock, type Logger } from "@skerry/base";
import { Informer, type Client } from "@skerry/client";
import { forbidden, kinds, notFound, type Kind, type KubeObject, type ObjectKey } from "@skerry/machinery";
import type { UserInfo } from "../../request.ts";
import { MASTERS } from "../authenticator.ts";
import type { Attributes, Authorizer, Decision } from "../authorizer.ts";
import { RoleIndex, type BindingObject, type RoleObject, type RoleRef } from "./role-index.ts";
import { ruleAllows, showRule, uncovered, type PolicyRule } from "./rules.ts";

const GROUP = "rbac.authorization.k8s.io";
/** Decisions remembered for one user; beyond that they are worked out again. */
const MAX_DECISIONS = 512;
const DENIED: Decision = { allowed: false, reason: "" };

/**
 * Decides by roles and bindings (Kubernetes RBAC), which it watches. Decisions are remembered until any of them changes.
 * Until `synced` it allows nobody but `system:masters`.
 */
export class RbacAuthorizer implements Authorizer, AsyncDisposable {
  readonly #index = new RoleIndex();
  readonly #log: Logger;
  readonly #informers: Informer<KubeObject>[] = [];
  #decisions = new WeakMap<UserInfo, Map<string, Decision>>();
  #synced = false;

  constructor({ log = silentLogger }: { log?: Logger } = {}) {
    this.#log = log;
  }

  /** Begins to watch, and resolves once all roles and bindings are known. `client` must be allowed to read them without this authorizer. */
  async start(client: Client, clock?: Clock): Promise<void> {
    const watch = <T extends KubeObject>(
      kind: Kind<KubeObject>,
      put: (key: ObjectKey, object: T | undefined) => void,
    ): void => {
      const informer = new Informer<KubeObject>({ client, kind, log: this.#log, ...(clock && { clock }) });
      informer.onChange((key, current) => {
        put(key, current?.decode() as T | undefined);
        this.#decisions = new WeakMap();
      });
      informer.start();
      this.#informers.push(informer);
    };
    watch<RoleObject>(kinds.Role, (key, role) => this.#index.putRole("Role", key, role));
    watch<RoleObject>(kinds.ClusterRole, (key, role) => this.#index.putRole("ClusterRole", key, role));
    watch<BindingObject>(kinds.RoleBinding, (key, binding) => this.#index.putBinding(key, binding));
    watch<BindingObject>(kinds.ClusterRoleBinding, (key, binding) => this.#index.putBinding(key, binding));
    await Promise.all(this.#informers.map((informer) => informer.synced));
    this.#synced = true;
  }

  get synced(): boolean {
    return this.#synced;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer[Symbol.asyncDispose]()));
  }

  authorize(user: UserInfo, attributes: Attributes): Decision {
    if (user.groups.includes(MASTERS)) return { allowed: true, reason: `group ${MASTERS}` };
    let known = this.#decisions.get(user);
    if (known === undefined || known.size >= MAX_DECISIONS) {
      known = new Map();
      this.#decisions.set(user, known);
    }
    const key = keyOf(attributes);
    let decision = known.get(key);
    if (decision === undefined) {
      decision = this.#decide(user, attributes);
      known.set(key, decision);
    }
    return decision;
  }

  /** Everything that a user may do in a namespace and everywhere: what `kubectl auth can-i --list` shows. */
  rulesFor(user: UserInfo, namespace: string): PolicyRule[] {
    if (user.groups.includes(MASTERS)) return [...EVERYTHING];
    const rules: PolicyRule[] = [];
    for (const grant of this.#index.grantsOf(user, namespace))
      rules.push(...this.#index.rulesOf(grant.roleRef, grant.namespace));
    return rules;
  }

  /**
   * Throws Forbidden when `user` would give rights that he has not himself (Kubernetes RBAC, "privilege escalation prevention").
   * `role` is the Role or ClusterRole to be written.
   */
  checkEscalation(user: UserInfo, role: { kind: Kind; key: ObjectKey; rules: readonly PolicyRule[] }): void {
    const { kind, key, rules } = role;
    const escalate = attributesOf("escalate", kind.resource, key);
    if (this.authorize(user, escalate).allowed) return;
    this.#demandRules(user, kind, key, rules);
  }

  /**
   * Throws Forbidden unless `user` may give away the role that a binding names: by the verb `bind` on it, or by having its rights himself.
   * Throws NotFound to whoever would have to have its rights when there is no such role: nobody knows what it will give.
   */
  checkBinding(user: UserInfo, binding: { kind: Kind; key: ObjectKey; roleRef: RoleRef }): void {
    const { kind, key, roleRef } = binding;
    const roleKind = roleRef.kind === "ClusterRole" ? kinds.ClusterRole : kinds.Role;
    const bind = attributesOf("bind", roleKind.resource, { namespace: key.namespace, name: roleRef.name });
    if (this.authorize(user, bind).allowed) return;
    if (!this.#index.has(roleRef, key.namespace)) throw notFound(roleKind, roleRef.name);
    this.#demandRules(user, kind, key, this.#index.rulesOf(roleRef, key.namespace));
  }

  #demandRules(user: UserInfo, kind: Kind, key: ObjectKey, wanted: readonly PolicyRule[]): void {
    const missing = uncovered(this.rulesFor(user, key.namespace), wanted);
    if (missing.length === 0) return;
    const groups = user.groups.map((group) => JSON.stringify(group)).join(" ");
    throw forbidden(
      kind,
      key.name,
      `user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n` +
        missing.slice(0, 20).map(showRule).join("\n"),
    );
  }

  #decide(user: UserInfo, attributes: Attributes): Decision {
    const namespace = "path" in attributes ? "" : attributes.namespace;
    for (const grant of this.#index.grantsOf(user, namespace)) {
      const rules = this.#index.rulesOf(grant.roleRef, grant.namespace);
      if (!rules.some((rule) => ruleAllows(rule, attributes))) continue;
      const { kind, name } = grant.roleRef;
      return { allowed: true, reason: `RBAC: allowed by ${grant.binding} of ${kind} ${JSON.stringify(name)}` };
    }
    return DENIED;
  }
}

const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

const attributesOf = (verb: string, resource: string, { namespace, name }: ObjectKey): Attributes => ({
  verb,
  group: GROUP,
  resource,
  subresource: "",
  namespace,
  name,
});

function keyOf(attributes: Attributes): string {
  if ("path" in attributes) return `${attributes.verb} ${attributes.path}`;
  const { verb, group, resource, subresource, namespace, name } = attributes;
  return `${verb}\n${group}\n${resource}\n${subresource}\n${namespace}\n${name}`;
}
