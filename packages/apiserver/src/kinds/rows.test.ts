import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { definition, kinds, resourceOf, type FieldError, type Kind, type KubeObject } from "@skerry/machinery";
import { kindRows } from "./rows.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const ROWS = kindRows(() => NOW);
const minutesAgo = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();
const META = { name: "x", namespace: "default", creationTimestamp: minutesAgo(90) };

function rowOf(kind: Kind) {
  const row = ROWS.find((candidate) => candidate.kind === kind);
  assert.ok(row, kind.kind);
  return row;
}

/** What a new object becomes before it is validated. */
function madeOf(kind: Kind, object: object): KubeObject & Record<string, unknown> {
  const draft = { metadata: structuredClone(META), ...structuredClone(object) } as KubeObject & Record<string, unknown>;
  rowOf(kind).defaults?.(draft);
  rowOf(kind).prepareForCreate?.(draft);
  return draft;
}

function problemsOf(kind: Kind, object: object, old?: object): string[] {
  const errors: FieldError[] = [];
  const row = rowOf(kind);
  const draft = madeOf(kind, object);
  row.validate?.(draft, errors);
  if (old) row.validateUpdate?.(draft, madeOf(kind, old), errors);
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

describe("kindRows()", () => {
  for (const row of ROWS) {
    it(`serves ${resourceOf(row.kind)} by a schema that is known`, () => {
      assert.ok(definition(row.kind.schema));
      for (const sub of row.subresources ?? []) {
        if (sub.form !== "stream" && sub.kind) assert.ok(definition(sub.kind.schema), sub.name);
      }
    });

    it(`fills in ${resourceOf(row.kind)} once and for all`, () => {
      const once = madeOf(row.kind, { spec: { template: { spec: { containers: [{ name: "c", image: "i" }] } } } });
      const twice = structuredClone(once);
      row.defaults?.(twice);
      assert.deepEqual(twice, once);
    });
  }
});

const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "nginx:1" }] } };
const selector = { matchLabels: { app: "web" } };
const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "edit" };

describe("columns", () => {
  const TABLE: readonly [kind: Kind, object: object, cells: Record<string, unknown>][] = [
    [kinds.Namespace, { status: { phase: "Active" } }, { Status: "Active", Age: "90m" }],
    [kinds.ConfigMap, { data: { a: "" }, binaryData: { b: "" } }, { Data: 2, Age: "90m" }],
    [kinds.Secret, { type: "Opaque", data: { a: "" } }, { Type: "Opaque", Data: 1, Age: "90m" }],
    [kinds.Lease, { spec: { holderIdentity: "me" } }, { Holder: "me", Age: "90m" }],
    [kinds.Role, {}, { "Created At": META.creationTimestamp }],
    [
      kinds.Deployment,
      {
        spec: { replicas: 3, selector, template },
        status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 },
      },
      {
        Ready: "2/3",
        "Up-to-date": 3,
        Available: 1,
        Age: "90m",
        Containers: "c",
        Images: "nginx:1",
        Selector: "app=web",
      },
    ],
    [
      kinds.ReplicaSet,
      { spec: { replicas: 3, selector, template }, status: { replicas: 3, readyReplicas: 2 } },
      { Desired: 3, Current: 3, Ready: 2, Age: "90m", Containers: "c", Images: "nginx:1", Selector: "app=web" },
    ],
    [
      kinds.Node,
      {
        metadata: { ...META, labels: { "node-role.kubernetes.io/edge": "", "kubernetes.io/role": "gateway" } },
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: "Ready", status: "Unknown" }],
          addresses: [{ type: "InternalIP", address: "10.0.0.1" }],
          nodeInfo: {
            kubeletVersion: "v1.35.0",
            osImage: "Debian",
            kernelVersion: "6.1",
            containerRuntimeVersion: "c://1",
          },
        },
      },
      {
        Status: "NotReady,SchedulingDisabled",
        Roles: "edge,gateway",
        Age: "90m",
        Version: "v1.35.0",
        "Internal-IP": "10.0.0.1",
        "External-IP": "<none>",
        "OS-Image": "Debian",
        "Kernel-Version": "6.1",
        "Container-Runtime": "c://1",
      },
    ],
    [
      kinds.RoleBinding,
      {
        roleRef,
        subjects: [
          { kind: "User", name: "jane" },
          { kind: "Group", name: "dev" },
          { kind: "ServiceAccount", name: "robot", namespace: "x" },
        ],
      },
      { Role: "ClusterRole/edit", Age: "90m", Users: "jane", Groups: "dev", ServiceAccounts: "x/robot" },
    ],
    [
      kinds.Event,
      {
        type: "Warning",
        reason: "BackOff",
        message: "Back-off restarting\n",
        count: 4,
        firstTimestamp: minutesAgo(60),
        lastTimestamp: minutesAgo(5),
        source: { component: "kubelet", host: "edge-1" },
        involvedObject: { kind: "Pod", name: "web", fieldPath: "spec.containers{c}" },
      },
      {
        "Last Seen": "5m",
        Type: "Warning",
        Reason: "BackOff",
        Object: "pod/web",
        Subobject: "spec.containers{c}",
        Source: "kubelet, edge-1",
        Message: "Back-off restarting",
        "First Seen": "60m",
        Count: 4,
        Name: "x",
      },
    ],
  ];
  for (const [kind, object, cells] of TABLE) {
    it(`of ${resourceOf(kind)} are those that kubectl shows`, () => {
      const shown = { metadata: META, ...object } as KubeObject;
      assert.deepEqual(
        rowOf(kind).columns.map((column) => [column.name, column.cell(shown, NOW)]),
        Object.entries(cells),
      );
    });
  }
});

describe("what kinds are made into", () => {
  it("a namespace carries its name as a label, and a finalizer", () => {
    const { metadata, spec, status } = madeOf(kinds.Namespace, { spec: { finalizers: ["example.com/x"] } });
    assert.deepEqual(metadata.labels, { "kubernetes.io/metadata.name": "x" });
    assert.deepEqual(spec, { finalizers: ["example.com/x", "kubernetes"] });
    assert.deepEqual(status, { phase: "Active" });
  });

  it("a secret's text becomes data", () => {
    const secret = madeOf(kinds.Secret, { data: { a: "eA==" }, stringData: { a: "text", b: "ü" } });
    assert.deepEqual(secret["data"], { a: "dGV4dA==", b: "w7w=" });
    assert.deepEqual([secret["stringData"], secret["type"]], [undefined, "Opaque"]);
  });

  it("a deployment rolls out by quarters", () => {
    const { spec } = madeOf(kinds.Deployment, { spec: { selector, template } }) as { spec?: Record<string, unknown> };
    assert.deepEqual(
      [spec?.["replicas"], spec?.["revisionHistoryLimit"], spec?.["progressDeadlineSeconds"], spec?.["strategy"]],
      [1, 10, 600, { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } }],
    );
  });

  it("a node is all for pods unless it says otherwise", () => {
    const { status } = madeOf(kinds.Node, { status: { capacity: { cpu: "2" } } });
    assert.deepEqual(status, { capacity: { cpu: "2" }, allocatable: { cpu: "2" } });
  });

  it("a binding's role and users are of the RBAC group", () => {
    const { apiGroup, ...plain } = roleRef;
    const binding = madeOf(kinds.RoleBinding, { roleRef: plain, subjects: [{ kind: "User", name: "j" }] });
    assert.deepEqual(binding["roleRef"], roleRef);
    assert.deepEqual(binding["subjects"], [{ kind: "User", name: "j", apiGroup }]);
  });
});

describe("what kinds refuse", () => {
  const deployment = (spec: object): object => ({ spec: { selector, template, ...spec } });
  const TABLE: readonly [what: string, kind: Kind, object: object, problems: string[], old?: object][] = [
    ["a deployment without a selector", kinds.Deployment, { spec: { template } }, ["spec.selector: Required value"]],
    [
      "a selector of everything",
      kinds.Deployment,
      deployment({ selector: {} }),
      ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    ],
    [
      "pods that don't run for good",
      kinds.ReplicaSet,
      deployment({ template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } }),
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    [
      "a strategy that is none",
      kinds.Deployment,
      deployment({ strategy: { type: "Fast" } }),
      ['spec.strategy.type: Unsupported value: "Fast": supported values: "Recreate", "RollingUpdate"'],
    ],
    [
      "a rolling update of a strategy that recreates",
      kinds.Deployment,
      deployment({ strategy: { type: "Recreate", rollingUpdate: {} } }),
      ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    ],
    [
      "a deadline before readiness",
      kinds.Deployment,
      deployment({ minReadySeconds: 30, progressDeadlineSeconds: 30 }),
      ["spec.progressDeadlineSeconds: Invalid value: 30: must be greater than minReadySeconds"],
    ],
    [
      "more than all unavailable",
      kinds.Deployment,
      deployment({ strategy: { rollingUpdate: { maxUnavailable: "101%" } } }),
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
    ],
    [
      "a lease of no length",
      kinds.Lease,
      { spec: { leaseDurationSeconds: 0 } },
      ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
    ],
    [
      "one taint twice",
      kinds.Node,
      {
        spec: {
          taints: [
            { key: "a", effect: "NoSchedule" },
            { key: "a", effect: "NoSchedule" },
          ],
        },
      },
      ['spec.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}'],
    ],
    [
      "a taint without a key",
      kinds.Node,
      { spec: { taints: [{ effect: "NoSchedule" }] } },
      [
        'spec.taints[0].key: Invalid value: "": name part must be non-empty',
        "spec.taints[0].key: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and " +
          "must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " +
          "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      ],
    ],
    [
      "another CIDR for a node",
      kinds.Node,
      { spec: { podCIDR: "10.42.1.0/24" } },
      ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
      { spec: { podCIDR: "10.42.0.0/24" } },
    ],
    [
      "an event about another namespace",
      kinds.Event,
      { involvedObject: { kind: "Pod", name: "p", namespace: "other" } },
      ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
    ],
    [
      "a docker configuration that is no JSON, without showing it",
      kinds.Secret,
      { type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": "c2VjcmV0" } },
      ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be JSON'],
    ],
    ["nothing about a type that only sounds like one of JavaScript's", kinds.Secret, { type: "constructor" }, []],
    [
      "another type for a secret",
      kinds.Secret,
      { type: "a/b" },
      ['type: Invalid value: "a/b": field is immutable'],
      { type: "c/d" },
    ],
    [
      "a role for paths",
      kinds.Role,
      { rules: [{ nonResourceURLs: ["/healthz"], verbs: ["get"] }] },
      ['rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs'],
    ],
    [
      "a role made of others that says of none",
      kinds.ClusterRole,
      { aggregationRule: {} },
      [
        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if " +
          "aggregationRule is non-nil",
      ],
    ],
    [
      "a role made of others that cannot be told",
      kinds.ClusterRole,
      { aggregationRule: { clusterRoleSelectors: [{ matchExpressions: [{ key: "a", operator: "Like" }] }] } },
      [
        'aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: "Like": ' +
          "not a valid selector operator",
      ],
    ],
    [
      "another role for a binding",
      kinds.RoleBinding,
      { roleRef: { ...roleRef, name: "view" } },
      [
        'roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}: cannot change roleRef',
      ],
      { roleRef },
    ],
    [
      "a service account of nowhere, for the whole cluster",
      kinds.ClusterRoleBinding,
      { roleRef, subjects: [{ kind: "ServiceAccount", name: "robot" }] },
      ["subjects[0].namespace: Required value"],
    ],
    [
      "a subject that is nobody",
      kinds.RoleBinding,
      { roleRef, subjects: [{ kind: "Dog", name: "rex" }] },
      ['subjects[0].kind: Unsupported value: "Dog": supported values: "Group", "ServiceAccount", "User"'],
    ],
  ];
  for (const [what, kind, object, problems, old] of TABLE) {
    it(`${resourceOf(kind)}: ${what}`, () => assert.deepEqual(problemsOf(kind, object, old), problems));
  }
});
