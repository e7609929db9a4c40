import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ResourceAttributes } from "../authorizer.ts";
import { ruleAllows, showRule, uncovered, type PolicyRule } from "./rules.ts";

const on = (resource: string, rest: Partial<ResourceAttributes> = {}): ResourceAttributes => ({
  verb: "get",
  group: "",
  resource,
  subresource: "",
  namespace: "default",
  name: "",
  ...rest,
});

const rule = (rest: Partial<PolicyRule>): PolicyRule => ({
  verbs: ["get"],
  apiGroups: [""],
  resources: ["pods"],
  ...rest,
});

describe("ruleAllows()", () => {
  it("wants verb, group and resource to match", () => {
    assert.ok(ruleAllows(rule({}), on("pods")));
    assert.ok(!ruleAllows(rule({}), on("pods", { verb: "list" })));
    assert.ok(!ruleAllows(rule({}), on("pods", { group: "apps" })));
    assert.ok(!ruleAllows(rule({}), on("nodes")));
    assert.ok(ruleAllows({ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }, on("nodes", { verb: "patch" })));
  });

  it("tells a resource from its subresources", () => {
    const log = on("pods", { subresource: "log" });
    assert.ok(!ruleAllows(rule({}), log));
    assert.ok(ruleAllows(rule({ resources: ["pods/log"] }), log));
    assert.ok(ruleAllows(rule({ resources: ["*/log"] }), log));
    assert.ok(ruleAllows(rule({ resources: ["*"] }), log));
    assert.ok(!ruleAllows(rule({ resources: ["pods/log"] }), on("pods")));
  });

  it("holds for some names only when it says so", () => {
    const named = rule({ resourceNames: ["a"] });
    assert.ok(ruleAllows(named, on("pods", { name: "a" })));
    assert.ok(!ruleAllows(named, on("pods", { name: "b" })));
    assert.ok(!ruleAllows(named, on("pods")));
  });

  it("matches paths whole or by their beginning, and never resources", () => {
    const paths: PolicyRule = { verbs: ["get"], nonResourceURLs: ["/version", "/healthz/*"] };
    assert.ok(ruleAllows(paths, { verb: "get", path: "/version" }));
    assert.ok(ruleAllows(paths, { verb: "get", path: "/healthz/ping" }));
    assert.ok(!ruleAllows(paths, { verb: "get", path: "/version/x" }));
    assert.ok(!ruleAllows(paths, on("pods")));
    assert.ok(!ruleAllows(rule({ verbs: ["*"], resources: ["*"] }), { verb: "get", path: "/version" }));
  });
});

describe("uncovered()", () => {
  const everything: PolicyRule = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };

  it("finds nothing when each part is held, be it by different rules", () => {
    const held = [rule({ verbs: ["get"] }), rule({ verbs: ["list"] })];
    assert.deepEqual(uncovered(held, [rule({ verbs: ["get", "list"] })]), []);
    assert.deepEqual(uncovered([everything], [rule({ verbs: ["*"], resources: ["pods/exec"] })]), []);
  });

  it("finds what goes beyond", () => {
    assert.deepEqual(uncovered([rule({})], [rule({ verbs: ["get", "delete"] })]), [rule({ verbs: ["delete"] })]);
    assert.deepEqual(uncovered([rule({})], [everything]), [everything]);
    assert.deepEqual(uncovered([rule({ resources: ["*"] })], [rule({ apiGroups: ["apps"] })]), [
      rule({ apiGroups: ["apps"] }),
    ]);
    assert.deepEqual(uncovered([rule({ resourceNames: ["a"] })], [rule({})]), [rule({})]);
    assert.deepEqual(uncovered([rule({ resourceNames: ["a"] })], [rule({ resourceNames: ["a"] })]), []);
    assert.deepEqual(uncovered([everything], [{ verbs: ["get"], nonResourceURLs: ["/x"] }]).length, 1);
  });
});

describe("showRule()", () => {
  it("shows a rule as Kubernetes does", () => {
    assert.equal(
      showRule(rule({ verbs: ["get", "list"] })),
      '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
    );
  });
});
