import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NodeSpec, Pod, PodSpec, ServiceAccount } from "./gen/types.ts";
import { definition, type FieldType } from "./schema.ts";
import {
  unsupportedAccountFields,
  unsupportedFields,
  unsupportedNodeFields,
  unsupportedText,
} from "./unsupported-fields.ts";

const podOf = (spec: Partial<PodSpec>): Pod => ({
  metadata: { name: "p", namespace: "x" },
  spec: { containers: [{ name: "c", image: "busybox:1" }], ...spec },
});

describe("unsupportedFields()", () => {
  it("finds nothing in a pod that needs nothing special", () => {
    const pod = podOf({
      volumes: [{ name: "v", configMap: { name: "m" } }],
      hostNetwork: true,
      nodeSelector: { a: "b" },
    });
    assert.deepEqual(unsupportedFields(pod), []);
  });

  it("names each field that has no effect", () => {
    const pod = podOf({
      initContainers: [{ name: "i", image: "i" }],
      affinity: {},
      containers: [{ name: "c", image: "i", readinessProbe: {}, lifecycle: { preStop: {} } }],
      volumes: [
        { name: "p", persistentVolumeClaim: { claimName: "x" } },
        { name: "t", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
      ],
    });
    assert.deepEqual(
      unsupportedFields(pod).map(({ path }) => path),
      [
        "spec.initContainers",
        "spec.affinity",
        "spec.containers[c].readinessProbe",
        "spec.containers[c].lifecycle.preStop",
        "spec.volumes[p].persistentVolumeClaim",
        "spec.volumes[t].projected.serviceAccountToken",
      ],
    );
  });

  it("tells what the node lacks from what the control plane lacks, and what keeps the pod from running", () => {
    const fields = unsupportedFields(
      podOf({ affinity: {}, runtimeClassName: "wasm", imagePullSecrets: [{ name: "s" }] }),
    );
    assert.deepEqual(
      fields.map(({ path, side, isRefused }) => [path, side, isRefused]),
      [
        ["spec.affinity", "cloud", false],
        ["spec.runtimeClassName", "node", true],
        ["spec.imagePullSecrets", "node", false],
      ],
    );
    assert.deepEqual(fields.map(unsupportedText).slice(1), [
      "spec.runtimeClassName is not honoured yet: runtime classes are not supported, and the node refuses the pod",
      "spec.imagePullSecrets is not honoured yet: images are pulled without these credentials",
    ]);
  });

  it("names what is asked for within lists and by a value", () => {
    const fields = unsupportedFields(
      podOf({
        containers: [
          {
            name: "c",
            env: [{ name: "A", valueFrom: { fileKeyRef: { volumeName: "v", path: "p", key: "k" } } }],
            resources: { limits: { "ephemeral-storage": "1Gi" }, requests: { "ephemeral-storage": "1Gi" } },
            volumeMounts: [{ name: "v", mountPath: "/v", recursiveReadOnly: "Enabled" }],
          },
          { name: "d", resources: { requests: { "ephemeral-storage": "1Gi" } } },
        ],
        tolerations: [{ key: "a", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 }],
        volumes: [{ name: "v", emptyDir: { sizeLimit: "1Mi" } }],
      }),
    );
    assert.deepEqual(
      fields.map(({ path, isRefused }) => `${path}${isRefused ? " refused" : ""}`),
      [
        "spec.tolerations[a].tolerationSeconds",
        "spec.containers[c].resources.limits.ephemeral-storage",
        "spec.containers[c].env[A].valueFrom.fileKeyRef refused",
        "spec.containers[c].volumeMounts[/v].recursiveReadOnly refused",
        "spec.containers[d].resources.requests.ephemeral-storage",
        "spec.volumes[v].emptyDir.sizeLimit",
      ],
    );
  });
});

/** Values of a type that ask for something: of texts one that is no default of any field. */
function samples(type: FieldType, path: string): unknown[] {
  const chosen = CHOSEN[path];
  if (chosen !== undefined) return chosen;
  switch (type.type) {
    case "boolean":
      return [true, false];
    case "integer":
    case "number":
    case "int-or-string":
      return [1];
    case "string":
    case "any":
      return ["x"];
    case "quantity":
      return ["1"];
    case "object":
      return [{}];
    case "list":
      return samples(type.items, `${path}[]`).map((each) => [each]);
    case "map":
      return samples(type.values, `${path}{}`).map((each) => ({ x: each }));
  }
}

/** Where the words of the API are needed. */
const CHOSEN: Readonly<Record<string, unknown[]>> = {
  "containers[].volumeMounts[].recursiveReadOnly": ["Enabled"],
  "taints[].effect": ["NoExecute", "PreferNoSchedule"],
};

/** The fields of a definition, to the last, that can be set without a word of it being said. */
function silentFields(ref: string, isNamed: (value: never) => boolean, skipped: readonly string[] = []): string[] {
  const walk = (type: FieldType, path: string, wrap: (value: unknown) => unknown): string[] => {
    if (skipped.includes(path)) return [];
    if (path !== "" && samples(type, path).some((each) => isNamed(wrap(each) as never))) return [];
    if (type.type === "list" && type.items.type === "object")
      return walk(type.items, `${path}[]`, (value) => wrap([value]));
    if (type.type !== "object") return [path];
    const { fields } = definition(type.ref) ?? assert.fail(type.ref);
    const prefix = path === "" ? "" : `${path}.`;
    return [...fields].flatMap(([name, field]) => walk(field.type, prefix + name, (value) => wrap({ [name]: value })));
  };
  return walk({ type: "object", ref }, "", (value) => value);
}

/** Of a pod's spec, what the scheduler and the agent act on. A new name here is a promise that one of them does. */
const HONOURED = [
  "activeDeadlineSeconds",
  "containers[].args",
  "containers[].command",
  "containers[].envFrom[].configMapRef.name",
  "containers[].envFrom[].configMapRef.optional",
  "containers[].envFrom[].prefix",
  "containers[].envFrom[].secretRef.name",
  "containers[].envFrom[].secretRef.optional",
  "containers[].env[].name",
  "containers[].env[].value",
  "containers[].env[].valueFrom.configMapKeyRef.key",
  "containers[].env[].valueFrom.configMapKeyRef.name",
  "containers[].env[].valueFrom.configMapKeyRef.optional",
  "containers[].env[].valueFrom.fieldRef.fieldPath",
  "containers[].env[].valueFrom.resourceFieldRef.containerName",
  "containers[].env[].valueFrom.resourceFieldRef.divisor",
  "containers[].env[].valueFrom.resourceFieldRef.resource",
  "containers[].env[].valueFrom.secretKeyRef.key",
  "containers[].env[].valueFrom.secretKeyRef.name",
  "containers[].env[].valueFrom.secretKeyRef.optional",
  "containers[].image",
  "containers[].imagePullPolicy",
  "containers[].name",
  "containers[].ports[].containerPort",
  "containers[].ports[].hostIP",
  "containers[].ports[].hostPort",
  "containers[].ports[].protocol",
  "containers[].resources.limits",
  "containers[].resources.requests",
  "containers[].securityContext.allowPrivilegeEscalation",
  "containers[].securityContext.capabilities.add",
  "containers[].securityContext.capabilities.drop",
  "containers[].securityContext.privileged",
  "containers[].securityContext.readOnlyRootFilesystem",
  "containers[].securityContext.runAsGroup",
  "containers[].securityContext.runAsNonRoot",
  "containers[].securityContext.runAsUser",
  "containers[].stdin",
  "containers[].terminationMessagePath",
  "containers[].terminationMessagePolicy",
  "containers[].tty",
  "containers[].volumeMounts[].mountPath",
  "containers[].volumeMounts[].mountPropagation",
  "containers[].volumeMounts[].name",
  "containers[].volumeMounts[].readOnly",
  "containers[].volumeMounts[].subPath",
  "containers[].volumeMounts[].subPathExpr",
  "containers[].workingDir",
  "dnsConfig.nameservers",
  "dnsConfig.options[].name",
  "dnsConfig.options[].value",
  "dnsConfig.searches",
  "dnsPolicy",
  "hostAliases[].hostnames",
  "hostAliases[].ip",
  "hostIPC",
  "hostNetwork",
  "hostPID",
  "hostname",
  "nodeName",
  "nodeSelector",
  "restartPolicy",
  "schedulerName",
  "securityContext.fsGroup",
  "securityContext.runAsGroup",
  "securityContext.runAsNonRoot",
  "securityContext.runAsUser",
  "securityContext.supplementalGroups",
  "securityContext.sysctls[].name",
  "securityContext.sysctls[].value",
  "serviceAccount",
  "serviceAccountName",
  "shareProcessNamespace",
  "terminationGracePeriodSeconds",
  "tolerations[].effect",
  "tolerations[].key",
  "tolerations[].operator",
  "tolerations[].value",
  "volumes[].configMap.defaultMode",
  "volumes[].configMap.name",
  "volumes[].configMap.optional",
  "volumes[].downwardAPI.defaultMode",
  "volumes[].hostPath.path",
  "volumes[].hostPath.type",
  "volumes[].name",
  "volumes[].projected.defaultMode",
  "volumes[].projected.sources[].configMap.name",
  "volumes[].projected.sources[].configMap.optional",
  "volumes[].projected.sources[].secret.name",
  "volumes[].projected.sources[].secret.optional",
  "volumes[].secret.defaultMode",
  "volumes[].secret.optional",
  "volumes[].secret.secretName",
  ...[
    "volumes[].configMap",
    "volumes[].secret",
    "volumes[].projected.sources[].configMap",
    "volumes[].projected.sources[].secret",
  ].flatMap((source) => ["key", "mode", "path"].map((field) => `${source}.items[].${field}`)),
  ...["volumes[].downwardAPI", "volumes[].projected.sources[].downwardAPI"].flatMap((source) =>
    [
      "fieldRef.fieldPath",
      "mode",
      "path",
      "resourceFieldRef.containerName",
      "resourceFieldRef.divisor",
      "resourceFieldRef.resource",
    ].map((field) => `${source}.items[].${field}`),
  ),
];

/** Of a pod's spec, what nobody reads, and what is as asked for all the same. */
const VACUOUS = [
  // A note for people; and there is one version.
  "containers[].env[].valueFrom.fieldRef.apiVersion",
  "containers[].ports[].name",
  "volumes[].downwardAPI.items[].fieldRef.apiVersion",
  "volumes[].projected.sources[].downwardAPI.items[].fieldRef.apiVersion",
  // Nothing attaches yet: who tries is told.
  "containers[].stdinOnce",
  // No services are served of which variables could tell.
  "enableServiceLinks",
  // No pod makes room for itself by ending another, and all have one priority.
  "preemptionPolicy",
  // It is for volumes that outlive the pod, and a pod with one of those is refused.
  "securityContext.fsGroupChangePolicy",
];

const SELECTOR = [
  "matchExpressions[].key",
  "matchExpressions[].operator",
  "matchExpressions[].values",
  "matchLabels",
].map((field) => `selector.${field}`);

describe("fields of which nothing is said", () => {
  for (const [what, ref, isNamed, skipped, silent] of [
    [
      "a pod",
      "core.v1.PodSpec",
      (spec: PodSpec) => unsupportedFields({ spec }).length > 0,
      [],
      [...HONOURED, ...VACUOUS],
    ],
    [
      "a node",
      "core.v1.NodeSpec",
      (spec: NodeSpec) => unsupportedNodeFields({ metadata: {}, spec }).length > 0,
      [],
      // Where a node comes from, and when a taint came, are notes.
      ["podCIDR", "podCIDRs", "providerID", "taints[].key", "taints[].timeAdded", "taints[].value", "unschedulable"],
    ],
    [
      "a service account",
      "core.v1.ServiceAccount",
      (account: ServiceAccount) => unsupportedAccountFields(account).length > 0,
      // Secrets of an account are a list for people, as long as no pod is held to it by an annotation.
      ["apiVersion", "kind", "metadata", "secrets"],
      [],
    ],
    [
      "a Deployment",
      "apps.v1.DeploymentSpec",
      () => false,
      ["template"],
      [
        "minReadySeconds",
        "paused",
        "progressDeadlineSeconds",
        "replicas",
        "revisionHistoryLimit",
        ...SELECTOR,
        "strategy.rollingUpdate.maxSurge",
        "strategy.rollingUpdate.maxUnavailable",
        "strategy.type",
      ],
    ],
    ["a ReplicaSet", "apps.v1.ReplicaSetSpec", () => false, ["template"], ["minReadySeconds", "replicas", ...SELECTOR]],
  ] as const) {
    it(`are, of ${what}, those that are honoured`, () => {
      assert.deepEqual(new Set(silentFields(`io.k8s.api.${ref}`, isNamed, skipped)), new Set(silent));
    });
  }

  it("are also those that say what is done anyway", () => {
    const spec: PodSpec = {
      automountServiceAccountToken: false,
      containers: [
        {
          name: "c",
          lifecycle: {},
          resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1" } },
          securityContext: {
            appArmorProfile: { type: "RuntimeDefault" },
            procMount: "Default",
            seccompProfile: { type: "RuntimeDefault" },
          },
          volumeMounts: [{ name: "v", mountPath: "/v", recursiveReadOnly: "Disabled" }],
        },
      ],
      enableServiceLinks: true,
      hostUsers: true,
      os: { name: "linux" },
      preemptionPolicy: "PreemptLowerPriority",
      priority: 0,
      securityContext: { seccompProfile: { type: "RuntimeDefault" }, supplementalGroupsPolicy: "Merge" },
      setHostnameAsFQDN: false,
      tolerations: [
        { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
        { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
      ],
      volumes: [{ name: "v", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } }],
    };
    assert.deepEqual(unsupportedFields({ spec }), []);
    assert.deepEqual(unsupportedAccountFields({ metadata: {}, automountServiceAccountToken: false }), []);
    const taints = ["not-ready", "unreachable"].flatMap((name) =>
      ["NoSchedule", "NoExecute"].map((effect) => ({ key: `node.kubernetes.io/${name}`, effect })),
    );
    const mine = { key: "mine", effect: "NoSchedule" };
    assert.deepEqual(unsupportedNodeFields({ metadata: {}, spec: { taints: [...taints, mine] } }), []);
  });
});
