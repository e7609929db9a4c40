import type { ConfigMap, KeyToPath, Pod, Secret, Volume } from "@skerry/machinery/types";
import { fieldValue, resourceValue, type DownwardFacts } from "../pods/downward.ts";
import type { ConfigSource } from "../pods/env.ts";
import type { ProjectedFile } from "./projection.ts";

type Files = Map<string, ProjectedFile>;

interface Ref {
  name?: string;
  optional?: boolean;
  items?: KeyToPath[];
}

const DEFAULT_MODE = 0o644;

/** The files of a configMap, secret, downwardAPI or projected volume. Throws when a reference that is not optional is missing. */
export function volumeContents(pod: Pod, volume: Volume, source: ConfigSource, facts: DownwardFacts): Files {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) return fromConfigMap(pod, configMap, configMap.defaultMode, source);
  if (secret) {
    const { secretName, ...rest } = secret;
    return fromSecret(
      pod,
      { ...rest, ...(secretName !== undefined && { name: secretName }) },
      secret.defaultMode,
      source,
    );
  }
  if (downwardAPI) return fromPod(pod, downwardAPI, downwardAPI.defaultMode, facts);
  const files: Files = new Map();
  for (const part of projected?.sources ?? []) {
    const mode = projected?.defaultMode;
    const found = part.configMap
      ? fromConfigMap(pod, part.configMap, mode, source)
      : part.secret
        ? fromSecret(pod, part.secret, mode, source)
        : part.downwardAPI
          ? fromPod(pod, part.downwardAPI, mode, facts)
          : new Map<string, ProjectedFile>();
    for (const [name, file] of found) files.set(name, file);
  }
  return files;
}

/** The name of the one source that the volume has; `emptyDir` when it says none. */
export function volumeKind(volume: Volume): string {
  return Object.keys(volume).find((key) => key !== "name") ?? "emptyDir";
}

/** Whether the volume holds what the agent writes there, and containers only read. */
export const isProjection = (volume: Volume): boolean => !["emptyDir", "hostPath"].includes(volumeKind(volume));

/** The ConfigMaps and Secrets whose change changes what containers of the pod see in files: `configmaps/name`, `secrets/name`. */
export function volumeReferences(pod: Pod): Set<string> {
  const names = new Set<string>();
  const add = (resource: string, name: string | undefined): void => void (name && names.add(`${resource}/${name}`));
  for (const { configMap, secret, projected } of pod.spec?.volumes ?? []) {
    add("configmaps", configMap?.name);
    add("secrets", secret?.secretName);
    for (const part of projected?.sources ?? []) {
      add("configmaps", part.configMap?.name);
      add("secrets", part.secret?.name);
    }
  }
  return names;
}

function fromConfigMap(pod: Pod, ref: Ref, mode: number | undefined, source: ConfigSource): Files {
  const object: ConfigMap | undefined = source.configMap(pod.metadata.namespace ?? "", ref.name ?? "");
  if (!object && ref.optional !== true) throw new Error(`configmap "${ref.name ?? ""}" not found`);
  const values = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(object?.data ?? {})) values.set(key, Buffer.from(text));
  for (const [key, base64] of Object.entries(object?.binaryData ?? {})) values.set(key, Buffer.from(base64, "base64"));
  return pick(values, ref, mode, "configmap references non-existent config key");
}

function fromSecret(pod: Pod, ref: Ref, mode: number | undefined, source: ConfigSource): Files {
  const object: Secret | undefined = source.secret(pod.metadata.namespace ?? "", ref.name ?? "");
  if (!object && ref.optional !== true) throw new Error(`secret "${ref.name ?? ""}" not found`);
  const values = new Map<string, Uint8Array>();
  for (const [key, base64] of Object.entries(object?.data ?? {})) values.set(key, Buffer.from(base64, "base64"));
  return pick(values, ref, mode, "references non-existent secret key");
}

function pick(values: Map<string, Uint8Array>, ref: Ref, mode: number | undefined, missing: string): Files {
  const files: Files = new Map();
  if (!ref.items || ref.items.length === 0) {
    for (const [key, bytes] of values) files.set(key, { bytes, mode: mode ?? DEFAULT_MODE });
    return files;
  }
  for (const item of ref.items) {
    const bytes = values.get(item.key);
    if (bytes) files.set(item.path, { bytes, mode: item.mode ?? mode ?? DEFAULT_MODE });
    else if (ref.optional !== true) throw new Error(`${missing}: ${item.key}`);
  }
  return files;
}

function fromPod(
  pod: Pod,
  { items = [] }: NonNullable<Volume["downwardAPI"]>,
  mode: number | undefined,
  facts: DownwardFacts,
): Files {
  const files: Files = new Map();
  for (const item of items) {
    const value = item.fieldRef
      ? fieldValue(pod, item.fieldRef.fieldPath, facts)
      : item.resourceFieldRef
        ? resourceValue(pod, item.resourceFieldRef, facts)
        : "";
    files.set(item.path, { bytes: Buffer.from(value), mode: item.mode ?? mode ?? DEFAULT_MODE });
  }
  return files;
}
