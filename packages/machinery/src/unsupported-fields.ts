import type { Container, PodSpec, Volume } from "./gen/types.ts";

/** A field of a pod that is accepted and kept, and has no effect yet. */
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
  field: string;
  isRefused?: boolean;
  isSet?: (owner: T) => boolean;
}

const SPEC: readonly Rule<PodSpec>[] = [
  { field: "initContainers", side: "node", isRefused: true, effect: "init containers are not run yet" },
  { field: "ephemeralContainers", side: "node", effect: "ephemeral containers are not run yet" },
  {
    field: "affinity",
    side: "cloud",
    effect: "affinity is not looked at yet when a node is chosen; use nodeSelector",
  },
  {
    field: "topologySpreadConstraints",
    side: "cloud",
    effect: "spreading is not looked at yet when a node is chosen",
  },
  { field: "schedulingGates", side: "cloud", effect: "gates don't hold the pod back yet" },
  { field: "readinessGates", side: "node", effect: "readiness doesn't wait for conditions of others yet" },
  { field: "runtimeClassName", side: "node", isRefused: true, effect: "runtime classes are not supported yet" },
  {
    field: "priorityClassName",
    side: "cloud",
    effect: "priority classes are not supported yet; every pod has priority 0",
  },
  { field: "overhead", side: "cloud", effect: "overhead is not counted yet" },
  { field: "resourceClaims", side: "cloud", effect: "dynamic resource allocation is not supported yet" },
  {
    field: "resources",
    side: "node",
    effect: "resources of a pod as a whole are not limited yet; set those of its containers",
  },
  { field: "imagePullSecrets", side: "node", effect: "images are pulled without these credentials yet" },
  { field: "subdomain", side: "cloud", effect: "names of pods are not resolved yet" },
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
    effect: "user namespaces are not supported yet",
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

const CONTAINER: readonly Rule<Container>[] = [
  {
    field: "livenessProbe",
    side: "node",
    effect: "the probe is not run yet, and the container is not restarted by it",
  },
  {
    field: "readinessProbe",
    side: "node",
    effect: "the probe is not run yet; the container is ready when it runs",
  },
  { field: "startupProbe", side: "node", effect: "the probe is not run yet" },
  { field: "lifecycle", side: "node", effect: "lifecycle hooks are not run yet" },
  {
    field: "restartPolicy",
    side: "node",
    effect: "a container's own restart policy is not followed yet; the pod's is",
  },
  { field: "resizePolicy", side: "cloud", effect: "containers are not resized in place yet" },
  { field: "volumeDevices", side: "node", isRefused: true, effect: "block devices are not supported yet" },
];

const HANDLED_VOLUMES = new Set(["name", "emptyDir", "hostPath", "configMap", "secret", "downwardAPI", "projected"]);

/**
 * What of a pod is accepted and not honoured yet: the API warns its client with it and makes events of the object, and a node
 * speaks of its own part where the control plane is not ours. `at` is where the pod's spec stands.
 */
export function unsupportedFields(pod: { spec?: PodSpec }, at = "spec"): UnsupportedField[] {
  const { spec } = pod;
  if (!spec) return [];
  const found = matching(SPEC, spec, at);
  for (const list of ["initContainers", "containers"] as const) {
    for (const container of spec[list] ?? []) {
      found.push(...matching(CONTAINER, container, `${at}.${list}[${container.name}]`));
    }
  }
  for (const volume of spec.volumes ?? []) found.push(...ofVolume(volume, `${at}.volumes[${volume.name}]`));
  return found;
}

function matching<T extends object>(rules: readonly Rule<T>[], owner: T, at: string): UnsupportedField[] {
  const found: UnsupportedField[] = [];
  for (const { field, effect, side, isRefused = false, isSet } of rules) {
    const value = (owner as Record<string, unknown>)[field];
    const isGiven = isSet
      ? isSet(owner)
      : value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0);
    if (isGiven) found.push({ path: `${at}.${field}`, effect, side, isRefused });
  }
  return found;
}

function ofVolume(volume: Volume, at: string): UnsupportedField[] {
  const found: UnsupportedField[] = [];
  for (const type of Object.keys(volume)) {
    if (HANDLED_VOLUMES.has(type)) continue;
    found.push({
      path: `${at}.${type}`,
      effect: "volumes of this type are not supported yet",
      side: "node",
      isRefused: true,
    });
  }
  for (const source of volume.projected?.sources ?? []) {
    for (const type of ["serviceAccountToken", "clusterTrustBundle", "podCertificate"] as const) {
      if ((source as Record<string, unknown>)[type] === undefined) continue;
      const effect = "it is not projected yet, and its file is missing";
      found.push({ path: `${at}.projected.${type}`, effect, side: "node", isRefused: false });
    }
  }
  return found;
}

/** One line for a person: `spec.containers[web].livenessProbe: the probe is not run yet, …`. */
export const unsupportedText = ({ path, effect, isRefused }: UnsupportedField): string =>
  `${path}: ${effect}${isRefused ? ", and the node refuses the pod" : ""}`;
