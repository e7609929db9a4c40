import {
  byteLength,
  checkConfigMapKey,
  checkDns1123Label,
  checkEnvVarName,
  checkPortName,
  checkPortNumber,
  checkQualifiedName,
  compareQuantities,
  fieldError,
  parseQuantity,
  type FieldError,
  type Quantity,
} from "@skerry/machinery";
import type {
  Container,
  ContainerPort,
  EnvFromSource,
  EnvVar,
  Probe,
  ResourceRequirements,
} from "@skerry/machinery/types";
import { addInvalid, at } from "../../registry/metadata.ts";
import { validateContainerSecurity } from "./validate-security.ts";

/** What containers of a pod are checked against each other for. */
export interface ContainerContext {
  /** Names of the pod's volumes. */
  volumes: ReadonlySet<string>;
  hostNetwork: boolean;
  errors: FieldError[];
}

/** Source: Kubernetes API reference, Container; the words are upstream's. */
export function validateContainers(containers: readonly Container[], path: string, context: ContainerContext): void {
  const { errors } = context;
  const names = new Set<string>();
  const hostPorts = new Set<string>();
  for (const [i, container] of containers.entries()) {
    const here = at(path, i);
    validateName(container.name, `${here}.name`, names, errors);
    validateContainer(container, here, context);
    for (const [j, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue;
      const used = `${port.protocol}/${port.hostIP ?? ""}/${port.hostPort}`;
      if (hostPorts.has(used)) errors.push(fieldError.duplicate(`${at(`${here}.ports`, j)}.hostPort`, used));
      hostPorts.add(used);
    }
  }
}

function validateName(name: string | undefined, path: string, names: Set<string>, errors: FieldError[]): void {
  if (!name) {
    errors.push(fieldError.required(path));
    return;
  }
  addInvalid(errors, path, name, checkDns1123Label(name));
  if (names.has(name)) errors.push(fieldError.duplicate(path, name));
  names.add(name);
}

const PULL_POLICIES = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES = ["FallbackToLogsOnError", "File"];

function validateContainer(container: Container, path: string, context: ContainerContext): void {
  const { errors } = context;
  const image = container.image ?? "";
  if (image === "") errors.push(fieldError.required(`${path}.image`));
  else if (image !== image.trim()) {
    errors.push(fieldError.invalid(`${path}.image`, image, "must not have leading or trailing whitespace"));
  }
  validatePorts(container.ports ?? [], `${path}.ports`, context);
  validateEnv(container.env ?? [], `${path}.env`, errors);
  validateEnvFrom(container.envFrom ?? [], `${path}.envFrom`, errors);
  validateMounts(container, `${path}.volumeMounts`, context);
  if (container.resources) validateResources(container.resources, `${path}.resources`, errors);
  if (container.securityContext) {
    validateContainerSecurity(container.securityContext, `${path}.securityContext`, errors);
  }
  oneOf(container.imagePullPolicy, PULL_POLICIES, `${path}.imagePullPolicy`, errors);
  oneOf(container.terminationMessagePolicy, MESSAGE_POLICIES, `${path}.terminationMessagePolicy`, errors);
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    const probe = container[name];
    if (probe) validateProbe(probe, `${path}.${name}`, name !== "readinessProbe", errors);
  }
}

/** A value that must be one of a few. */
export function oneOf(value: string | undefined, values: readonly string[], path: string, errors: FieldError[]): void {
  if (!value) errors.push(fieldError.required(path));
  else if (!values.includes(value)) errors.push(fieldError.notSupported(path, value, values));
}

export function nonNegative(value: number | undefined, path: string, errors: FieldError[]): void {
  if (value !== undefined && value < 0) {
    errors.push(fieldError.invalid(path, value, "must be greater than or equal to 0"));
  }
}

function validatePorts(ports: readonly ContainerPort[], path: string, { hostNetwork, errors }: ContainerContext): void {
  const names = new Set<string>();
  for (const [i, { name, containerPort, hostPort, protocol }] of ports.entries()) {
    const here = at(path, i);
    if (name) {
      const problems = checkPortName(name);
      addInvalid(errors, `${here}.name`, name, problems);
      if (problems.length === 0 && names.has(name)) errors.push(fieldError.duplicate(`${here}.name`, name));
      names.add(name);
    }
    if (!containerPort) errors.push(fieldError.required(`${here}.containerPort`));
    else addInvalid(errors, `${here}.containerPort`, containerPort, checkPortNumber(containerPort));
    if (hostPort) addInvalid(errors, `${here}.hostPort`, hostPort, checkPortNumber(hostPort));
    if (hostNetwork && hostPort !== containerPort) {
      const detail = "must match `hostPort` when `hostNetwork` is true";
      errors.push(fieldError.invalid(`${here}.containerPort`, containerPort ?? 0, detail));
    }
    oneOf(protocol, ["SCTP", "TCP", "UDP"], `${here}.protocol`, errors);
  }
}

const ENV_FIELDS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
const ENV_SOURCES = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"] as const;

function validateEnv(variables: readonly EnvVar[], path: string, errors: FieldError[]): void {
  for (const [i, { name, value, valueFrom }] of variables.entries()) {
    const here = at(path, i);
    if (!name) errors.push(fieldError.required(`${here}.name`));
    else addInvalid(errors, `${here}.name`, name, checkEnvVarName(name));
    if (valueFrom) validateValueFrom(valueFrom, value, `${here}.valueFrom`, errors);
  }
}

function validateValueFrom(
  source: NonNullable<EnvVar["valueFrom"]>,
  value: string | undefined,
  path: string,
  errors: FieldError[],
): void {
  const given = Object.keys(source).length;
  if (given === 0) {
    const all = ENV_SOURCES.map((name) => `\`${name}\``);
    errors.push(fieldError.invalid(path, "", `must specify one of: ${all.slice(0, -1).join(", ")} or ${all.at(-1)}`));
  } else if (value) errors.push(fieldError.invalid(path, "", "may not be specified when `value` is not empty"));
  else if (given > 1) errors.push(fieldError.invalid(path, "", "may not have more than one field specified at a time"));

  const { fieldRef, configMapKeyRef, secretKeyRef } = source;
  if (fieldRef) validateFieldRef(fieldRef.fieldPath, `${path}.fieldRef.fieldPath`, ENV_FIELDS, errors);
  if (configMapKeyRef) validateKeyRef(configMapKeyRef, `${path}.configMapKeyRef`, errors);
  if (secretKeyRef) validateKeyRef(secretKeyRef, `${path}.secretKeyRef`, errors);
}

/** A field of the pod that a container may learn. */
export function validateFieldRef(
  fieldPath: string | undefined,
  path: string,
  allowed: readonly string[],
  errors: FieldError[],
): void {
  if (!fieldPath) {
    errors.push(fieldError.required(path));
    return;
  }
  const subscript = /^metadata\.(annotations|labels)\['([^']*)'\]$/.exec(fieldPath);
  if (subscript) {
    const key = subscript[2] ?? "";
    addInvalid(errors, path, key, checkQualifiedName(subscript[1] === "annotations" ? key.toLowerCase() : key));
  } else if (!allowed.includes(fieldPath)) errors.push(fieldError.notSupported(path, fieldPath, allowed));
}

function validateKeyRef(ref: { name?: string; key?: string }, path: string, errors: FieldError[]): void {
  if (!ref.name) errors.push(fieldError.required(`${path}.name`));
  if (!ref.key) errors.push(fieldError.required(`${path}.key`));
  else addInvalid(errors, `${path}.key`, ref.key, checkConfigMapKey(ref.key));
}

function validateEnvFrom(sources: readonly EnvFromSource[], path: string, errors: FieldError[]): void {
  for (const [i, { prefix, configMapRef, secretRef }] of sources.entries()) {
    const here = at(path, i);
    if (prefix) addInvalid(errors, `${here}.prefix`, prefix, checkEnvVarName(prefix));
    if (configMapRef && !configMapRef.name) errors.push(fieldError.required(`${here}.configMapRef.name`));
    if (secretRef && !secretRef.name) errors.push(fieldError.required(`${here}.secretRef.name`));
    if (!configMapRef && !secretRef) {
      errors.push(fieldError.invalid(here, "", "must specify one of: `configMapRef` or `secretRef`"));
    } else if (configMapRef && secretRef) {
      errors.push(fieldError.invalid(here, "", "may not have more than one field specified at a time"));
    }
  }
}

function validateMounts(container: Container, path: string, { volumes, errors }: ContainerContext): void {
  const paths = new Set<string>();
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const here = at(path, i);
    if (!mount.name) errors.push(fieldError.required(`${here}.name`));
    else if (!volumes.has(mount.name)) errors.push(fieldError.notFound(`${here}.name`, mount.name));
    if (!mount.mountPath) errors.push(fieldError.required(`${here}.mountPath`));
    if (paths.has(mount.mountPath)) {
      errors.push(fieldError.invalid(`${here}.mountPath`, mount.mountPath, "must be unique"));
    }
    paths.add(mount.mountPath);
    if (mount.subPath) validateInnerPath(mount.subPath, `${here}.subPath`, errors);
    if (mount.subPathExpr) {
      if (mount.subPath) {
        const detail = "subPathExpr and subPath are mutually exclusive";
        errors.push(fieldError.invalid(`${here}.subPathExpr`, mount.subPathExpr, detail));
      }
      validateInnerPath(mount.subPathExpr, `${here}.subPathExpr`, errors);
    }
    const { mountPropagation } = mount;
    if (mountPropagation !== undefined) {
      oneOf(mountPropagation, ["Bidirectional", "HostToContainer", "None"], `${here}.mountPropagation`, errors);
    }
    if (mountPropagation === "Bidirectional" && container.securityContext?.privileged !== true) {
      const detail = "Bidirectional mount propagation is available only to privileged containers";
      errors.push(fieldError.forbidden(`${here}.mountPropagation`, detail));
    }
  }
}

/** A path that stays inside of what it is relative to. */
export function validateInnerPath(value: string, path: string, errors: FieldError[]): void {
  if (value.startsWith("/")) errors.push(fieldError.invalid(path, value, "must be a relative path"));
  if (value.split("/").includes("..")) errors.push(fieldError.invalid(path, value, "must not contain '..'"));
}

const CONTAINER_RESOURCES = new Set(["cpu", "memory", "ephemeral-storage"]);

export function validateResources(resources: ResourceRequirements, path: string, errors: FieldError[]): void {
  const limits = amountsOf(resources.limits, `${path}.limits`, errors);
  const requests = amountsOf(resources.requests, `${path}.requests`, errors);
  for (const [name, request] of requests) {
    const limit = limits.get(name);
    if (!limit || compareQuantities(request, limit) <= 0) continue;
    const detail = `must be less than or equal to ${name} limit of ${resources.limits?.[name]}`;
    errors.push(fieldError.invalid(`${path}.requests`, resources.requests?.[name], detail));
  }
}

function amountsOf(
  amounts: Readonly<Record<string, string | number>> | undefined,
  path: string,
  errors: FieldError[],
): Map<string, Quantity> {
  const parsed = new Map<string, Quantity>();
  for (const [name, amount] of Object.entries(amounts ?? {})) {
    const here = at(path, name);
    addInvalid(errors, here, name, checkQualifiedName(name));
    const isKnown = CONTAINER_RESOURCES.has(name) || name.startsWith("hugepages-");
    if (!name.includes("/") && !isKnown) {
      errors.push(fieldError.invalid(here, name, "must be a standard resource for containers"));
    }
    const quantity = parseQuantity(amount);
    if (quantity.nanos < 0n) {
      errors.push(fieldError.invalid(here, String(amount), "must be greater than or equal to 0"));
    }
    parsed.set(name, quantity);
  }
  return parsed;
}

const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc"] as const;

function validateProbe(probe: Probe, path: string, onceOnly: boolean, errors: FieldError[]): void {
  const given = HANDLERS.filter((name) => probe[name] !== undefined);
  if (given.length === 0) errors.push(fieldError.required(path, "must specify a handler type"));
  for (const name of given.slice(1)) {
    errors.push(fieldError.forbidden(`${path}.${name}`, "may not specify more than 1 handler type"));
  }
  const counts = [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ] as const;
  for (const name of counts) nonNegative(probe[name], `${path}.${name}`, errors);
  if (onceOnly && probe.successThreshold !== undefined && probe.successThreshold !== 1) {
    errors.push(fieldError.invalid(`${path}.successThreshold`, probe.successThreshold, "must be 1"));
  }
}

/** How long the text of an object's field may be, in bytes. */
export function atMostBytes(value: string, max: number, path: string, errors: FieldError[]): void {
  if (byteLength(value) > max) errors.push(fieldError.tooLong(path, max));
}
