import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deepFreeze } from "./object.ts";
import { checkFields } from "./strict.ts";
import { lookup } from "./test-schema.ts";

const POD = "test.v1.Pod";
const check = (object: Parameters<typeof checkFields>[0]) => checkFields(deepFreeze(object), POD, lookup);

describe("checkFields()", () => {
  it("returns the very object when all is as it should be", () => {
    const object = {
      metadata: { name: "web", labels: { app: "web" }, creationTimestamp: "2026-01-02T03:04:05Z" },
      spec: { containers: [{ name: "c", ports: [{ containerPort: 80 }], resources: { limits: { cpu: "100m" } } }] },
    };
    const checked = check(object);
    assert.equal(checked.object, object);
    assert.deepEqual(checked.unknown, []);
    assert.equal(checked.typeError, undefined);
  });

  it("drops unknown fields and says where they were, case and all", () => {
    const { object, unknown } = check({
      spec: { Containers: [], containers: [{ name: "c", foo: 1 }], any: { free: true } },
      extra: {},
    });
    assert.deepEqual(object, { spec: { containers: [{ name: "c" }], any: { free: true } } });
    assert.deepEqual(unknown, ["spec.Containers", "spec.containers[0].foo", "extra"]);
  });

  it("takes null for missing, and for zero inside maps and lists", () => {
    const { object } = check({
      metadata: { creationTimestamp: null, labels: { a: null } },
      spec: { replicas: null, finalizers: ["x", null], containers: [null] },
    });
    assert.deepEqual(object, { metadata: { labels: { a: "" } }, spec: { finalizers: ["x", ""], containers: [{}] } });
  });

  it("writes amounts, times and bytes as the API keeps them", () => {
    const { object, typeError } = check({
      metadata: { creationTimestamp: "2026-01-02T03:04:05.678+01:00" },
      spec: {
        data: { key: "aGk=\n" },
        renewTime: "2026-01-02T03:04:05.1Z",
        containers: [{ name: "c", resources: { limits: { cpu: 0.5, memory: "1024Mi" } } }],
      },
    });
    assert.equal(typeError, undefined);
    assert.deepEqual(object, {
      metadata: { creationTimestamp: "2026-01-02T02:04:05Z" },
      spec: {
        data: { key: "aGk=" },
        renewTime: "2026-01-02T03:04:05.100000Z",
        containers: [{ name: "c", resources: { limits: { cpu: "500m", memory: "1Gi" } } }],
      },
    });
  });

  it("names wrong types in upstream's words", () => {
    const message = (spec: Parameters<typeof checkFields>[0]): string | undefined => check({ spec }).typeError;
    const field = "json: cannot unmarshal";
    assert.equal(
      message({ replicas: "1" }),
      `${field} string into Go struct field PodSpec.spec.replicas of type int32`,
    );
    assert.equal(
      message({ replicas: 1.5 }),
      `${field} number 1.5 into Go struct field PodSpec.spec.replicas of type int32`,
    );
    assert.equal(
      message({ replicas: 2 ** 31 }),
      `${field} number 2147483648 into Go struct field PodSpec.spec.replicas of type int32`,
    );
    assert.equal(
      message({ containers: [{ ports: [{ containerPort: "80" }] }] }),
      `${field} string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32`,
    );
    assert.equal(
      message({ containers: {} }),
      `${field} object into Go struct field PodSpec.spec.containers of type []v1.Container`,
    );
    assert.equal(
      message({ selector: { a: 1 } }),
      `${field} number into Go struct field PodSpec.spec.selector of type string`,
    );
    assert.equal(
      message({ selector: "a" }),
      `${field} string into Go struct field PodSpec.spec.selector of type map[string]string`,
    );
    assert.equal(
      message({ containers: ["x"] }),
      `${field} string into Go struct field PodSpec.spec.containers of type v1.Container`,
    );
    assert.equal(message({ maxSurge: true }), `${field} bool into Go value of type int32`);
    assert.match(message({ renewTime: "soon" }) ?? "", /^parsing time "soon" as "2006-/);
    assert.match(message({ data: { a: "*" } }) ?? "", /^illegal base64 data at input byte 0$/);
    assert.match(
      message({ containers: [{ resources: { limits: { cpu: "much" } } }] }) ?? "",
      /^quantities must match the regular expression/,
    );
    assert.equal(message({ maxSurge: "25%", containers: [{ resources: { limits: { cpu: 1 } } }] }), undefined);
  });
});
