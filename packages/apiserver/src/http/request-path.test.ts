import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseResourcePath } from "./request-path.ts";

const empty = { group: "", version: "v1", namespace: "", resource: "", name: "", subresource: "", watch: false };

describe("parseResourcePath()", () => {
  const cases: [string, object | undefined][] = [
    ["/api/v1/pods", { resource: "pods" }],
    ["/api/v1/pods/", { resource: "pods" }],
    ["/api/v1/namespaces", { resource: "namespaces" }],
    ["/api/v1/namespaces/a", { resource: "namespaces", name: "a", namespace: "a" }],
    ["/api/v1/namespaces/a/status", { resource: "namespaces", name: "a", namespace: "a", subresource: "status" }],
    ["/api/v1/namespaces/a/finalize", { resource: "namespaces", name: "a", namespace: "a", subresource: "finalize" }],
    ["/api/v1/namespaces/a/pods", { resource: "pods", namespace: "a" }],
    ["/api/v1/namespaces/a/pods/b", { resource: "pods", namespace: "a", name: "b" }],
    ["/api/v1/namespaces/a/pods/b/log", { resource: "pods", namespace: "a", name: "b", subresource: "log" }],
    ["/api/v1/watch/namespaces/a/pods/b", { resource: "pods", namespace: "a", name: "b", watch: true }],
    ["/api/v1/nodes/n%201/status", { resource: "nodes", name: "n 1", subresource: "status" }],
    [
      "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
      { group: "rbac.authorization.k8s.io", resource: "clusterroles", name: "system:node" },
    ],
    ["/apis/apps/v1/watch/deployments", { group: "apps", resource: "deployments", watch: true }],
    ["/api", undefined],
    ["/api/v1", undefined],
    ["/apis/apps", undefined],
    ["/apis/apps/v1", undefined],
    ["/api/v1//pods", undefined],
    ["/api/v1/nodes/%E0%A4%A", undefined],
    ["/api/v1/namespaces/a/pods/b/proxy/deep/er", undefined],
    ["/healthz", undefined],
  ];
  for (const [path, expected] of cases) {
    it(`reads ${path}`, () => {
      assert.deepEqual(parseResourcePath(path), expected && { ...empty, ...expected });
    });
  }
});
