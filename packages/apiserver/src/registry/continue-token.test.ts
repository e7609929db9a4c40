import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { statusOf } from "@skerry/machinery";
import { decodeContinue, encodeContinue } from "./continue-token.ts";

describe("continue tokens", () => {
  for (const token of [
    { revision: 12, after: { namespace: "default", name: "web" } },
    { revision: -1, after: { namespace: "", name: "node-1" } },
  ]) {
    it(`say where to go on: ${JSON.stringify(token)}`, () => {
      assert.deepEqual(decodeContinue(encodeContinue(token)), token);
    });
  }

  it("have the form that clients of Kubernetes look into", () => {
    const text = Buffer.from(encodeContinue({ revision: 7, after: { namespace: "a", name: "b" } }), "base64url");
    assert.deepEqual(JSON.parse(text.toString()), { v: "meta.k8s.io/v1", rv: 7, start: "a/b\u0000" });
  });

  for (const [what, text] of [
    ["no base64", "%%%"],
    ["no JSON", Buffer.from("nonsense").toString("base64url")],
    ["another version", Buffer.from('{"v":"x","rv":1,"start":"a\\u0000"}').toString("base64url")],
    ["no revision", Buffer.from('{"v":"meta.k8s.io/v1","start":"a\\u0000"}').toString("base64url")],
    ["no start", Buffer.from('{"v":"meta.k8s.io/v1","rv":1}').toString("base64url")],
  ] as const) {
    it(`with ${what} are refused`, () => {
      assert.throws(
        () => decodeContinue(text),
        (error) => {
          assert.equal(statusOf(error)?.code, 400);
          assert.match(statusOf(error)?.message ?? "", /^continue key is not valid: /);
          return true;
        },
      );
    });
  }
});
