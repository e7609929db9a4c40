import { checkConfigMapKey, checkDns1123Label, fieldError, parseQuantity, type FieldError } from "@skerry/machinery";
import type { Volume } from "@skerry/machinery/types";
import { addInvalid, at } from "../../registry/metadata.ts";
import { validateFieldRef, validateInnerPath } from "./validate-container.ts";

/** Source: Kubernetes API reference, Volume; the words are upstream's. Returns the names. */
export function validateVolumes(volumes: readonly Volume[], path: string, errors: FieldError[]): Set<string> {
  const names = new Set<string>();
  for (const [i, volume] of volumes.entries()) {
    const here = at(path, i);
    if (!volume.name) errors.push(fieldError.required(`${here}.name`));
    else {
      addInvalid(errors, `${here}.name`, volume.name, checkDns1123Label(volume.name));
      if (names.has(volume.name)) errors.push(fieldError.duplicate(`${here}.name`, volume.name));
      names.add(volume.name);
    }
    const sources = Object.keys(volume).filter((key) => key !== "name");
    if (sources.length === 0) errors.push(fieldError.required(here, "must specify a volume type"));
    for (const extra of sources.slice(1)) {
      errors.push(fieldError.forbidden(`${here}.${extra}`, "may not specify more than 1 volume type"));
    }
    validateSource(volume, here, errors);
  }
  return names;
}

const HOST_PATH_TYPES = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];
const VOLUME_FIELDS = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];

function validateSource(volume: Volume, path: string, errors: FieldError[]): void {
  const { configMap, downwardAPI, emptyDir, hostPath, persistentVolumeClaim, projected, secret } = volume;
  if (emptyDir?.sizeLimit !== undefined && parseQuantity(emptyDir.sizeLimit).nanos < 0n) {
    errors.push(
      fieldError.forbidden(`${path}.emptyDir.sizeLimit`, "SizeLimit field must be a valid resource quantity"),
    );
  }
  if (hostPath) {
    const here = `${path}.hostPath`;
    if (!hostPath.path) errors.push(fieldError.required(`${here}.path`));
    else if (hostPath.path.split("/").includes("..")) {
      errors.push(fieldError.invalid(`${here}.path`, hostPath.path, "must not contain '..'"));
    }
    if (hostPath.type !== undefined && !HOST_PATH_TYPES.includes(hostPath.type)) {
      errors.push(fieldError.notSupported(`${here}.type`, hostPath.type, HOST_PATH_TYPES));
    }
  }
  if (secret) {
    if (!secret.secretName) errors.push(fieldError.required(`${path}.secret.secretName`));
    validateFiles(secret.items, secret.defaultMode, `${path}.secret`, errors);
  }
  if (configMap) {
    if (!configMap.name) errors.push(fieldError.required(`${path}.configMap.name`));
    validateFiles(configMap.items, configMap.defaultMode, `${path}.configMap`, errors);
  }
  if (persistentVolumeClaim && !persistentVolumeClaim.claimName) {
    errors.push(fieldError.required(`${path}.persistentVolumeClaim.claimName`));
  }
  if (downwardAPI) {
    validateMode(downwardAPI.defaultMode, `${path}.downwardAPI.defaultMode`, errors);
    for (const [i, item] of (downwardAPI.items ?? []).entries()) {
      const here = at(`${path}.downwardAPI.items`, i);
      if (!item.path) errors.push(fieldError.required(`${here}.path`));
      else validateInnerPath(item.path, `${here}.path`, errors);
      if (item.fieldRef) validateFieldRef(item.fieldRef.fieldPath, `${here}.fieldRef.fieldPath`, VOLUME_FIELDS, errors);
      else if (!item.resourceFieldRef)
        errors.push(fieldError.required(here, "one of fieldRef and resourceFieldRef is required"));
      validateMode(item.mode, `${here}.mode`, errors);
    }
  }
  if (!projected) return;
  for (const [i, source] of (projected.sources ?? []).entries()) {
    const here = at(`${path}.projected.sources`, i);
    for (const extra of Object.keys(source).slice(1)) {
      errors.push(fieldError.forbidden(`${here}.${extra}`, "may not specify more than 1 volume type per source"));
    }
  }
}

function validateFiles(
  items: readonly { key?: string; path?: string; mode?: number }[] | undefined,
  defaultMode: number | undefined,
  path: string,
  errors: FieldError[],
): void {
  validateMode(defaultMode, `${path}.defaultMode`, errors);
  for (const [i, item] of (items ?? []).entries()) {
    const here = at(`${path}.items`, i);
    if (!item.key) errors.push(fieldError.required(`${here}.key`));
    else addInvalid(errors, `${here}.key`, item.key, checkConfigMapKey(item.key));
    if (!item.path) errors.push(fieldError.required(`${here}.path`));
    else validateInnerPath(item.path, `${here}.path`, errors);
    validateMode(item.mode, `${here}.mode`, errors);
  }
}

function validateMode(mode: number | undefined, path: string, errors: FieldError[]): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777)) {
    errors.push(fieldError.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive"));
  }
}
