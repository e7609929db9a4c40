import type { Definition } from "../schema.ts";

/**
 * Fields that upstream's types always have, if only empty: structs held by value, and lists and maps that are encoded
 * even when nil. In managedFields of an Update such a field has no owner of its own, because it was there before.
 * Facts of k8s.io/api v0.35, listed from its types by `test/oracles/apply/always/main.go`.
 */
const ALWAYS: Readonly<Record<string, readonly string[]>> = {
  "admissionregistration.v1.MutatingWebhook": ["admissionReviewVersions", "clientConfig"],
  "admissionregistration.v1.ValidatingWebhook": ["admissionReviewVersions", "clientConfig"],
  "apps.v1.DaemonSetSpec": ["template", "updateStrategy"],
  "apps.v1.DeploymentSpec": ["strategy", "template"],
  "apps.v1.ReplicaSetSpec": ["template"],
  "apps.v1.StatefulSetSpec": ["template", "updateStrategy"],
  "authentication.v1.TokenRequestSpec": ["audiences"],
  "authentication.v1.TokenReviewStatus": ["user"],
  "autoscaling.v1.HorizontalPodAutoscalerSpec": ["scaleTargetRef"],
  "batch.v1.CronJobSpec": ["jobTemplate"],
  "batch.v1.JobSpec": ["template"],
  "batch.v1.PodFailurePolicy": ["rules"],
  "batch.v1.PodFailurePolicyOnExitCodesRequirement": ["values"],
  "batch.v1.SuccessPolicy": ["rules"],
  "core.v1.Binding": ["target"],
  "core.v1.CephFSPersistentVolumeSource": ["monitors"],
  "core.v1.CephFSVolumeSource": ["monitors"],
  "core.v1.Container": ["resources"],
  "core.v1.ContainerImage": ["names"],
  "core.v1.ContainerStatus": ["lastState", "state"],
  "core.v1.EphemeralContainer": ["resources"],
  "core.v1.Event": ["involvedObject", "source"],
  "core.v1.LimitRangeSpec": ["limits"],
  "core.v1.NodeDaemonEndpoints": ["kubeletEndpoint"],
  "core.v1.NodeSelector": ["nodeSelectorTerms"],
  "core.v1.NodeStatus": ["daemonEndpoints", "nodeInfo"],
  "core.v1.PersistentVolumeClaimSpec": ["resources"],
  "core.v1.PodExtendedResourceClaimStatus": ["requestMappings"],
  "core.v1.PodSpec": ["containers"],
  "core.v1.PodTemplate": ["template"],
  "core.v1.PreferredSchedulingTerm": ["preference"],
  "core.v1.ProjectedVolumeSource": ["sources"],
  "core.v1.RBDPersistentVolumeSource": ["monitors"],
  "core.v1.RBDVolumeSource": ["monitors"],
  "core.v1.ServiceStatus": ["loadBalancer"],
  "core.v1.TopologySelectorLabelRequirement": ["values"],
  "core.v1.WeightedPodAffinityTerm": ["podAffinityTerm"],
  "discovery.v1.Endpoint": ["addresses", "conditions"],
  "discovery.v1.EndpointSlice": ["endpoints", "ports"],
  "events.v1.Event": ["deprecatedSource", "regarding"],
  "networking.v1.HTTPIngressPath": ["backend"],
  "networking.v1.HTTPIngressRuleValue": ["paths"],
  "networking.v1.IngressServiceBackend": ["port"],
  "networking.v1.IngressStatus": ["loadBalancer"],
  "networking.v1.NetworkPolicySpec": ["podSelector"],
  "rbac.v1.ClusterRole": ["rules"],
  "rbac.v1.ClusterRoleBinding": ["roleRef"],
  "rbac.v1.PolicyRule": ["verbs"],
  "rbac.v1.Role": ["rules"],
  "rbac.v1.RoleBinding": ["roleRef"],
  "storage.v1.CSINodeDriver": ["topologyKeys"],
  "storage.v1.CSINodeSpec": ["drivers"],
  "storage.v1.VolumeAttachmentSpec": ["source"],
};

/** Every object of a built-in kind has these, as far as its kind knows them. */
const OF_OBJECTS: readonly string[] = ["metadata", "spec", "status"];
const NONE: readonly string[] = [];
const BUILT_IN = "io.k8s.api.";

/** The names of fields that objects of a definition have whether or not anybody wrote them. */
export function alwaysThere(definition: Definition | undefined): readonly string[] {
  if (definition === undefined || !definition.name.startsWith(BUILT_IN)) return NONE;
  const own = ALWAYS[definition.name.slice(BUILT_IN.length)] ?? NONE;
  if (!definition.fields.has("metadata")) return own;
  return own === NONE ? OF_OBJECTS : [...OF_OBJECTS, ...own];
}
