import type { PolicyRule } from "./rules.ts";

/** A ClusterRole that is there from the start. */
export interface BootstrapRole {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly rules: readonly PolicyRule[];
  /** The labels of the roles that it is made of, besides its own rules. */
  readonly aggregates?: readonly string[];
}

/** A ClusterRoleBinding that is there from the start. */
export interface BootstrapBinding {
  readonly name: string;
  readonly role: string;
  readonly subjects: readonly { kind: "User" | "Group"; name: string }[];
}

const READ = ["get", "list", "watch"];
const WRITE = ["create", "delete", "deletecollection", "patch", "update"];
const ALL = [...WRITE, ...READ].sort();
const RBAC = "rbac.authorization.k8s.io";
const AUTHORIZATION = "authorization.k8s.io";
const AUTHENTICATION = "authentication.k8s.io";
const COORDINATION = "coordination.k8s.io";

/** The label by which further roles join `admin`, `edit` and `view`. */
const aggregateTo = (name: string): string => `${RBAC}/aggregate-to-${name}`;

const on = (group: string, resources: readonly string[], verbs: readonly string[]): PolicyRule => ({
  verbs,
  apiGroups: [group],
  resources,
});
const atPaths = (...nonResourceURLs: string[]): PolicyRule => ({ verbs: ["get"], nonResourceURLs });

const CORE_WORK = ["configmaps", "events", "persistentvolumeclaims", "pods", "replicationcontrollers", "services"];
const APPS = ["daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets"];

const VIEW: readonly PolicyRule[] = [
  on("", [...CORE_WORK, "serviceaccounts"], READ),
  on("", ["pods/log", "pods/status", "namespaces", "namespaces/status", "resourcequotas", "limitranges"], READ),
  on("apps", [...APPS, "deployments/status", "replicasets/status", "controllerrevisions"], READ),
  on("batch", ["cronjobs", "jobs"], READ),
  on(COORDINATION, ["leases"], READ),
];

const EDIT: readonly PolicyRule[] = [
  on("", [...CORE_WORK, "secrets", "serviceaccounts"], WRITE),
  on("", ["secrets"], READ),
  on("", ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy"], ["get", ...WRITE]),
  on("", ["pods/eviction", "serviceaccounts/token"], ["create"]),
  on("", ["serviceaccounts"], ["impersonate"]),
  on("apps", [...APPS, "deployments/rollback"], WRITE),
  on("batch", ["cronjobs", "jobs"], WRITE),
  on(COORDINATION, ["leases"], WRITE),
];

const ADMIN: readonly PolicyRule[] = [
  on(AUTHORIZATION, ["localsubjectaccessreviews"], ["create"]),
  on(RBAC, ["rolebindings", "roles"], ALL),
];

/**
 * The ClusterRoles that users of Kubernetes expect, and those that our own parts work with. Source: Kubernetes documentation,
 * "Using RBAC Authorization", default roles; cut down to what is served here.
 */
export const BOOTSTRAP_ROLES: readonly BootstrapRole[] = [
  {
    name: "cluster-admin",
    rules: [on("*", ["*"], ["*"]), { verbs: ["*"], nonResourceURLs: ["*"] }],
  },
  { name: "admin", rules: [...ADMIN, ...EDIT, ...VIEW], aggregates: [aggregateTo("admin")] },
  {
    name: "edit",
    labels: { [aggregateTo("admin")]: "true" },
    rules: [...EDIT, ...VIEW],
    aggregates: [aggregateTo("edit")],
  },
  {
    name: "view",
    labels: { [aggregateTo("edit")]: "true" },
    rules: VIEW,
    aggregates: [aggregateTo("view")],
  },
  {
    name: "system:discovery",
    rules: [
      atPaths(
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
      ),
    ],
  },
  {
    name: "system:public-info-viewer",
    rules: [atPaths("/healthz", "/livez", "/readyz", "/version", "/version/")],
  },
  {
    name: "system:basic-user",
    rules: [
      on(AUTHORIZATION, ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
      on(AUTHENTICATION, ["selfsubjectreviews"], ["create"]),
    ],
  },
  {
    name: "system:monitoring",
    rules: [atPaths("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/*", "/readyz", "/readyz/*")],
  },
  {
    name: "system:service-account-issuer-discovery",
    rules: [atPaths("/.well-known/openid-configuration", "/openid/v1/jwks")],
  },
  {
    name: "system:auth-delegator",
    rules: [on(AUTHENTICATION, ["tokenreviews"], ["create"]), on(AUTHORIZATION, ["subjectaccessreviews"], ["create"])],
  },
  {
    // For kubelets of others; an edge of ours has no credentials of the API at all.
    name: "system:node",
    rules: [
      on("", ["configmaps", "secrets", "services"], READ),
      on("", ["nodes"], ["create", ...READ, "patch", "update"]),
      on("", ["nodes/status", "pods/status"], ["patch", "update"]),
      on("", ["pods"], ["create", "delete", ...READ]),
      on("", ["pods/eviction", "serviceaccounts/token"], ["create"]),
      on("", ["events"], ["create", "patch", "update"]),
      on(COORDINATION, ["leases"], ["create", "delete", "get", "patch", "update"]),
      on(AUTHENTICATION, ["tokenreviews"], ["create"]),
      on(AUTHORIZATION, ["localsubjectaccessreviews", "subjectaccessreviews"], ["create"]),
    ],
  },
  {
    name: "system:kube-controller-manager",
    rules: [
      // Garbage collection and the end of a namespace concern objects of every kind, those of later kinds too.
      on("*", ["*"], ["delete", "deletecollection", ...READ, "patch", "update"]),
      on("", ["configmaps", "events", "namespaces", "pods", "secrets", "serviceaccounts"], ["create"]),
      on("", ["serviceaccounts/token"], ["create"]),
      on("apps", ["replicasets", "controllerrevisions"], ["create"]),
      on(COORDINATION, ["leases"], ["create"]),
    ],
  },
  {
    name: "system:kube-scheduler",
    rules: [
      on("", ["namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "services"], READ),
      on("", ["pods"], ["delete", ...READ]),
      on("", ["bindings", "pods/binding"], ["create"]),
      on("", ["pods/status"], ["patch", "update"]),
      on("", ["events"], ["create", "patch", "update"]),
      on("apps", ["replicasets", "statefulsets"], READ),
      on(COORDINATION, ["leases"], ["create", "get", "patch", "update"]),
    ],
  },
  {
    name: "system:skerry-hub",
    rules: [
      on("", ["nodes"], ["create", ...READ, "patch", "update"]),
      on("", ["nodes/status", "pods/status"], ["patch", "update"]),
      on("", ["pods"], ["delete", ...READ]),
      on("", ["configmaps", "namespaces", "serviceaccounts"], READ),
      // Join tokens are Secrets of its own in kube-system, and pods need theirs wherever they are.
      on("", ["secrets"], ["create", "delete", ...READ, "patch", "update"]),
      on("", ["events"], ["create", "get", "patch", "update"]),
      on(COORDINATION, ["leases"], ["create", "delete", ...READ, "patch", "update"]),
    ],
  },
];

const group = (name: string): { kind: "Group"; name: string } => ({ kind: "Group", name });
const user = (name: string): { kind: "User"; name: string } => ({ kind: "User", name });

export const BOOTSTRAP_BINDINGS: readonly BootstrapBinding[] = [
  { name: "cluster-admin", role: "cluster-admin", subjects: [group("system:masters")] },
  { name: "system:discovery", role: "system:discovery", subjects: [group("system:authenticated")] },
  { name: "system:basic-user", role: "system:basic-user", subjects: [group("system:authenticated")] },
  {
    name: "system:public-info-viewer",
    role: "system:public-info-viewer",
    subjects: [group("system:authenticated"), group("system:unauthenticated")],
  },
  { name: "system:monitoring", role: "system:monitoring", subjects: [group("system:monitoring")] },
  {
    name: "system:service-account-issuer-discovery",
    role: "system:service-account-issuer-discovery",
    subjects: [group("system:serviceaccounts")],
  },
  { name: "system:node", role: "system:node", subjects: [group("system:nodes")] },
  {
    name: "system:kube-controller-manager",
    role: "system:kube-controller-manager",
    subjects: [user("system:kube-controller-manager")],
  },
  { name: "system:kube-scheduler", role: "system:kube-scheduler", subjects: [user("system:kube-scheduler")] },
  { name: "system:skerry-hub", role: "system:skerry-hub", subjects: [user("system:skerry-hub")] },
];
