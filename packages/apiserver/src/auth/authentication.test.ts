import assert from "node:assert/strict";
import { once } from "node:events";
import https from "node:https";
import type { TLSSocket } from "node:tls";
import { describe, it } from "node:test";
import { createAuthority, keyToPem, toPem, type Identity } from "@skerry/base";
import { FakeClock } from "@skerry/base/testing";
import { TestApi, pod } from "../http/test-api.ts";
import { TestServer } from "../http/test-server.ts";
import type { Attributes, Authorizer } from "./authorizer.ts";

const DAY_MS = 86_400_000;
const PODS = "/api/v1/namespaces/default/pods";

/** Allows all, and notes who asked for what. */
class Witness implements Authorizer {
  readonly seen: { name: string; groups: readonly string[]; attributes: Attributes }[] = [];
  deny: (attributes: Attributes) => boolean = () => false;

  authorize(
    user: { name: string; groups: readonly string[] },
    attributes: Attributes,
  ): { allowed: boolean; reason: string } {
    this.seen.push({ name: user.name, groups: user.groups, attributes });
    return { allowed: !this.deny(attributes), reason: "" };
  }
}

describe("ApiServer authentication", () => {
  it("takes user and groups from a client certificate", async () => {
    const authorizer = new Witness();
    await using server = await new TestServer(new TestApi(), { authorizer }).start();
    const client = server.certificates.issue({ commonName: "jane", organizations: ["dev", "ops"] });
    assert.equal((await server.call("GET", PODS, { client })).status, 200);
    const [seen] = authorizer.seen;
    assert.equal(seen?.name, "jane");
    assert.deepEqual(seen?.groups, ["dev", "ops", "system:authenticated"]);
  });

  it("refuses certificates that are foreign, for servers or out of time", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const { certificates } = server;
    const foreign = createAuthority({
      commonName: "test-api-ca",
      notBefore: Date.now() - DAY_MS,
      notAfter: Date.now() + DAY_MS,
    });
    const cases: Record<string, Identity> = {
      foreign: certificates.issue({ commonName: "jane", issuer: foreign }),
      "foreign and expired": certificates.issue({ commonName: "jane", issuer: foreign, notAfter: Date.now() - 1000 }),
      expired: certificates.issue({ commonName: "jane", notAfter: Date.now() - 1000 }),
      "for servers": certificates.issue({ commonName: "jane", usage: "server" }),
      "self-signed": foreign,
    };
    for (const [what, client] of Object.entries(cases)) {
      const { status, json } = await server.call("GET", PODS, { client });
      assert.deepEqual([what, status, json.reason, json.message], [what, 401, "Unauthorized", "Unauthorized"]);
    }
  });

  it("takes a certificate of its own CA from the future: the clock went back", async () => {
    const clock = new FakeClock(Date.now() - 5 * DAY_MS);
    await using server = await new TestServer(new TestApi(), { authorizer: new Witness(), clock }).start();
    const client = server.certificates.issue({ commonName: "jane" });
    assert.equal((await server.call("GET", PODS, { client })).status, 200);
  });

  it("refuses a certificate that expires while its connection, or its TLS session, lives on", async () => {
    const clock = new FakeClock(Date.now());
    const authorizer = new Witness();
    await using server = await new TestServer(new TestApi(), { authorizer, clock }).start();
    const client = server.certificates.issue({ commonName: "jane", notAfter: Date.now() + DAY_MS });
    const agent = new https.Agent({
      keepAlive: true,
      maxSockets: 1,
      ca: server.certificates.ca,
      cert: toPem("CERTIFICATE", client.certificate.raw),
      key: keyToPem(client.key),
    });
    let resumed = false;
    const ask = async (): Promise<number> => {
      const request = https.get({ host: "127.0.0.1", port: server.port, path: PODS, agent });
      const [response] = await once(request, "response");
      resumed = (response.socket as TLSSocket).isSessionReused();
      response.resume();
      await once(response, "end");
      return response.statusCode as number;
    };
    assert.equal(await ask(), 200);
    clock.advance(DAY_MS + 1000);
    assert.equal(await ask(), 401);
    // Another connection, which takes up the TLS session of the first.
    for (const sockets of [...Object.values(agent.freeSockets), ...Object.values(agent.sockets)])
      for (const socket of sockets ?? []) socket.destroy();
    assert.equal(await ask(), 401);
    assert.equal(resumed, true);
    agent.destroy();
  });

  it("knows tokens, and refuses unknown ones even where anybody may read", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const as = (authorization: string): { headers: Record<string, string> } => ({ headers: { authorization } });
    assert.equal((await server.call("GET", PODS, as("Bearer admin"))).status, 200);
    assert.equal((await server.call("GET", PODS, as("Bearer unknown"))).status, 401);
    assert.equal((await server.call("GET", "/version", as("Bearer unknown"))).status, 401);
    const { status, json } = await server.call("GET", PODS, as("Bearer nobody"));
    assert.equal(status, 403);
    assert.equal(
      json.message,
      'pods is forbidden: User "nobody" cannot list resource "pods" in API group "" in the namespace "default"',
    );
  });

  it("lets anybody read health and version, and nothing else", async () => {
    const authorizer = new Witness();
    await using server = await new TestServer(new TestApi(), { authorizer }).start();
    const headers = { authorization: "" };
    for (const path of ["/healthz", "/livez", "/readyz", "/readyz?verbose", "/livez/ping", "/version"])
      assert.deepEqual([path, (await server.call("GET", path, { headers })).status], [path, 200]);
    for (const path of [PODS, "/api", "/metrics", "/openapi/v3", "/"])
      assert.deepEqual([path, (await server.call("GET", path, { headers })).status], [path, 401]);
  });

  it("makes a selector for one name a request about that object", async () => {
    const authorizer = new Witness();
    await using server = await new TestServer(new TestApi(), { authorizer }).start();
    await server.call("GET", `${PODS}?fieldSelector=metadata.name%3Dweb`);
    const { attributes } = authorizer.seen[0] ?? assert.fail("nobody was asked");
    assert.equal("name" in attributes && attributes.name, "web");
  });
});

describe("ApiServer impersonation", () => {
  it("acts as the wanted user when each part of that is allowed", async () => {
    const api = new TestApi();
    api.objects.set("default/a", pod("a"));
    const authorizer = new Witness();
    await using server = await new TestServer(api, { authorizer }).start();
    const headers = {
      authorization: "Bearer admin",
      "impersonate-user": "jane",
      "impersonate-group": ["dev", "a, b"],
      "impersonate-extra-scope": "view",
    };
    assert.equal((await server.call("GET", `${PODS}/a`, { headers })).status, 200);
    const { user } = api.last("get").context;
    assert.equal(user.name, "jane");
    assert.deepEqual(user.groups, ["dev", "a, b", "system:authenticated"]);
    assert.deepEqual(user.extra, { scope: ["view"] });
    const asked = authorizer.seen.filter(({ attributes }) => attributes.verb === "impersonate");
    assert.deepEqual(
      asked
        .map(({ attributes }) => attributes)
        .map((a) => ("resource" in a ? `${a.resource}/${a.subresource} ${a.name}` : "")),
      ["users/ jane", "groups/ dev", "groups/ a, b", "userextras/scope view"],
    );
    assert.ok(asked.every(({ name }) => name === "admin"));
  });

  it("is refused when a part of it is not", async () => {
    const authorizer = new Witness();
    authorizer.deny = (attributes) => "resource" in attributes && attributes.resource === "groups";
    await using server = await new TestServer(new TestApi(), { authorizer }).start();
    const headers = {
      authorization: "Bearer admin",
      "impersonate-user": "jane",
      "impersonate-group": "system:masters",
    };
    const { status, json } = await server.call("GET", PODS, { headers });
    assert.equal(status, 403);
    assert.match(
      json.message,
      /groups "system:masters" is forbidden: User "admin" cannot impersonate resource "groups"/,
    );
  });

  it("needs to know the user before anything else", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const headers = { authorization: "Bearer admin", "impersonate-group": "system:masters" };
    assert.equal((await server.call("GET", PODS, { headers })).status, 400);
  });
});
