import type { Client } from "@skerry/client";
import { isAlreadyExists, isConflict, isNotFound, kinds, type Kind, type KubeObject } from "@skerry/machinery";
import { BOOTSTRAP_BINDINGS, BOOTSTRAP_ROLES, type BootstrapBinding, type BootstrapRole } from "./bootstrap-roles.ts";
import type { BindingObject, RoleObject } from "./role-index.ts";
import { uncovered, type PolicyRule } from "./rules.ts";

const AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate";
const BOOTSTRAPPING = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const GROUP = "rbac.authorization.k8s.io";
/** Another server, or a user, may write at the same time. */
const MAX_TRIES = 5;

/**
 * Makes the roles and bindings that must be there, and gives back to existing ones what they lack. What users added stays; an object whose annotation
 * `rbac.authorization.kubernetes.io/autoupdate` is "false" is left alone.
 */
export async function reconcileBootstrapRoles(client: Client): Promise<void> {
  await Promise.all(BOOTSTRAP_ROLES.map((role) => ensure(client, kinds.ClusterRole, roleObject(role), mendRole)));
  await Promise.all(
    BOOTSTRAP_BINDINGS.map((binding) => ensure(client, kinds.ClusterRoleBinding, bindingObject(binding), mendBinding)),
  );
}

async function ensure<T extends KubeObject>(
  client: Client,
  kind: Kind<KubeObject>,
  wanted: T,
  /** The object with what it lacked, or `undefined` when it lacks nothing. */
  mend: (found: T, wanted: T) => T | undefined,
): Promise<void> {
  const key = { namespace: "", name: wanted.metadata.name ?? "" };
  for (let tries = 1; ; tries++) {
    try {
      const found = (await client.get(kind, key)).decode() as T;
      if (found.metadata.annotations?.[AUTOUPDATE] === "false") return;
      const mended = mend(found, wanted);
      if (mended) await client.update(kind, mended);
      return;
    } catch (error) {
      if (!isNotFound(error)) {
        if (isConflict(error) && tries < MAX_TRIES) continue;
        throw error;
      }
    }
    try {
      await client.create(kind, wanted);
      return;
    } catch (error) {
      if (!isAlreadyExists(error) || tries >= MAX_TRIES) throw error;
    }
  }
}

function roleObject({ name, labels, rules, aggregates }: BootstrapRole): RoleObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: "ClusterRole",
    metadata: { name, labels: { ...BOOTSTRAPPING, ...labels }, annotations: { [AUTOUPDATE]: "true" } },
    ...(aggregates && {
      aggregationRule: {
        clusterRoleSelectors: aggregates.map((label) => ({ matchLabels: { [label]: "true" } })),
      },
    }),
    rules: [...rules],
  };
}

function bindingObject({ name, role, subjects }: BootstrapBinding): BindingObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name, labels: BOOTSTRAPPING, annotations: { [AUTOUPDATE]: "true" } },
    roleRef: { apiGroup: GROUP, kind: "ClusterRole", name: role },
    subjects: subjects.map((subject) => ({ apiGroup: GROUP, ...subject })),
  };
}

function mendRole(found: RoleObject, wanted: RoleObject): RoleObject | undefined {
  const missing: PolicyRule[] = uncovered(found.rules ?? [], wanted.rules ?? []);
  const labels = { ...found.metadata.labels, ...wanted.metadata.labels };
  const isLabelled = Object.keys(labels).length === Object.keys(found.metadata.labels ?? {}).length;
  if (missing.length === 0 && isLabelled) return undefined;
  return { ...found, metadata: { ...found.metadata, labels }, rules: [...(found.rules ?? []), ...missing] };
}

function mendBinding(found: BindingObject, wanted: BindingObject): BindingObject | undefined {
  const has = found.subjects ?? [];
  const missing = (wanted.subjects ?? []).filter(
    (subject) => !has.some(({ kind, name }) => kind === subject.kind && name === subject.name),
  );
  return missing.length === 0 ? undefined : { ...found, subjects: [...has, ...missing] };
}
