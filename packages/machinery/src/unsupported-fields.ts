import type {
  Container,
  EnvVar,
  Node,
  PodSecurityContext,
  PodSpec,
  SecurityContext,
  ServiceAccount,
  Taint,
  Toleration,
  Volume,
  VolumeMount,
} from "./gen/types.ts";

/** A field of an object that is accepted and kept, and has no effect yet. */
export interface UnsupportedField {
  /** Where it stands: `spec.containers[web].livenessProbe`. */
  path: string;
  /** What that means for who set it. */
  effect: string;
  /** Who does not honour it: the control plane, or the node that is to run the pod. */
  side: "cloud" | "node";
  /** The pod would be wrong without it: a node does not run it. */
  isRefused: boolean;
}

interface Rule<T> extends Pick<UnsupportedField, "effect" | "side"> {
  /** Its path in the owner: `securityContext.procMount`. */
  field: string;
  isRefused?: boolean;
  /** Whether it asks for something; absent: whenever it is not empty. */
  isSet?: (owner: T) => boolean;
}

const SPEC: readonly Rule<PodSpec>[] = [
  { field: "initContainers", side: "node", isRefused: true, effect: "init containers are not run" },
  { field: "ephemeralContainers", side: "node", effect: "ephemeral containers are not run" },
  {
    field: "affinity",
    side: "cloud",
    effect: "affinity is not looked at when a node is chosen; use nodeSelector",
  },
  {
    field: "topologySpreadConstraints",
    side: "cloud",
    effect: "spreading is not looked at when a node is chosen",
  },
  { field: "schedulingGates", side: "cloud", effect: "gates don't hold the pod back" },
  { field: "readinessGates", side: "node", effect: "readiness doesn't wait for conditions of others" },
  { field: "runtimeClassName", side: "node", isRefused: true, effect: "runtime classes are not supported" },
  {
    field: "priorityClassName",
    side: "cloud",
    effect: "priority classes are not supported; no pod comes before another",
  },
  {
    field: "priority",
    side: "cloud",
    effect: "no pod comes before another",
    isSet: ({ priority }) => priority !== undefined && priority !== 0,
  },
  { field: "overhead", side: "cloud", effect: "overhead is not counted" },
  { field: "resourceClaims", side: "cloud", effect: "dynamic resource allocation is not supported" },
  {
    field: "resources",
    side: "node",
    effect: "resources of a pod as a whole are not limited; set those of its containers",
  },
  { field: "imagePullSecrets", side: "node", effect: "images are pulled without these credentials" },
  {
    field: "automountServiceAccountToken",
    side: "cloud",
    effect: "no token is mounted",
    isSet: (spec) => spec.automountServiceAccountToken === true,
  },
  { field: "workloadRef", side: "cloud", effect: "pods are not scheduled as a group" },
  { field: "hostnameOverride", side: "node", effect: "the host name stays that of the pod" },
  { field: "subdomain", side: "cloud", effect: "names of pods are not resolved" },
  {
    field: "setHostnameAsFQDN",
    side: "node",
    effect: "the host name stays the short one",
    isSet: (spec) => spec.setHostnameAsFQDN === true,
  },
  {
    field: "hostUsers",
    side: "node",
    isRefused: true,
    effect: "user namespaces are not supported",
    isSet: (spec) => spec.hostUsers === false,
  },
  {
    field: "os",
    side: "node",
    isRefused: true,
    effect: "only linux is supported",
    isSet: (spec) => spec.os !== undefined && spec.os.name !== "linux",
  },
];

/** What both security contexts have. */
const SECURITY: readonly Rule<PodSecurityContext | SecurityContext>[] = [
  { field: "seLinuxOptions", side: "node", effect: "SELinux labels are not set" },
  { field: "windowsOptions", side: "node", effect: "only linux is supported" },
  {
    field: "seccompProfile",
    side: "node",
    effect: "containers run with the runtime's default profile, and privileged ones with none",
    isSet: ({ seccompProfile }) => seccompProfile !== undefined && seccompProfile.type !== "RuntimeDefault",
  },
  {
    field: "appArmorProfile",
    side: "node",
    effect: "containers run with the runtime's default profile",
    isSet: ({ appArmorProfile }) => appArmorProfile !== undefined && appArmorProfile.type !== "RuntimeDefault",
  },
];

const POD_SECURITY: readonly Rule<PodSecurityContext>[] = [
  ...SECURITY,
  {
    field: "supplementalGroupsPolicy",
    side: "node",
    effect: "groups that the image gives its user are merged in",
    isSet: ({ supplementalGroupsPolicy: policy }) => policy !== undefined && policy !== "Merge",
  },
  { field: "seLinuxChangePolicy", side: "node", effect: "SELinux labels are not set" },
];

const CONTAINER_SECURITY: readonly Rule<SecurityContext>[] = [
  ...SECURITY,
  {
    field: "procMount",
    side: "node",
    effect: "what /proc shows is the default",
    isSet: ({ procMount }) => procMount !== undefined && procMount !== "Default",
  },
];

const TOLERATION: readonly Rule<Toleration>[] = [
  {
    field: "tolerationSeconds",
    side: "cloud",
    effect: "a taint ends no pod that runs, neither at once nor later",
    // What upstream gives every pod is in many a manifest, and nobody asked for it.
    isSet: ({ key, tolerationSeconds }) =>
      tolerationSeconds !== undefined &&
      !(tolerationSeconds === DEFAULT_TOLERATION_SECONDS && isOfNodeLifecycle(key ?? "")),
  },
];

const DEFAULT_TOLERATION_SECONDS = 300;
const isOfNodeLifecycle = (key: string): boolean =>
  key === "node.kubernetes.io/not-ready" || key === "node.kubernetes.io/unreachable";

const CONTAINER: readonly Rule<Container>[] = [
  {
    field: "livenessProbe",
    side: "node",
    effect: "the probe is not run, and the container is not restarted by it",
  },
  {
    field: "readinessProbe",
    side: "node",
    effect: "the probe is not run; the container is ready when it runs",
  },
  { field: "startupProbe", side: "node", effect: "the probe is not run" },
  { field: "lifecycle.postStart", side: "node", effect: "lifecycle hooks are not run" },
  { field: "lifecycle.preStop", side: "node", effect: "lifecycle hooks are not run" },
  { field: "lifecycle.stopSignal", side: "node", effect: "the container is stopped with its image's signal" },
  {
    field: "restartPolicy",
    side: "node",
    effect: "a container's own restart policy is not followed; the pod's is",
  },
  {
    field: "restartPolicyRules",
    side: "node",
    effect: "a container's own restart rules are not followed; the pod's restart policy is",
  },
  {
    field: "resources.limits.ephemeral-storage",
    side: "node",
    effect: "what a container writes to the disk is not limited",
  },
  {
    field: "resources.requests.ephemeral-storage",
    side: "cloud",
    effect: "room on the disk is not counted when a node is chosen",
    // A limit is the request of who states none, and is spoken of itself.
    isSet: ({ resources: { limits, requests } = {} }) =>
      requests?.["ephemeral-storage"] !== undefined && limits?.["ephemeral-storage"] === undefined,
  },
  { field: "resources.claims", side: "cloud", effect: "dynamic resource allocation is not supported" },
  { field: "resizePolicy", side: "cloud", effect: "containers are not resized in place" },
  { field: "volumeDevices", side: "node", isRefused: true, effect: "block devices are not supported" },
];

const MOUNT: readonly Rule<VolumeMount>[] = [
  {
    field: "recursiveReadOnly",
    side: "node",
    isRefused: true,
    effect: "what is mounted below the volume stays writable",
    isSet: ({ recursiveReadOnly }) => recursiveReadOnly === "Enabled",
  },
  {
    field: "recursiveReadOnly",
    side: "node",
    effect: "what is mounted below the volume stays writable",
    isSet: ({ recursiveReadOnly }) => recursiveReadOnly === "IfPossible",
  },
];

const VARIABLE: readonly Rule<EnvVar>[] = [
  { field: "valueFrom.fileKeyRef", side: "node", isRefused: true, effect: "variables are not read from files" },
];

const VOLUME: readonly Rule<Volume>[] = [
  {
    field: "emptyDir.medium",
    side: "node",
    effect: "the volume is a folder on the disk",
    isSet: ({ emptyDir: { medium = "" } = {} }) => medium !== "" && medium !== "Memory",
  },
  {
    field: "emptyDir.sizeLimit",
    side: "node",
    effect: "only volumes in memory have a bound",
    isSet: ({ emptyDir }) => emptyDir?.sizeLimit !== undefined && emptyDir.medium !== "Memory",
  },
];

const SERVICE_ACCOUNT: readonly Rule<ServiceAccount>[] = [
  {
    field: "automountServiceAccountToken",
    side: "cloud",
    effect: "no token is mounted into its pods",
    isSet: (account) => account.automountServiceAccountToken === true,
  },
  { field: "imagePullSecrets", side: "cloud", effect: "images of its pods are pulled without these credentials" },
];

const NODE: readonly Rule<Node>[] = [
  { field: "spec.configSource", side: "node", effect: "a node is not configured from here" },
  { field: "spec.externalID", side: "cloud", effect: "nobody reads it any more" },
];

const TAINT: readonly Rule<Taint>[] = [
  {
    field: "effect",
    side: "cloud",
    effect: "pods that run there stay; only new ones are kept away",
    // Of a node that is out of sight pods stay by intent: an edge goes on alone.
    isSet: ({ key, effect }) => effect === "NoExecute" && !isOfNodeLifecycle(key),
  },
  {
    field: "effect",
    side: "cloud",
    effect: "a taint that would rather have no pods is not looked at when a node is chosen",
    isSet: ({ effect }) => effect === "PreferNoSchedule",
  },
];

const HANDLED_VOLUMES = new Set(["name", "emptyDir", "hostPath", "configMap", "secret", "downwardAPI", "projected"]);

/**
 * What of a pod is accepted and not honoured yet: the API warns its client with it and makes events of the object, and a node
 * speaks of its own part where the control plane is not ours. `at` is where the pod's spec stands.
 */
export function unsupportedFields(pod: { spec?: PodSpec }, at = "spec"): UnsupportedField[] {
  const { spec } = pod;
  if (!spec) return [];
  const found = [
    ...matching(SPEC, spec, at),
    ...matching(POD_SECURITY, spec.securityContext, `${at}.securityContext`),
    ...(spec.tolerations ?? []).flatMap((each) => matching(TOLERATION, each, `${at}.tolerations[${each.key ?? ""}]`)),
  ];
  for (const list of ["initContainers", "containers"] as const) {
    for (const container of spec[list] ?? []) {
      found.push(...ofContainer(container, `${at}.${list}[${container.name}]`));
    }
  }
  for (const volume of spec.volumes ?? []) found.push(...ofVolume(volume, `${at}.volumes[${volume.name}]`));
  return found;
}

/** The same of a service account, which pods that run as it have in vain. */
export const unsupportedAccountFields = (account: ServiceAccount): UnsupportedField[] =>
  matching(SERVICE_ACCOUNT, account, "");

/** The same of a node, as somebody wants it to be. */
export const unsupportedNodeFields = (node: Node): UnsupportedField[] => [
  ...matching(NODE, node, ""),
  ...(node.spec?.taints ?? []).flatMap((taint) => matching(TAINT, taint, `spec.taints[${taint.key}]`)),
];

function matching<T extends object>(rules: readonly Rule<T>[], owner: T | undefined, at: string): UnsupportedField[] {
  if (!owner) return [];
  const found: UnsupportedField[] = [];
  for (const { field, effect, side, isRefused = false, isSet } of rules) {
    if (!(isSet ? isSet(owner) : isGiven(valueAt(owner, field)))) continue;
    found.push({ path: at === "" ? field : `${at}.${field}`, effect, side, isRefused });
  }
  return found;
}

const valueAt = (owner: object, path: string): unknown =>
  path.split(".").reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], owner);

const isGiven = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== "" && !(Array.isArray(value) && value.length === 0);

function ofContainer(container: Container, at: string): UnsupportedField[] {
  return [
    ...matching(CONTAINER, container, at),
    ...matching(CONTAINER_SECURITY, container.securityContext, `${at}.securityContext`),
    ...(container.env ?? []).flatMap((each) => matching(VARIABLE, each, `${at}.env[${each.name}]`)),
    ...(container.volumeMounts ?? []).flatMap((each) => matching(MOUNT, each, `${at}.volumeMounts[${each.mountPath}]`)),
  ];
}

function ofVolume(volume: Volume, at: string): UnsupportedField[] {
  const found = matching(VOLUME, volume, at);
  for (const type of Object.keys(volume)) {
    if (HANDLED_VOLUMES.has(type)) continue;
    found.push({
      path: `${at}.${type}`,
      effect: "volumes of this type are not supported",
      side: "node",
      isRefused: true,
    });
  }
  for (const source of volume.projected?.sources ?? []) {
    for (const type of ["serviceAccountToken", "clusterTrustBundle", "podCertificate"] as const) {
      if ((source as Record<string, unknown>)[type] === undefined) continue;
      const effect = "it is not projected, and its file is missing";
      found.push({ path: `${at}.projected.${type}`, effect, side: "node", isRefused: false });
    }
  }
  return found;
}

/** One line for a person: `spec.containers[web].livenessProbe is not honoured yet: the probe is not run, …`. */
export const unsupportedText = ({ path, effect, isRefused }: UnsupportedField): string =>
  `${path} is not honoured yet: ${effect}${isRefused ? ", and the node refuses the pod" : ""}`;
