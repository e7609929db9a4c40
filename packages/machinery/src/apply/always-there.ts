import type { Definition } from "../schema.ts";

/**
 * Fields that upstream's types always have, besides those that the schema requires: structs held by value, times, and
 * what is encoded even when it is zero. In managedFields of an Update such a field belongs to whoever made the object
 * that it is in, even if nobody wrote it, and nobody takes it by writing nothing.
 * Facts of k8s.io/api v0.35, listed from its types by `test/oracles/apply/always/main.go`.
 */
const ALWAYS: Readonly<Record<string, readonly string[]>> = {
  "apps.v1.ControllerRevision": ["data"],
  "apps.v1.DaemonSetCondition": ["lastTransitionTime"],
  "apps.v1.DaemonSetSpec": ["updateStrategy"],
  "apps.v1.DeploymentCondition": ["lastTransitionTime", "lastUpdateTime"],
  "apps.v1.DeploymentSpec": ["strategy"],
  "apps.v1.ReplicaSetCondition": ["lastTransitionTime"],
  "apps.v1.ReplicaSetSpec": ["template"],
  "apps.v1.StatefulSetCondition": ["lastTransitionTime"],
  "apps.v1.StatefulSetOrdinals": ["start"],
  "apps.v1.StatefulSetSpec": ["serviceName", "updateStrategy"],
  "apps.v1.StatefulSetStatus": ["availableReplicas"],
  "authentication.v1.TokenRequestSpec": ["audiences", "boundObjectRef", "expirationSeconds"],
  "authentication.v1.TokenRequestStatus": ["expirationTimestamp", "token"],
  "authentication.v1.TokenReviewStatus": ["user"],
  "batch.v1.JobCondition": ["lastProbeTime", "lastTransitionTime"],
  "batch.v1.PodFailurePolicyOnPodConditionsPattern": ["status"],
  "core.v1.AzureFilePersistentVolumeSource": ["secretNamespace"],
  "core.v1.Container": ["resources"],
  "core.v1.ContainerImage": ["names"],
  "core.v1.ContainerStateRunning": ["startedAt"],
  "core.v1.ContainerStateTerminated": ["finishedAt", "startedAt"],
  "core.v1.ContainerStatus": ["lastState", "state"],
  "core.v1.EphemeralContainer": ["resources"],
  "core.v1.Event": [
    "eventTime",
    "firstTimestamp",
    "lastTimestamp",
    "reportingComponent",
    "reportingInstance",
    "source",
  ],
  "core.v1.EventSeries": ["lastObservedTime"],
  "core.v1.GRPCAction": ["service"],
  "core.v1.NamespaceCondition": ["lastTransitionTime"],
  "core.v1.NodeCondition": ["lastHeartbeatTime", "lastTransitionTime"],
  "core.v1.NodeDaemonEndpoints": ["kubeletEndpoint"],
  "core.v1.NodeRuntimeHandler": ["name"],
  "core.v1.NodeStatus": ["daemonEndpoints", "nodeInfo"],
  "core.v1.PersistentVolumeClaimCondition": ["lastProbeTime", "lastTransitionTime"],
  "core.v1.PersistentVolumeClaimSpec": ["resources"],
  "core.v1.PodCondition": ["lastProbeTime", "lastTransitionTime"],
  "core.v1.PodTemplate": ["template"],
  "core.v1.ProjectedVolumeSource": ["sources"],
  "core.v1.ReplicationControllerCondition": ["lastTransitionTime"],
  "core.v1.ResourceFieldSelector": ["divisor"],
  "core.v1.ServicePort": ["targetPort"],
  "core.v1.ServiceStatus": ["loadBalancer"],
  "core.v1.TypedLocalObjectReference": ["apiGroup"],
  "core.v1.TypedObjectReference": ["apiGroup"],
  "discovery.v1.Endpoint": ["conditions"],
  "discovery.v1.EndpointSlice": ["endpoints", "ports"],
  "events.v1.Event": ["deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedSource", "regarding"],
  "policy.v1.PodDisruptionBudgetStatus": ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"],
  "rbac.v1.ClusterRole": ["rules"],
  "rbac.v1.Role": ["rules"],
  "rbac.v1.RoleRef": ["apiGroup"],
};

/** Every object of a built-in kind has these, as far as its kind knows them. */
const OF_OBJECTS: readonly string[] = ["metadata", "spec", "status"];
const BUILT_IN = "io.k8s.api.";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/** The names of fields that objects of a definition have whether or not anybody wrote them. */
export function alwaysThere(definition: Definition): readonly string[] {
  const { name, fields } = definition;
  if (!name.startsWith(BUILT_IN) && !name.startsWith(META)) return [];
  const names = new Set(ALWAYS[name.slice(BUILT_IN.length)]);
  for (const [field, { required }] of fields) if (required) names.add(field);
  if (fields.has("metadata")) for (const field of OF_OBJECTS) if (fields.has(field)) names.add(field);
  return [...names];
}
