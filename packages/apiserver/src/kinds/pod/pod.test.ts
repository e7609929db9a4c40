import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deepFreeze, type FieldError } from "@skerry/machinery";
import type { Container, Pod, PodSpec } from "@skerry/machinery/types";
import { defaultPod, hasLatestTag } from "./defaults.ts";
import { qosClassOf } from "./qos.ts";
import { validatePodUpdate } from "./validate-update.ts";
import { validatePod } from "./validate.ts";

const podOf = (spec: Partial<PodSpec>): Pod => ({
  metadata: { name: "p", namespace: "x" },
  spec: { containers: [{ name: "c", image: "busybox:1" }], ...spec },
});
const withContainer = (container: Partial<Container>): Pod =>
  podOf({ containers: [{ name: "c", image: "busybox:1", ...container }] });

/** The pod with its defaults, as it comes to validation. */
function defaulted(pod: Pod): Pod {
  const draft = structuredClone(pod);
  defaultPod(draft);
  return draft;
}

function problemsOf(pod: Pod): string[] {
  const errors: FieldError[] = [];
  validatePod(defaulted(pod), errors);
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

describe("defaultPod()", () => {
  it("fills in what upstream fills in", () => {
    const { spec } = defaulted(
      podOf({
        containers: [
          { name: "c", image: "nginx", ports: [{ containerPort: 80 }], resources: { limits: { cpu: "1" } } },
        ],
        volumes: [{ name: "a" }, { name: "b", configMap: { name: "m" } }],
      }),
    );
    assert.deepEqual(spec, {
      containers: [
        {
          name: "c",
          image: "nginx",
          imagePullPolicy: "Always",
          ports: [{ containerPort: 80, protocol: "TCP" }],
          resources: { limits: { cpu: "1" }, requests: { cpu: "1" } },
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
      dnsPolicy: "ClusterFirst",
      enableServiceLinks: true,
      restartPolicy: "Always",
      schedulerName: "default-scheduler",
      securityContext: {},
      terminationGracePeriodSeconds: 30,
      volumes: [
        { name: "a", emptyDir: {} },
        { name: "b", configMap: { name: "m", defaultMode: 420 } },
      ],
    });
  });

  it("changes nothing the second time", () => {
    const once = defaulted(podOf({ hostNetwork: true, volumes: [{ name: "s", secret: { secretName: "x" } }] }));
    const twice = structuredClone(once);
    defaultPod(twice);
    assert.deepEqual(twice, once);
  });

  it("gives the host's ports to containers in the host's network", () => {
    const pod = podOf({ hostNetwork: true, containers: [{ name: "c", ports: [{ containerPort: 80 }] }] });
    assert.equal(defaulted(pod).spec?.containers[0]?.ports?.[0]?.hostPort, 80);
  });

  for (const [image, latest] of [
    ["nginx", true],
    ["nginx:latest", true],
    ["host:5000/nginx", true],
    ["nginx:1", false],
    ["host:5000/nginx:1", false],
    ["nginx@sha256:0123", false],
    ["nginx:1@sha256:0123", false],
  ] as const) {
    it(`takes ${image} for ${latest ? "the newest" : "a fixed"} image`, () =>
      assert.equal(hasLatestTag(image), latest));
  }
});

describe("qosClassOf()", () => {
  for (const [resources, expected] of [
    [{}, "BestEffort"],
    [{ limits: { cpu: "0" } }, "BestEffort"],
    [{ requests: { cpu: "1" } }, "Burstable"],
    [{ limits: { cpu: "1" } }, "Burstable"],
    [{ limits: { cpu: "1", memory: "1Gi" } }, "Guaranteed"],
    [{ limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1000m", memory: "1Gi" } }, "Guaranteed"],
    [{ limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1", memory: "1Mi" } }, "Burstable"],
  ] as const) {
    it(`is ${expected} for ${JSON.stringify(resources)}`, () => {
      assert.equal(qosClassOf(withContainer({ resources })), expected);
    });
  }
});

describe("validatePod()", () => {
  const TABLE: readonly [what: string, pod: Pod, problems: string[]][] = [
    ["a plain pod", podOf({}), []],
    [
      "two containers of one name",
      podOf({
        containers: [
          { name: "c", image: "i" },
          { name: "c", image: "i" },
        ],
      }),
      ['spec.containers[1].name: Duplicate value: "c"'],
    ],
    ["a container without an image", withContainer({ image: "" }), ["spec.containers[0].image: Required value"]],
    [
      "a pull policy that is none",
      withContainer({ imagePullPolicy: "Sometimes" }),
      [
        'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
      ],
    ],
    [
      "a port out of range",
      withContainer({ ports: [{ containerPort: 70_000 }] }),
      ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
    ],
    [
      "two containers on one port of the host",
      podOf({
        containers: [
          { name: "a", image: "i", ports: [{ containerPort: 80, hostPort: 80 }] },
          { name: "b", image: "i", ports: [{ containerPort: 80, hostPort: 80 }] },
        ],
      }),
      ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"'],
    ],
    [
      "a variable from nowhere",
      withContainer({ env: [{ name: "A", valueFrom: {} }] }),
      [
        'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ],
    ],
    [
      "a variable with a value and a source",
      withContainer({ env: [{ name: "A", value: "1", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] }),
      ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
    ],
    [
      "a volume of two types",
      podOf({ volumes: [{ name: "v", emptyDir: {}, hostPath: { path: "/x" } }] }),
      ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
    ],
    [
      "a mount outside of its volume",
      podOf({
        volumes: [{ name: "v", emptyDir: {} }],
        containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/v", subPath: "../x" }] }],
      }),
      ["spec.containers[0].volumeMounts[0].subPath: Invalid value: \"../x\": must not contain '..'"],
    ],
    [
      "a mount that shows on the host, of a container without the right to it",
      podOf({
        volumes: [{ name: "v", emptyDir: {} }],
        containers: [
          {
            name: "c",
            image: "i",
            volumeMounts: [{ name: "v", mountPath: "/v", mountPropagation: "Bidirectional" }],
          },
        ],
      }),
      [
        "spec.containers[0].volumeMounts[0].mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
      ],
    ],
    [
      "a mount that shows on the host, of a privileged container",
      podOf({
        volumes: [{ name: "v", emptyDir: {} }],
        containers: [
          {
            name: "c",
            image: "i",
            securityContext: { privileged: true },
            volumeMounts: [{ name: "v", mountPath: "/v", mountPropagation: "Bidirectional" }],
          },
        ],
      }),
      [],
    ],
    [
      "an amount of nobody knows what",
      withContainer({ resources: { limits: { gold: "1" } } }),
      [
        'spec.containers[0].resources.limits[gold]: Invalid value: "gold": must be a standard resource for containers',
        'spec.containers[0].resources.requests[gold]: Invalid value: "gold": must be a standard resource for containers',
      ],
    ],
    [
      "a toleration of everything that names a value",
      podOf({ tolerations: [{ operator: "Equal", value: "x" }] }),
      [
        'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ],
    ],
    [
      "a host alias without an address",
      podOf({ hostAliases: [{ ip: "here", hostnames: ["a"] }] }),
      ['spec.hostAliases[0].ip: Invalid value: "here": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ],
    [
      "a probe that does nothing",
      withContainer({ livenessProbe: {} }),
      ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
    ],
    [
      "users and groups that are none",
      podOf({
        containers: [{ name: "c", image: "busybox:1", securityContext: { runAsUser: 2 ** 32, runAsGroup: -1 } }],
        securityContext: { fsGroup: 2 ** 31, supplementalGroups: [0, -1] },
      }),
      [
        "spec.containers[0].securityContext.runAsUser: Invalid value: 4294967296: must be between 0 and 2147483647, inclusive",
        "spec.containers[0].securityContext.runAsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        "spec.securityContext.fsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
        "spec.securityContext.supplementalGroups[1]: Invalid value: -1: must be between 0 and 2147483647, inclusive",
      ],
    ],
    [
      "privileges that are given and taken",
      withContainer({ securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
      [
        'spec.containers[0].securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set ' +
          "`allowPrivilegeEscalation` to false and `privileged` to true",
      ],
    ],
    [
      "the host's processes and the pod's own together",
      podOf({ hostPID: true, shareProcessNamespace: true }),
      ["spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"],
    ],
    [
      "a kernel setting twice, and one without a name",
      podOf({
        securityContext: {
          sysctls: [
            { name: "net.ipv4.ip_default_ttl", value: "1" },
            { name: "net.ipv4.ip_default_ttl", value: "2" },
            { name: "", value: "1" },
          ],
        },
      }),
      [
        'spec.securityContext.sysctls[1].name: Duplicate value: "net.ipv4.ip_default_ttl"',
        "spec.securityContext.sysctls[2].name: Required value",
      ],
    ],
    [
      "no name server at all",
      podOf({ dnsPolicy: "None" }),
      ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    ],
    [
      "name servers and options that are none",
      podOf({ dnsConfig: { nameservers: ["dns"], searches: [".", "_tcp.local."], options: [{ value: "1" }] } }),
      [
        'spec.dnsConfig.nameservers[0]: Invalid value: "dns": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        "spec.dnsConfig.options[0]: Required value: must not be empty",
      ],
    ],
  ];
  for (const [what, pod, problems] of TABLE) {
    it(`${problems.length === 0 ? "accepts" : "refuses"} ${what}`, () => assert.deepEqual(problemsOf(pod), problems));
  }
});

describe("validatePodUpdate()", () => {
  const old = deepFreeze(
    defaulted(podOf({ activeDeadlineSeconds: 100, tolerations: [{ key: "a", operator: "Exists" }] })),
  );
  const problems = (change: (spec: PodSpec) => void): string[] => {
    const draft = structuredClone(old);
    if (draft.spec) change(draft.spec);
    const errors: FieldError[] = [];
    validatePodUpdate(draft, old, errors);
    return errors.map(({ field, message }) => `${field}: ${message.split("\n")[0]}`);
  };

  it("allows another image, a nearer deadline and more tolerations", () => {
    assert.deepEqual(
      problems((spec) => {
        spec.containers[0] = { ...spec.containers[0], name: "c", image: "busybox:2" };
        spec.activeDeadlineSeconds = 50;
        spec.tolerations = [...(spec.tolerations ?? []), { key: "b", operator: "Exists" }];
      }),
      [],
    );
  });

  it("refuses the rest", () => {
    assert.match(
      problems((spec) => (spec.hostNetwork = true))[0] ?? "",
      /^spec: Forbidden: pod updates may not change/,
    );
    assert.match(
      problems((spec) => (spec.nodeName = "other"))[0] ?? "",
      /^spec: Forbidden: pod updates may not change/,
    );
    assert.deepEqual(
      problems((spec) => (spec.activeDeadlineSeconds = 200)),
      ["spec.activeDeadlineSeconds: Invalid value: 200: must be less than or equal to previous value"],
    );
    assert.deepEqual(
      problems((spec) => (spec.tolerations = [])),
      ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
    );
    assert.deepEqual(
      problems((spec) => spec.containers.push({ name: "d", image: "i" })),
      ["spec.containers: Forbidden: pod updates may not add or remove containers"],
    );
  });
});
