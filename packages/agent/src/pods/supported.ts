import type { Container, Pod, Volume } from "@skerry/machinery/types";
import type { EventText } from "./events.ts";

/** What of a pod this agent cannot do. */
export interface Gaps {
  /** Why the pod would be wrong without it, so that it is not run; empty when it can run. */
  refused: string;
  /** Fields that are accepted and have no effect. */
  ignored: string[];
}

const VOLUMES = ["emptyDir", "hostPath", "configMap", "secret", "downwardAPI", "projected"];
const PROBES = ["livenessProbe", "readinessProbe", "startupProbe"] as const;

/** Finds what is not supported yet. */
export function gapsOf(pod: Pod): Gaps {
  const spec = pod.spec;
  if (!spec) return { refused: "The pod has no spec", ignored: [] };
  const refusals: string[] = [];
  const ignored: string[] = [];

  if ((spec.initContainers ?? []).length > 0) refusals.push("spec.initContainers (they would have to run first)");
  if (spec.runtimeClassName !== undefined) refusals.push(`spec.runtimeClassName ${spec.runtimeClassName}`);
  if (spec.os?.name !== undefined && spec.os.name !== "linux") refusals.push(`spec.os.name ${spec.os.name}`);
  if (spec.hostUsers === false) refusals.push("spec.hostUsers: false");
  for (const volume of spec.volumes ?? []) {
    const kind = volumeKind(volume);
    if (!VOLUMES.includes(kind)) refusals.push(`volume ${volume.name} of type ${kind}`);
    const hasToken = (volume.projected?.sources ?? []).some((source) => source.serviceAccountToken !== undefined);
    if (hasToken) ignored.push(`spec.volumes[${volume.name}].projected.serviceAccountToken`);
  }
  for (const container of spec.containers) {
    if ((container.volumeDevices ?? []).length > 0) refusals.push(`volumeDevices of container ${container.name}`);
    ignored.push(...ignoredOf(container));
  }
  if ((spec.readinessGates ?? []).length > 0) ignored.push("spec.readinessGates");
  const refused = refusals.length === 0 ? "" : `This node does not support yet: ${refusals.join(", ")}`;
  return { refused, ignored };
}

/** What the pod's author is told of it. */
export function gapEvents({ refused, ignored }: Gaps): EventText[] {
  const messages = [
    ...(refused === "" ? [] : [refused]),
    ...(ignored.length === 0 ? [] : [`Accepted, but without effect on this node yet: ${ignored.join(", ")}`]),
  ];
  return messages.map((message) => ({ type: "Warning", reason: "Unsupported", message }));
}

/** The name of the one source that the volume has; `emptyDir` when it says none. */
export function volumeKind(volume: Volume): string {
  return Object.keys(volume).find((key) => key !== "name") ?? "emptyDir";
}

function ignoredOf(container: Container): string[] {
  const at = `spec.containers[${container.name}]`;
  const found: string[] = PROBES.filter((probe) => container[probe] !== undefined).map((probe) => `${at}.${probe}`);
  if (container.lifecycle !== undefined) found.push(`${at}.lifecycle`);
  if (container.restartPolicy !== undefined) found.push(`${at}.restartPolicy`);
  return found;
}
