import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Json } from "../object.ts";
import { definition } from "../schema.ts";
import { CreatedFields } from "./created-fields.ts";
import type { FieldSet } from "./field-set.ts";
import { Shapes, type JsonObject } from "./shape.ts";
import { trackUpdate } from "./track-update.ts";

const POD = "io.k8s.api.core.v1.Pod";
const SHAPES = new Shapes(definition);
const STATUS: FieldSet = { "f:status": {} };

const fieldsOf = (created: CreatedFields, now: JsonObject, resetFields: FieldSet = STATUS) =>
  trackUpdate({
    old: undefined,
    now,
    manager: "test",
    time: "2026-01-01T00:00:00Z",
    apiVersion: "v1",
    subresource: "",
    ref: POD,
    shapes: SHAPES,
    created,
    resetFields,
  })?.[0]?.fieldsV1;

const pod = (name: string, container: JsonObject, labels: JsonObject = {}): JsonObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels },
  spec: { containers: [container] },
});

/** Containers that owners see differently, two of them of the same form. */
const CONTAINERS: JsonObject[] = [
  { name: "a", image: "one" },
  { name: "a", image: "two" },
  { name: "b", image: "one" },
  { image: "one", name: "a" },
  { name: "a", image: "" },
  { name: "a", env: [] },
  { name: "a", env: [{ name: "X" }] },
  { name: "a", env: [{ name: "X", value: "1" }] },
  { name: "a", env: [{ name: "X" }, { name: "X" }] },
  { name: "a", resources: {} },
  { name: "a", resources: { limits: { cpu: "0" } } },
  { name: "a", resources: { limits: { cpu: "1" } } },
  { name: "a", command: ["x"] },
  { name: "a", command: [] },
  { name: "a", stdin: false, tty: null as unknown as Json },
  { name: "a", ports: [{ containerPort: 80 }] },
  { name: "a", ports: [{ containerPort: 80, protocol: "UDP" }] },
];

describe("fields of created objects", () => {
  it("are what they are without remembering, whatever came before", () => {
    const created = new CreatedFields(SHAPES);
    for (const round of ["first", "again"]) {
      for (const [i, container] of CONTAINERS.entries()) {
        for (const labels of [{}, { app: "x" }, { app: "x", tier: "y" }]) {
          const object = pod(`${round}-${i}`, container, labels);
          assert.deepEqual(fieldsOf(created, object), fieldsOf(new CreatedFields(SHAPES), object));
        }
      }
    }
  });

  it("are shared by objects of one form, and not by others", () => {
    const created = new CreatedFields(SHAPES);
    const [first, second, other] = CONTAINERS.map((container) => fieldsOf(created, pod("x", container)));
    assert.equal(first, second);
    assert.notDeepEqual(first, other);
  });

  it("are remembered of so many forms, and of none that has long names or many of them", () => {
    const created = new CreatedFields(SHAPES);
    const isRemembered = (object: JsonObject): boolean => fieldsOf(created, object) === fieldsOf(created, object);
    const many = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`l-${i}`, "x"]));
    assert.equal(isRemembered(pod("x", { name: "a" })), true);
    assert.equal(isRemembered(pod("x", { name: "a" }, { ["l".repeat(257)]: "x" })), false);
    assert.equal(isRemembered(pod("x", { name: "a", volumeMounts: [{ mountPath: "m".repeat(257) }] })), false);
    assert.equal(isRemembered(pod("x", { name: "a" }, many)), false);
    const first = fieldsOf(created, pod("x", { name: "a" }));
    for (let i = 0; i < 2_000; i++) fieldsOf(created, pod("x", { name: `c-${i}` }));
    assert.notEqual(fieldsOf(created, pod("x", { name: "a" })), first);
  });

  it("go by what the endpoint resets", () => {
    const created = new CreatedFields(SHAPES);
    const object = { ...pod("x", { name: "a" }), status: { phase: "Running" } };
    assert.ok(!("f:status" in fieldsOf(created, object)!));
    assert.ok("f:status" in fieldsOf(created, object, { "f:spec": {} })!);
    assert.ok(!("f:status" in fieldsOf(created, object)!));
  });

  it("are right for objects of ever new forms, and for very large ones", () => {
    const created = new CreatedFields(SHAPES);
    for (let i = 0; i < 11_000; i++) fieldsOf(created, pod("x", { name: `c-${i}`, image: "x" }));
    const large = pod("x", { name: "a" }, Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`l-${i}`, "x"])));
    const long = pod("x", { name: "a", volumeMounts: [{ mountPath: `/${"m".repeat(1_000)}`, name: "v" }] });
    for (const object of [large, long, long, pod("y", { name: "c-1", image: "x" })])
      assert.deepEqual(fieldsOf(created, object), fieldsOf(new CreatedFields(SHAPES), object));
  });
});
