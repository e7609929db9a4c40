import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { eventually } from "@skerry/base/testing";
import type { Client } from "@skerry/client";
import { reconcileBootstrapRoles } from "@skerry/apiserver";
import { kinds, type KubeObject } from "@skerry/machinery";
import type { ClusterRole } from "@skerry/machinery/types";
import { ApiWorld } from "./api-world.ts";

interface RecordedRequest {
  client: string;
  command: string;
  method: string;
  url: string;
  accept: string;
  contentType?: string;
  body?: string;
  /** What the API answers in the world that the test makes. */
  status: number;
}

const template = { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "c", image: "nginx" }] } };

const create = (client: Client, kind: (typeof kinds)[keyof typeof kinds], object: object): Promise<unknown> =>
  client.create(kind as Parameters<Client["create"]>[0], object as KubeObject);

describe("requests that kubectl and Helm were seen to send", () => {
  it("are answered as those clients expect", async () => {
    const file = path.join(import.meta.dirname, "conformance/client-requests.json");
    const requests = JSON.parse(readFileSync(file, "utf8")) as RecordedRequest[];
    await using world = await new ApiWorld().start();
    const admin = world.identity("admin", ["system:masters"]);
    const client = world.client();
    const named = (name: string): object => ({ name, namespace: "default" });
    await create(client, kinds.Node, { metadata: { name: "edge-1" } });
    await create(client, kinds.Deployment, {
      metadata: named("d1"),
      spec: { selector: { matchLabels: { app: "x" } }, template },
    });
    await create(client, kinds.Pod, { metadata: named("p1"), spec: template.spec });
    await create(client, kinds.Pod, { metadata: named("p9"), spec: template.spec });
    for (const { command, method, url, accept, contentType, body, status } of requests) {
      const headers = { accept, ...(contentType !== undefined && { "content-type": contentType }) };
      const what = `${command}: ${method} ${url}`;
      if (url.includes("watch=true")) {
        const watch = await world.watch(fromStart(url), { as: admin, headers });
        watch.close();
        assert.equal(watch.status, status, what);
        continue;
      }
      const answer = await world.call(method, url, { as: admin, headers, ...(body !== undefined && { body }) });
      assert.equal(answer.status, status, `${what}\n${answer.text}`);
    }
  });
});

/** A recorded watch, from a revision that this world has. */
const fromStart = (url: string): string => url.replace(/resourceVersion=\d+/, "resourceVersion=1");

describe("roles", () => {
  it("give rights, in a namespace, until they are taken away", async () => {
    await using world = await new ApiWorld().start();
    const client = world.client();
    const jane = world.identity("jane", []);
    const pods = "/api/v1/namespaces/default/pods";
    const statusOf = async (url: string): Promise<number> => (await world.call("GET", url, { as: jane })).status;
    assert.equal(await statusOf(pods), 403);
    await create(client, kinds.Role, {
      metadata: { name: "r", namespace: "default" },
      rules: [{ verbs: ["list"], apiGroups: [""], resources: ["pods"] }],
    });
    await create(client, kinds.RoleBinding, {
      metadata: { name: "rb", namespace: "default" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
      subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "jane" }],
    });
    await eventually(async () => (await statusOf(pods)) === 200, { what: "jane's right" });
    assert.equal(await statusOf("/api/v1/namespaces/kube-system/pods"), 403);
    assert.equal(await statusOf(`${pods}?watch=true`), 403);
    assert.equal(await statusOf("/api"), 200);
    await client.delete(kinds.RoleBinding, { namespace: "default", name: "rb" });
    await eventually(async () => (await statusOf(pods)) === 403, { what: "jane's right to be gone" });
  });

  it("let nobody give what he has not", async () => {
    await using world = await new ApiWorld().start();
    const client = world.client();
    await create(client, kinds.ClusterRoleBinding, {
      metadata: { name: "jane" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "admin" },
      subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "jane" }],
    });
    const jane = world.identity("jane", []);
    const post = (resource: string, object: object): ReturnType<ApiWorld["call"]> =>
      world.call("POST", `/apis/rbac.authorization.k8s.io/v1/namespaces/default/${resource}`, {
        as: jane,
        headers: { "content-type": "application/json" },
        body: JSON.stringify(object),
      });
    const role = (name: string, resource: string): object => ({
      metadata: { name },
      rules: [{ verbs: ["get"], apiGroups: [""], resources: [resource] }],
    });
    await eventually(async () => (await post("roles", role("fine", "pods"))).status === 201, { what: "jane's rights" });
    const refused = await post("roles", role("more", "nodes"));
    assert.equal(refused.status, 403);
    assert.match(
      refused.json.message,
      /attempting to grant RBAC permissions not currently held:\n\{APIGroups:\[""\], Resources:\["nodes"\]/,
    );
    const bind = (kind: string, name: string): ReturnType<typeof post> =>
      post("rolebindings", {
        metadata: { name: "more" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
        subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "jane" }],
      });
    assert.equal((await bind("ClusterRole", "cluster-admin")).status, 403);
    // A role that is made later may give anything.
    const early = await bind("Role", "later");
    assert.equal(early.status, 404);
    assert.equal(early.json.message, 'roles.rbac.authorization.k8s.io "later" not found');
    assert.equal((await bind("Role", "fine")).status, 201);
  });

  it("of the start get back what they lost, and keep what they were given", async () => {
    await using world = await new ApiWorld().start();
    const client = world.client();
    const key = { namespace: "", name: "view" };
    const { metadata } = (await client.get(kinds.ClusterRole, key)).decode();
    const own = { verbs: ["get"], apiGroups: ["example.com"], resources: ["things"] };
    await client.update(kinds.ClusterRole, { metadata, rules: [own] } as ClusterRole);
    await reconcileBootstrapRoles(client);
    const { rules } = (await client.get(kinds.ClusterRole, key)).decode();
    assert.deepEqual(rules?.[0], own);
    assert.ok(rules?.some(({ resources }) => resources?.includes("configmaps")));
    const { revision } = await client.get(kinds.ClusterRole, key);
    await reconcileBootstrapRoles(client);
    assert.equal((await client.get(kinds.ClusterRole, key)).revision, revision);
  });
});

describe("service accounts", () => {
  it("act by their tokens, as long as they live", async () => {
    await using world = await new ApiWorld().start();
    const client = world.client();
    const admin = world.identity("admin", ["system:masters"]);
    const key = { namespace: "default", name: "robot" };
    await create(client, kinds.ServiceAccount, { metadata: key });
    const json = { "content-type": "application/json" };
    const url = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    const made = await world.call("POST", url, {
      as: admin,
      headers: json,
      body: '{"spec":{"expirationSeconds":600}}',
    });
    assert.equal(made.status, 201, made.text);
    const { token } = made.json.status;

    const whoami = (): ReturnType<ApiWorld["call"]> =>
      world.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", { as: token, headers: json, body: "{}" });
    const who = await whoami();
    assert.equal(who.json.status.userInfo.username, "system:serviceaccount:default:robot");
    assert.ok(who.json.status.userInfo.groups.includes("system:serviceaccounts:default"));

    const review = await world.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
      as: admin,
      headers: json,
      body: JSON.stringify({ spec: { token } }),
    });
    assert.equal(review.json.status.authenticated, true);

    await client.delete(kinds.ServiceAccount, key);
    assert.equal((await whoami()).status, 401);
    await create(client, kinds.ServiceAccount, { metadata: key });
    assert.equal((await whoami()).status, 401, "another account of the same name is another account");
  });

  it("get no token that lasts too short a time, or for a pod that is not there", async () => {
    await using world = await new ApiWorld().start();
    await create(world.client(), kinds.ServiceAccount, { metadata: { name: "robot", namespace: "default" } });
    const ask = (spec: object): ReturnType<ApiWorld["call"]> =>
      world.call("POST", "/api/v1/namespaces/default/serviceaccounts/robot/token", {
        as: world.identity("admin", ["system:masters"]),
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ spec }),
      });
    assert.equal((await ask({ expirationSeconds: 10 })).status, 422);
    assert.equal((await ask({ boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "none" } })).status, 404);
  });
});

describe("OpenAPI", () => {
  it("has an index whose documents may be kept for ever", async () => {
    await using world = await new ApiWorld().start();
    const as = world.identity("admin", ["system:masters"]);
    const index = await world.call("GET", "/openapi/v3", { as });
    const { serverRelativeURL } = index.json.paths["apis/apps/v1"] as { serverRelativeURL: string };
    const document = await world.call("GET", serverRelativeURL, { as });
    assert.equal(document.headers["cache-control"], "public, immutable");
    const { paths, components } = document.json;
    const patch = paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"].patch;
    assert.deepEqual(patch["x-kubernetes-group-version-kind"], { group: "apps", kind: "Deployment", version: "v1" });
    assert.ok(patch.parameters.some(({ name }: { name: string }) => name === "fieldValidation"));
    assert.ok("application/strategic-merge-patch+json" in patch.requestBody.content);
    for (const [, ref = ""] of document.text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
      assert.ok(ref in components.schemas, ref);
    const wrong = await world.call("GET", "/openapi/v3/apis/apps/v1?hash=ABC", { as });
    assert.equal(wrong.status, 301);
    assert.equal(wrong.headers.location, serverRelativeURL);
  });
});

describe("health", () => {
  it("is told to anybody, and says what it looked at", async () => {
    await using world = await new ApiWorld().start();
    const { status, text } = await world.call("GET", "/readyz?verbose", {
      as: world.identity("admin", ["system:masters"]),
    });
    assert.equal(status, 200);
    assert.match(text, /^\[\+\]ping ok\n/);
  });
});

describe("a watch over HTTPS", () => {
  it("brings what there is, a mark, and then what changes", async () => {
    await using world = await new ApiWorld().start();
    const client = world.client();
    const name = (n: string): object => ({ metadata: { name: n, namespace: "default" } });
    await create(client, kinds.ConfigMap, name("a"));
    const as = world.identity("admin", ["system:masters"]);
    const query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    const watch = await world.watch(`/api/v1/namespaces/default/configmaps?${query}`, { as });
    const seen: unknown[] = [];
    for await (const { type, object } of watch.events) {
      seen.push([type, object.metadata.name ?? object.metadata.annotations]);
      if (type === "BOOKMARK") {
        await create(client, kinds.ConfigMap, name("b"));
        await client.delete(kinds.ConfigMap, { namespace: "default", name: "a" });
      }
      if (type === "DELETED") break;
    }
    watch.close();
    assert.deepEqual(seen, [
      ["ADDED", "a"],
      ["BOOKMARK", { "k8s.io/initial-events-end": "true" }],
      ["ADDED", "b"],
      ["DELETED", "a"],
    ]);
  });
});

describe("large answers", () => {
  it("are compressed, and the same as the plain ones", async () => {
    await using world = await new ApiWorld().start();
    const client = world.client();
    const data = { filler: "x".repeat(20_000) };
    for (let i = 0; i < 10; i++)
      await create(client, kinds.ConfigMap, { metadata: { name: `c${i}`, namespace: "default" }, data });
    const as = world.identity("admin", ["system:masters"]);
    const url = "/api/v1/namespaces/default/configmaps";
    const plain = await world.call("GET", url, { as });
    const small = await world.call("GET", url, { as, headers: { "accept-encoding": "gzip" } });
    assert.equal(small.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(small.body).toString("utf8"), plain.text);
  });
});

describe("an apply", () => {
  it("makes nothing for somebody who may only change", async () => {
    await using world = await new ApiWorld().start();
    const client = world.client();
    const group = "rbac.authorization.k8s.io";
    await create(client, kinds.Role, {
      metadata: { name: "r", namespace: "default" },
      rules: [{ verbs: ["get", "patch"], apiGroups: [""], resources: ["configmaps"] }],
    });
    await create(client, kinds.RoleBinding, {
      metadata: { name: "r", namespace: "default" },
      roleRef: { apiGroup: group, kind: "Role", name: "r" },
      subjects: [{ kind: "User", apiGroup: group, name: "jane" }],
    });
    await create(client, kinds.ConfigMap, { metadata: { name: "there", namespace: "default" } });
    const jane = world.identity("jane", []);
    const apply = (name: string): ReturnType<ApiWorld["call"]> =>
      world.call("PATCH", `/api/v1/namespaces/default/configmaps/${name}?fieldManager=jane`, {
        as: jane,
        headers: { "content-type": "application/apply-patch+yaml" },
        body: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { a: "1" } }),
      });
    await eventually(async () => (await apply("there")).status === 200, { what: "jane's right" });
    const refused = await apply("new");
    assert.equal(refused.status, 403);
    assert.match(refused.json.message, /User "jane" cannot create resource "configmaps"/);
  });
});
