import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KubeObject } from "@skerry/machinery";
import { encoderOf, FromBytes, withRevision } from "./encoding.ts";

const read = (bytes: Uint8Array): KubeObject => JSON.parse(Buffer.from(bytes).toString("utf8")) as KubeObject;
const pod = (metadata: KubeObject["metadata"], more: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata,
  ...more,
});

describe("encoderOf()", () => {
  it("puts the revision into bytes made before it was known", () => {
    const object = pod({ name: "p", resourceVersion: "1", labels: { ä: "ö" } }, { spec: { metadata: { x: 1 } } });
    const encode = encoderOf(object);
    for (const revision of [7, 123456]) {
      assert.deepEqual(read(encode(revision)), {
        ...object,
        metadata: { ...object.metadata, resourceVersion: String(revision) },
      });
    }
  });

  it("manages without any other metadata", () => {
    assert.deepEqual(read(encoderOf(pod({}))(3)), pod({ resourceVersion: "3" }));
  });

  it("refuses what is too large, in bytes and whatever the letters", () => {
    const withMessage = (message: string): KubeObject => pod({ name: "p" }, { status: { message } });
    const mib = 1 << 20;
    for (const message of ["x".repeat(3 * mib), "水".repeat(mib), "🌊".repeat(0.75 * mib)])
      encoderOf(withMessage(message));
    for (const message of ["x".repeat(4 * mib), "水".repeat(1.2 * mib), "🌊".repeat(mib)]) {
      assert.throws(() => encoderOf(withMessage(message)), { reason: "RequestEntityTooLarge" });
    }
  });
});

describe("withRevision()", () => {
  it("changes the revision and nothing else", () => {
    const object = pod({ name: "p" }, { data: { text: '"metadata":{"resourceVersion":"5"' } });
    const encoded = new FromBytes({ namespace: "", name: "p" }, 5, encoderOf(object)(5));
    assert.deepEqual(read(withRevision(encoded, 1234)), {
      ...object,
      metadata: { name: "p", resourceVersion: "1234" },
    });
  });

  it("reads bytes that somebody else wrote", () => {
    const text =
      '{"spec":{"template":{"metadata":{"resourceVersion":"5"}}},"apiVersion":"v1","kind":"X","metadata":{"name":"p","resourceVersion":"5"}}';
    const encoded = new FromBytes({ namespace: "", name: "p" }, 5, Buffer.from(text));
    const changed = read(withRevision(encoded, 6)) as KubeObject & { spec: object };
    assert.equal(changed.metadata.resourceVersion, "6");
    assert.deepEqual(changed.spec, { template: { metadata: { resourceVersion: "5" } } });
  });
});
