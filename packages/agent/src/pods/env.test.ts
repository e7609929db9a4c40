import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container, Pod } from "@skerry/machinery/types";
import { ContainerConfigError } from "./config-error.ts";
import { containerVersion, isSameVersion } from "./container-version.ts";
import { containerEnv, type ConfigSource } from "./env.ts";
import { expand } from "./expand.ts";
import { containerResources, oomScoreAdj, podResources, qosClass } from "./resources.ts";

const source: ConfigSource = {
  configMap: (_namespace, name) =>
    name === "settings" ? { metadata: {}, data: { colour: "grey", "not ok": "x" } } : undefined,
  secret: (_namespace, name) =>
    name === "keys" ? { metadata: {}, data: { token: Buffer.from("sesame").toString("base64") } } : undefined,
};

const facts = {
  nodeName: "n1",
  podIps: ["10.42.0.2"],
  hostIps: ["192.0.2.1"],
  allocatable: { cpuMillis: 2000, memoryBytes: 2 ** 30, storageBytes: 2 ** 33 },
};

function envOf(container: Partial<Container>): Record<string, string> {
  const own: Container = { name: "main", ...container };
  const pod: Pod = {
    metadata: { namespace: "default", name: "web", uid: "u1", labels: { app: "shop" } },
    spec: { containers: [own], serviceAccountName: "robot" },
  };
  return Object.fromEntries(containerEnv(pod, own, source, facts));
}

describe("expand()", () => {
  const variables = new Map([
    ["A", "1"],
    ["B", "$(A)"],
  ]);
  for (const [text, expected] of [
    ["$(A)-$(A)", "1-1"],
    ["$(NONE)", "$(NONE)"],
    ["$$(A)", "$(A)"],
    ["$$$(A)", "$1"],
    ["$(B)", "$(A)"],
    ["cost: 5$", "cost: 5$"],
    ["$(A", "$(A"],
  ] as const) {
    it(`makes ${JSON.stringify(expected)} of ${JSON.stringify(text)}`, () =>
      assert.equal(expand(text, variables), expected));
  }
});

describe("containerEnv()", () => {
  it("takes envFrom first, with its prefix and without names that no shell holds, and lets env win", () => {
    const env = envOf({
      envFrom: [{ prefix: "S_", configMapRef: { name: "settings" } }, { secretRef: { name: "keys" } }],
      env: [
        { name: "token", value: "mine" },
        { name: "BOTH", value: "$(S_colour) $(token)" },
      ],
    });
    assert.deepEqual(env, { S_colour: "grey", token: "mine", BOTH: "grey mine" });
  });

  it("takes keys, pod fields and resources", () => {
    const env = envOf({
      resources: { limits: { memory: "64Mi", cpu: "1500m" } },
      env: [
        { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "settings", key: "colour" } } },
        { name: "TOKEN", valueFrom: { secretKeyRef: { name: "keys", key: "token" } } },
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: "MEMORY", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
        { name: "CPUS", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
        { name: "DISK", valueFrom: { resourceFieldRef: { resource: "limits.ephemeral-storage" } } },
      ],
    });
    const expected = { COLOUR: "grey", TOKEN: "sesame", IP: "10.42.0.2", APP: "shop", MEMORY: "64", CPUS: "2" };
    assert.deepEqual(env, { ...expected, DISK: String(2 ** 33) });
  });

  it("says what is missing, and goes without when it is optional", () => {
    const missing = (env: Container["env"]): RegExp | string => {
      try {
        envOf({ ...(env && { env }) });
        return "";
      } catch (error) {
        assert.ok(error instanceof ContainerConfigError);
        return error.message;
      }
    };
    const of = (name: string, key: string, optional?: boolean) => [
      { name: "X", valueFrom: { configMapKeyRef: { name, key, ...(optional !== undefined && { optional }) } } },
    ];
    assert.equal(missing(of("none", "k")), 'configmap "none" not found');
    assert.equal(missing(of("settings", "k")), "couldn't find key k in ConfigMap default/settings");
    assert.equal(missing(of("none", "k", true)), "");
    assert.equal(missing(of("settings", "k", true)), "");
    assert.throws(
      () => envOf({ envFrom: [{ secretRef: { name: "none" } }] }),
      /^ContainerConfigError: secret "none" not found$/,
    );
    assert.deepEqual(envOf({ envFrom: [{ secretRef: { name: "none", optional: true } }] }), {});
  });
});

describe("containerVersion()", () => {
  const container: Container = { name: "a", image: "app:1", env: [{ name: "X", value: "1" }] };

  it("is the same for spellings of the same, and with fields that have no say", () => {
    const version = containerVersion(container);
    assert.equal(containerVersion({ ...container, args: [], command: [], resources: {} }), version);
    assert.equal(containerVersion({ ...container, env: [{ value: "1", name: "X" }] }), version);
    assert.equal(containerVersion({ ...container, imagePullPolicy: "Always" }), version);
  });

  it("is another for another image, argument or variable", () => {
    const version = containerVersion(container);
    for (const change of [{ image: "app:2" }, { args: ["x"] }, { env: [] }]) {
      assert.notEqual(containerVersion({ ...container, ...change }), version);
      assert.equal(isSameVersion(version, { ...container, ...change }), false);
    }
  });
});

describe("resources", () => {
  const podOf = (...resources: NonNullable<Container["resources"]>[]): Pod => ({
    metadata: {},
    spec: { containers: resources.map((one, index) => ({ name: `c${index}`, resources: one })) },
  });
  const full = { limits: { cpu: "500m", memory: "64Mi" } };

  it("sorts pods by what they ask for", () => {
    assert.equal(qosClass(podOf({})), "BestEffort");
    assert.equal(qosClass(podOf(full, full)), "Guaranteed");
    assert.equal(qosClass(podOf(full, {})), "Burstable");
    assert.equal(qosClass(podOf({ requests: { cpu: "1" } })), "Burstable");
    assert.equal(qosClass(podOf({ requests: { cpu: "250m" }, ...full })), "Burstable");
  });

  it("turns cpu and memory into cgroup numbers", () => {
    const pod = podOf(full);
    const [container] = pod.spec?.containers ?? [];
    assert.ok(container);
    assert.deepEqual(containerResources(pod, container, 2 ** 30), {
      cpuShares: 512,
      cpuQuotaUs: 50_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 64 * 2 ** 20,
      oomScoreAdj: -997,
    });
    assert.deepEqual(podResources(podOf(full, full)), {
      cpuShares: 1024,
      cpuQuotaUs: 100_000,
      cpuPeriodUs: 100_000,
      memoryLimitBytes: 128 * 2 ** 20,
    });
    assert.equal(podResources(podOf(full, {})).memoryLimitBytes, 0);
    assert.equal(oomScoreAdj("Burstable", 2 ** 29, 2 ** 30), 500);
    assert.equal(oomScoreAdj("BestEffort", 0, 2 ** 30), 1000);
  });
});
