import type { Pod } from "@skerry/machinery/types";

/** The ConfigMaps and Secrets that a pod needs on its node, as `namespace/name`. */
export interface References {
  configMaps: string[];
  secrets: string[];
}

/** Finds what a pod refers to: pull secrets, environment, volumes (projected ones too). Only in its own namespace, as the API has it. */
export function referencesOf(pod: Pod): References {
  const namespace = pod.metadata.namespace ?? "";
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const add = (set: Set<string>, name: string | undefined): void => {
    if (name) set.add(`${namespace}/${name}`);
  };
  const spec = pod.spec;
  for (const { name } of spec?.imagePullSecrets ?? []) add(secrets, name);
  for (const container of [
    ...(spec?.initContainers ?? []),
    ...(spec?.containers ?? []),
    ...(spec?.ephemeralContainers ?? []),
  ]) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      add(configMaps, configMapRef?.name);
      add(secrets, secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add(configMaps, valueFrom?.configMapKeyRef?.name);
      add(secrets, valueFrom?.secretKeyRef?.name);
    }
  }
  for (const volume of spec?.volumes ?? []) {
    add(configMaps, volume.configMap?.name);
    add(secrets, volume.secret?.secretName);
    for (const source of volume.projected?.sources ?? []) {
      add(configMaps, source.configMap?.name);
      add(secrets, source.secret?.name);
    }
  }
  return { configMaps: [...configMaps], secrets: [...secrets] };
}
