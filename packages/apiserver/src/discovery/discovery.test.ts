import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestApi } from "../http/test-api.ts";
import { TestServer } from "../http/test-server.ts";

const AGGREGATED =
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

describe("Discovery", () => {
  it("answers the aggregated form to those who prefer it", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const { json, headers } = await server.call("GET", "/api?timeout=32s", { headers: { accept: AGGREGATED } });
    assert.equal(headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    assert.equal(json.kind, "APIGroupDiscoveryList");
    assert.equal(json.apiVersion, "apidiscovery.k8s.io/v2");
    const [pods] = json.items[0].versions[0].resources;
    assert.deepEqual(pods, {
      resource: "pods",
      responseKind: { group: "", version: "v1", kind: "Pod" },
      scope: "Namespaced",
      singularResource: "pod",
      verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
      shortNames: ["po"],
      categories: ["all"],
      subresources: [
        { subresource: "log", responseKind: { group: "", version: "v1", kind: "Pod" }, verbs: ["get"] },
        {
          subresource: "status",
          responseKind: { group: "", version: "v1", kind: "Pod" },
          verbs: ["get", "patch", "update"],
        },
      ],
    });
    const groups = await server.call("GET", "/apis", { headers: { accept: AGGREGATED } });
    assert.deepEqual(
      groups.json.items.map((item: { metadata: { name: string } }) => item.metadata.name),
      ["apps", "authorization.k8s.io"],
    );
  });

  it("falls back in the order that the client gives", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const second = AGGREGATED.replace("v=v2;", "v=v9;");
    const beta = await server.call("GET", "/apis", { headers: { accept: second } });
    assert.equal(beta.json.apiVersion, "apidiscovery.k8s.io/v2beta1");
    const plain = await server.call("GET", "/apis", { headers: { accept: `application/json,${AGGREGATED}` } });
    assert.equal(plain.json.kind, "APIGroupList");
  });

  it("answers the old documents, subresources included", async () => {
    await using server = await new TestServer(new TestApi()).start();
    assert.deepEqual((await server.call("GET", "/api")).json.versions, ["v1"]);
    const { json } = await server.call("GET", "/apis/apps/v1");
    assert.equal(json.groupVersion, "apps/v1");
    const scale = json.resources.find(({ name }: { name: string }) => name === "deployments/scale");
    assert.deepEqual(scale, {
      name: "deployments/scale",
      singularName: "",
      namespaced: true,
      group: "autoscaling",
      version: "v1",
      kind: "Scale",
      verbs: ["get", "update"],
    });
    const group = await server.call("GET", "/apis/apps");
    assert.deepEqual(group.json.preferredVersion, { groupVersion: "apps/v1", version: "v1" });
    assert.equal((await server.call("GET", "/apis/none")).status, 404);
  });

  it("tells a client that its copy is still right", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const { headers } = await server.call("GET", "/apis/apps/v1");
    const again = await server.call("GET", "/apis/apps/v1", {
      headers: { authorization: "Bearer admin", "if-none-match": String(headers.etag) },
    });
    assert.deepEqual([again.status, again.text], [304, ""]);
  });
});
