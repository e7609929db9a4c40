import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PodTemplateSpec } from "@skerry/machinery/types";
import { sameTemplate, templateHash } from "./template-hash.ts";

const template = (image: string, labels: Record<string, string> = { app: "web" }): PodTemplateSpec =>
  ({ metadata: { labels }, spec: { containers: [{ name: "c", image }] } }) as unknown as PodTemplateSpec;

describe("templateHash()", () => {
  it("is the same for equal templates in any order of fields, and another after a collision", () => {
    const a = { metadata: { labels: { x: "1", y: "2" } } } as unknown as PodTemplateSpec;
    const b = { metadata: { labels: { y: "2", x: "1" } } } as unknown as PodTemplateSpec;
    assert.equal(templateHash(a), templateHash(b));
    assert.notEqual(templateHash(a), templateHash(a, 1));
    assert.notEqual(templateHash(template("a")), templateHash(template("b")));
    assert.match(templateHash(a), /^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
  });
});

describe("sameTemplate()", () => {
  it("does not count the hash label", () => {
    assert.equal(sameTemplate(template("a"), template("a", { app: "web", "pod-template-hash": "x" })), true);
    assert.equal(sameTemplate(template("a"), template("b")), false);
  });
});
