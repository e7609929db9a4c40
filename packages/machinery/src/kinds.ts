import type {
  Binding,
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  Deployment,
  Event,
  Eviction,
  Lease,
  LocalSubjectAccessReview,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Role,
  RoleBinding,
  Scale,
  Secret,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  ServiceAccount,
  SubjectAccessReview,
  TokenRequest,
  TokenReview,
} from "./gen/types.ts";
import type { Kind } from "./kind.ts";
import type { KubeObject } from "./object.ts";

/** What a row says beyond the usual: the plural of its name, no short names, no categories, namespaced. */
interface Particulars {
  shortNames?: readonly string[];
  categories?: readonly string[];
  clusterScoped?: boolean;
}

function kind<T extends KubeObject>(
  group: string,
  version: string,
  name: string,
  resource: string,
  { shortNames = [], categories = [], clusterScoped = false }: Particulars = {},
): Kind<T> {
  return {
    group,
    version,
    kind: name,
    resource,
    singular: name.toLowerCase(),
    namespaced: !clusterScoped,
    shortNames,
    categories,
    schema: `io.k8s.api.${group === "" ? "core" : (group.split(".")[0] ?? "")}.${version}.${name}`,
  };
}

const RBAC = "rbac.authorization.k8s.io";
const AUTHENTICATION = "authentication.k8s.io";
const AUTHORIZATION = "authorization.k8s.io";

/** The kinds that Skerry's own code names. What the API serves is a matter of its registry. */
export const kinds = {
  Namespace: kind<Namespace>("", "v1", "Namespace", "namespaces", { shortNames: ["ns"], clusterScoped: true }),
  Node: kind<Node>("", "v1", "Node", "nodes", { shortNames: ["no"], clusterScoped: true }),
  Pod: kind<Pod>("", "v1", "Pod", "pods", { shortNames: ["po"], categories: ["all"] }),
  ConfigMap: kind<ConfigMap>("", "v1", "ConfigMap", "configmaps", { shortNames: ["cm"] }),
  Secret: kind<Secret>("", "v1", "Secret", "secrets"),
  ServiceAccount: kind<ServiceAccount>("", "v1", "ServiceAccount", "serviceaccounts", { shortNames: ["sa"] }),
  Event: kind<Event>("", "v1", "Event", "events", { shortNames: ["ev"] }),
  Binding: kind<Binding>("", "v1", "Binding", "bindings"),
  Deployment: kind<Deployment>("apps", "v1", "Deployment", "deployments", {
    shortNames: ["deploy"],
    categories: ["all"],
  }),
  ReplicaSet: kind<ReplicaSet>("apps", "v1", "ReplicaSet", "replicasets", { shortNames: ["rs"], categories: ["all"] }),
  Lease: kind<Lease>("coordination.k8s.io", "v1", "Lease", "leases"),
  Role: kind<Role>(RBAC, "v1", "Role", "roles"),
  ClusterRole: kind<ClusterRole>(RBAC, "v1", "ClusterRole", "clusterroles", { clusterScoped: true }),
  RoleBinding: kind<RoleBinding>(RBAC, "v1", "RoleBinding", "rolebindings"),
  ClusterRoleBinding: kind<ClusterRoleBinding>(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", {
    clusterScoped: true,
  }),
  Scale: kind<Scale>("autoscaling", "v1", "Scale", "scales"),
  Eviction: kind<Eviction>("policy", "v1", "Eviction", "evictions"),
  TokenRequest: kind<TokenRequest>(AUTHENTICATION, "v1", "TokenRequest", "tokenrequests"),
  TokenReview: kind<TokenReview>(AUTHENTICATION, "v1", "TokenReview", "tokenreviews", { clusterScoped: true }),
  SelfSubjectReview: kind<SelfSubjectReview>(AUTHENTICATION, "v1", "SelfSubjectReview", "selfsubjectreviews", {
    clusterScoped: true,
  }),
  SelfSubjectAccessReview: kind<SelfSubjectAccessReview>(
    AUTHORIZATION,
    "v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    { clusterScoped: true },
  ),
  SubjectAccessReview: kind<SubjectAccessReview>(AUTHORIZATION, "v1", "SubjectAccessReview", "subjectaccessreviews", {
    clusterScoped: true,
  }),
  LocalSubjectAccessReview: kind<LocalSubjectAccessReview>(
    AUTHORIZATION,
    "v1",
    "LocalSubjectAccessReview",
    "localsubjectaccessreviews",
  ),
  SelfSubjectRulesReview: kind<SelfSubjectRulesReview>(
    AUTHORIZATION,
    "v1",
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    { clusterScoped: true },
  ),
} as const;
