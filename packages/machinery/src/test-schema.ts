import type { Definition, Field, FieldType, ListType } from "./schema.ts";

/** A small schema with every kind of field, for the tests of what works over schemas. Not exported from the package. */

const string: FieldType = { type: "string" };
const int32: FieldType = { type: "integer", format: "int32" };
const strings: FieldType = { type: "map", values: string };
const object = (ref: string): FieldType => ({ type: "object", ref });
const list = (items: FieldType, kind: ListType): FieldType => ({ type: "list", items, list: kind });
const atomic: ListType = { kind: "atomic" };
const set: ListType = { kind: "set" };
const byKeys = (...keys: string[]): ListType => ({ kind: "map", keys });
const field = (type: FieldType, more: Partial<Field> = {}): Field => ({ type, required: false, ...more });
const merge = (key?: string): Partial<Field> => ({
  patchStrategy: ["merge"],
  ...(key !== undefined && { patchMergeKey: key }),
});

const FIELDS: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  "test.v1.Pod": {
    apiVersion: field(string),
    kind: field(string),
    metadata: field(object("test.v1.ObjectMeta")),
    spec: field(object("test.v1.PodSpec")),
    status: field(object("test.v1.PodStatus")),
  },
  "test.v1.ObjectMeta": {
    name: field(string),
    namespace: field(string),
    uid: field(string),
    generation: field({ type: "integer", format: "int64" }),
    resourceVersion: field(string),
    creationTimestamp: field({ type: "string", format: "date-time" }),
    labels: field(strings),
    annotations: field(strings),
    finalizers: field(list(string, set), merge()),
    ownerReferences: field(list(object("test.v1.OwnerReference"), byKeys("uid")), merge("uid")),
    managedFields: field(list({ type: "any" }, atomic)),
  },
  "test.v1.OwnerReference": { uid: field(string, { required: true }), name: field(string) },
  "test.v1.PodSpec": {
    replicas: field(int32),
    paused: field({ type: "boolean" }),
    weight: field({ type: "number", format: "double" }),
    nodeName: field(string),
    selector: field(strings, { atomic: true }),
    nodeSelector: field(strings),
    finalizers: field(list(string, set), merge()),
    args: field(list(string, atomic)),
    tolerations: field(list(object("test.v1.Toleration"), atomic)),
    containers: field(list(object("test.v1.Container"), byKeys("name")), merge("name")),
    volumes: field(list(object("test.v1.Volume"), byKeys("name")), {
      patchStrategy: ["merge", "retainKeys"],
      patchMergeKey: "name",
    }),
    strategy: field(object("test.v1.Strategy"), { patchStrategy: ["retainKeys"] }),
    securityContext: field(object("test.v1.SecurityContext")),
    configRef: field(object("test.v1.LocalRef")),
    data: field({ type: "map", values: { type: "string", format: "byte" } }),
    renewTime: field({ type: "string", format: "micro-time" }),
    maxSurge: field({ type: "int-or-string" }),
    any: field({ type: "any" }),
  },
  "test.v1.Toleration": { key: field(string), effect: field(string) },
  "test.v1.Container": {
    name: field(string, { required: true }),
    image: field(string),
    command: field(list(string, atomic)),
    env: field(list(object("test.v1.EnvVar"), byKeys("name")), merge("name")),
    ports: field(list(object("test.v1.ContainerPort"), byKeys("containerPort", "protocol")), merge("containerPort")),
    resources: field(object("test.v1.Resources")),
  },
  "test.v1.EnvVar": { name: field(string, { required: true }), value: field(string) },
  "test.v1.ContainerPort": {
    name: field(string),
    containerPort: field(int32, { required: true }),
    hostPort: field(int32),
    protocol: field(string, { default: "TCP" }),
  },
  "test.v1.Resources": { limits: field({ type: "map", values: { type: "quantity" } }) },
  "test.v1.Volume": {
    name: field(string, { required: true }),
    emptyDir: field(object("test.v1.EmptyDir")),
    hostPath: field(object("test.v1.HostPath")),
  },
  "test.v1.EmptyDir": { medium: field(string) },
  "test.v1.HostPath": { path: field(string) },
  "test.v1.Strategy": { type: field(string), rollingUpdate: field(object("test.v1.RollingUpdate")) },
  "test.v1.RollingUpdate": { maxSurge: field({ type: "int-or-string" }) },
  "test.v1.SecurityContext": { runAsUser: field({ type: "integer", format: "int64" }), user: field(string) },
  "test.v1.LocalRef": { name: field(string) },
  "test.v1.PodStatus": {
    phase: field(string),
    conditions: field(list(object("test.v1.Condition"), byKeys("type")), merge("type")),
  },
  "test.v1.Condition": { type: field(string, { required: true }), status: field(string), reason: field(string) },
};

const definitions = new Map<string, Definition>(
  Object.entries(FIELDS).map(([name, fields]) => [
    name,
    { name, fields: new Map(Object.entries(fields)), ...(name === "test.v1.LocalRef" && { atomic: true }) },
  ]),
);

export const lookup = (ref: string): Definition | undefined => definitions.get(ref);
