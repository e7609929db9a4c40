import type { Container, Pod, PodSpec, Volume } from "@skerry/machinery/types";

/** A field that is accepted and kept, and has no effect yet. */
export interface UnsupportedField {
  /** Where it stands: `spec.containers[web].livenessProbe`. */
  path: string;
  /** What that means for who set it. */
  effect: string;
}

interface Rule<T> {
  field: string;
  effect: string;
  isSet?: (owner: T) => boolean;
}

const SPEC: readonly Rule<PodSpec>[] = [
  { field: "initContainers", effect: "init containers are not run yet, and the node refuses the pod" },
  { field: "ephemeralContainers", effect: "ephemeral containers are not run yet" },
  { field: "affinity", effect: "affinity is not looked at yet when a node is chosen; use nodeSelector" },
  { field: "topologySpreadConstraints", effect: "spreading is not looked at yet when a node is chosen" },
  { field: "schedulingGates", effect: "gates don't hold the pod back yet" },
  { field: "readinessGates", effect: "readiness doesn't wait for conditions of others yet" },
  { field: "runtimeClassName", effect: "runtime classes are not supported yet, and the node refuses the pod" },
  { field: "priorityClassName", effect: "priority classes are not supported yet; every pod has priority 0" },
  { field: "overhead", effect: "overhead is not counted yet" },
  { field: "resourceClaims", effect: "dynamic resource allocation is not supported yet" },
  { field: "resources", effect: "resources of a pod as a whole are not limited yet; set those of its containers" },
  { field: "imagePullSecrets", effect: "images are pulled without these credentials yet" },
  { field: "subdomain", effect: "names of pods are not resolved yet" },
  {
    field: "setHostnameAsFQDN",
    effect: "the host name stays the short one",
    isSet: (spec) => spec.setHostnameAsFQDN === true,
  },
  {
    field: "hostUsers",
    effect: "user namespaces are not supported yet, and the node refuses the pod",
    isSet: (spec) => spec.hostUsers === false,
  },
  {
    field: "os",
    effect: "only linux is supported, and the node refuses the pod",
    isSet: (spec) => spec.os !== undefined && spec.os.name !== "linux",
  },
];

const CONTAINER: readonly Rule<Container>[] = [
  { field: "livenessProbe", effect: "the probe is not run yet, and the container is not restarted by it" },
  { field: "readinessProbe", effect: "the probe is not run yet; the container is ready when it runs" },
  { field: "startupProbe", effect: "the probe is not run yet" },
  { field: "lifecycle", effect: "lifecycle hooks are not run yet" },
  { field: "restartPolicy", effect: "a container's own restart policy is not followed yet; the pod's is" },
  { field: "resizePolicy", effect: "containers are not resized in place yet" },
  { field: "volumeDevices", effect: "block devices are not supported yet, and the node refuses the pod" },
];

const HANDLED_VOLUMES = new Set(["name", "emptyDir", "hostPath", "configMap", "secret", "downwardAPI", "projected"]);

/**
 * What of a pod is accepted and not honoured yet. The API warns its client with it, and controllers put it into an event
 * on the object. `at` is where the pod's spec stands.
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
  for (const { field, effect, isSet } of rules) {
    const value = (owner as Record<string, unknown>)[field];
    const isGiven = isSet
      ? isSet(owner)
      : value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0);
    if (isGiven) found.push({ path: `${at}.${field}`, effect });
  }
  return found;
}

function ofVolume(volume: Volume, at: string): UnsupportedField[] {
  const found: UnsupportedField[] = [];
  for (const type of Object.keys(volume)) {
    if (HANDLED_VOLUMES.has(type)) continue;
    found.push({
      path: `${at}.${type}`,
      effect: "volumes of this type are not supported yet, and the node refuses the pod",
    });
  }
  for (const source of volume.projected?.sources ?? []) {
    for (const type of ["serviceAccountToken", "clusterTrustBundle", "podCertificate"] as const) {
      if ((source as Record<string, unknown>)[type] === undefined) continue;
      found.push({ path: `${at}.projected.${type}`, effect: "it is not projected yet, and its file is missing" });
    }
  }
  return found;
}

/** One line for a person: `spec.containers[web].livenessProbe: the probe is not run yet, …`. */
export const unsupportedText = ({ path, effect }: UnsupportedField): string => `${path}: ${effect}`;

export const describeUnsupported = (pod: Pod): string[] => unsupportedFields(pod).map(unsupportedText);
