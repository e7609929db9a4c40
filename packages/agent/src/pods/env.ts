import type { ConfigMap, Container, EnvVar, Pod, Secret } from "@skerry/machinery/types";
import { ContainerConfigError } from "./config-error.ts";
import { fieldValue, resourceValue, type DownwardFacts } from "./downward.ts";
import { expand } from "./expand.ts";

/** Gives the ConfigMaps and Secrets that the cloud sent here; undefined: there is none of this name. */
export interface ConfigSource {
  configMap(namespace: string, name: string): ConfigMap | undefined;
  secret(namespace: string, name: string): Secret | undefined;
}

/** A name that a shell can hold; others among the keys of an `envFrom` are left out. */
const VARIABLE_NAME = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

/**
 * The container's environment: `envFrom` first, then `env`, later ones winning, `$(NAME)` replaced by what is known so far.
 * Throws `ContainerConfigError` for a missing reference that is not optional.
 */
export function containerEnv(
  pod: Pod,
  container: Container,
  source: ConfigSource,
  facts: DownwardFacts,
): Map<string, string> {
  const env = new Map<string, string>();
  const namespace = pod.metadata.namespace ?? "";
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const values = configMapRef
      ? required(configMapRef, "configmap", source.configMap(namespace, configMapRef.name ?? ""))?.data
      : secretRef
        ? decoded(required(secretRef, "secret", source.secret(namespace, secretRef.name ?? ""))?.data)
        : undefined;
    for (const [key, value] of Object.entries(values ?? {})) {
      if (VARIABLE_NAME.test(prefix + key)) env.set(prefix + key, value);
    }
  }
  for (const variable of container.env ?? []) {
    const value = valueOf(variable, pod, container, source, facts, env);
    if (value !== undefined) env.set(variable.name, value);
  }
  return env;
}

function valueOf(
  { value = "", valueFrom }: EnvVar,
  pod: Pod,
  container: Container,
  source: ConfigSource,
  facts: DownwardFacts,
  env: ReadonlyMap<string, string>,
): string | undefined {
  if (!valueFrom) return expand(value, env);
  const namespace = pod.metadata.namespace ?? "";
  const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = valueFrom;
  if (configMapKeyRef) {
    const data = required(configMapKeyRef, "configmap", source.configMap(namespace, configMapKeyRef.name ?? ""));
    return requiredKey(configMapKeyRef, "ConfigMap", namespace, data && (data.data ?? {}));
  }
  if (secretKeyRef) {
    const data = required(secretKeyRef, "secret", source.secret(namespace, secretKeyRef.name ?? ""));
    return requiredKey(secretKeyRef, "Secret", namespace, data && (decoded(data.data) ?? {}));
  }
  if (fieldRef) return fieldValue(pod, fieldRef.fieldPath, facts);
  if (resourceFieldRef) return resourceValue(pod, resourceFieldRef, facts, container);
  throw new ContainerConfigError("Cannot set an environment variable: its valueFrom names no source known here");
}

function required<T>(ref: { name?: string; optional?: boolean }, kind: string, object: T | undefined): T | undefined {
  if (object === undefined && ref.optional !== true) {
    throw new ContainerConfigError(`${kind} "${ref.name ?? ""}" not found`);
  }
  return object;
}

function requiredKey(
  ref: { name?: string; key: string; optional?: boolean },
  kind: string,
  namespace: string,
  data: Record<string, string> | undefined,
): string | undefined {
  const value = data?.[ref.key];
  if (value === undefined && ref.optional !== true) {
    throw new ContainerConfigError(`couldn't find key ${ref.key} in ${kind} ${namespace}/${ref.name ?? ""}`);
  }
  return value;
}

function decoded(data: Record<string, string> | undefined): Record<string, string> | undefined {
  if (!data) return undefined;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
}
