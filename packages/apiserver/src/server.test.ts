import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import https from "node:https";
import timers from "node:timers/promises";
import { connect } from "node:tls";
import { constants } from "node:http2";
import { gunzipSync } from "node:zlib";
import { keyToPem, toPem } from "@skerry/base";
import { badRequest, StatusError } from "@skerry/machinery";
import { eventually, FakeClock } from "@skerry/base/testing";
import type { Authorizer } from "./auth/authorizer.ts";
import { failing, pod, silence, TestApi, type encoded } from "./http/test-api.ts";
import { call2, TestServer } from "./http/test-server.ts";

const PODS = "/api/v1/namespaces/default/pods";

describe("ApiServer reads", () => {
  it("answers an object with the very bytes of storage", async () => {
    const api = new TestApi();
    api.objects.set("default/a", pod("a"));
    await using server = await new TestServer(api).start();
    const { status, body, headers } = await server.call("GET", `${PODS}/a`);
    assert.equal(status, 200);
    assert.deepEqual(body, Buffer.from(pod("a").bytes));
    assert.equal(headers["content-type"], "application/json");
    assert.match(String(headers["audit-id"]), /^[0-9a-f-]{36}$/);
    assert.equal(headers["cache-control"], "no-cache, private");
  });

  it("puts a list together from the bytes of its items", async () => {
    const api = new TestApi();
    api.objects.set("default/a", pod("a"));
    api.objects.set("default/b", pod("b"));
    await using server = await new TestServer(api).start();
    const { json } = await server.call("GET", `${PODS}?limit=500`);
    assert.equal(json.kind, "PodList");
    assert.equal(json.apiVersion, "v1");
    assert.deepEqual(json.metadata, { resourceVersion: "12" });
    assert.deepEqual(
      json.items.map((item: { metadata: { name: string } }) => item.metadata.name),
      ["a", "b"],
    );
    const { signal: _, ...options } = api.last<{ signal: AbortSignal }>("list").argument;
    assert.deepEqual(options, { namespace: "default", limit: 500 });
  });

  it("answers a Table to whoever prints it", async () => {
    const api = new TestApi();
    api.objects.set("default/a", pod("a"));
    await using server = await new TestServer(api).start();
    const accept =
      "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    const { json } = await server.call("GET", PODS, { headers: { accept } });
    assert.equal(json.kind, "Table");
    assert.deepEqual(
      json.columnDefinitions.map(({ name, priority }: { name: string; priority: number }) => [name, priority]),
      [
        ["Name", 0],
        ["Ready", 0],
        ["IP", 1],
      ],
    );
    assert.deepEqual(json.rows[0].cells, ["a", "1/1", "10.0.0.1"]);
    assert.equal(json.rows[0].object.kind, "PartialObjectMetadata");
    const whole = await server.call("GET", `${PODS}?includeObject=Object`, { headers: { accept } });
    assert.equal(whole.json.rows[0].object.kind, "Pod");
    const none = await server.call("GET", `${PODS}?includeObject=None`, { headers: { accept } });
    assert.equal(none.json.rows[0].object, null);
  });

  it("prefers JSON over the protobuf it does not write, and refuses when there is nothing else", async () => {
    const api = new TestApi();
    api.objects.set("default/a", pod("a"));
    await using server = await new TestServer(api).start();
    const both = await server.call("GET", `${PODS}/a`, {
      headers: { accept: "application/vnd.kubernetes.protobuf,application/json" },
    });
    assert.equal(both.headers["content-type"], "application/json");
    const only = await server.call("GET", `${PODS}/a`, { headers: { accept: "application/vnd.kubernetes.protobuf" } });
    assert.equal(only.status, 406);
    assert.equal(only.json.reason, "NotAcceptable");
  });

  it("compresses large answers for those who accept that", async () => {
    const api = new TestApi();
    api.objects.set("default/a", pod("a", { filler: "x".repeat(200_000) }));
    await using server = await new TestServer(api).start();
    const { headers, body } = await server.call("GET", PODS, { headers: { "accept-encoding": "gzip" } });
    assert.equal(headers["content-encoding"], "gzip");
    assert.equal(JSON.parse(gunzipSync(body).toString()).items[0].filler.length, 200_000);
    const plain = await server.call("GET", PODS);
    assert.equal(plain.headers["content-encoding"], undefined);
  });

  it("speaks HTTP/2 on the same port", async () => {
    const api = new TestApi();
    api.objects.set("default/a", pod("a"));
    await using server = await new TestServer(api).start();
    const session = server.connect();
    const answer = await call2(session, "GET", `${PODS}/a`);
    assert.equal(answer.status, 200);
    assert.equal(answer.json.metadata.name, "a");
    session.close();
  });

  it("answers plain text for paths under which nothing is", async () => {
    await using server = await new TestServer(new TestApi()).start();
    for (const path of ["/nowhere", `${PODS}/a/gizmo`, "/api/v1/pods/a"]) {
      const { status, text } = await server.call("GET", path);
      assert.deepEqual([path, status, text], [path, 404, "404 page not found\n"]);
    }
  });

  it("answers /openapi/v2 without definitions, in JSON and in the protobuf that kubectl takes", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const json = await server.call("GET", "/openapi/v2");
    assert.deepEqual([json.json.swagger, json.json.definitions], ["2.0", {}]);
    const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const { status, headers, text } = await server.call("GET", "/openapi/v2", { headers: { accept } });
    assert.deepEqual([status, headers["content-type"]], [200, accept.replace("@", ".")]);
    assert.ok(text.startsWith("\n\u00032.0\u0012"), JSON.stringify(text));
    assert.ok(text.includes("\n\nKubernetes\u0012"), JSON.stringify(text));
  });

  it("names a kind that it does not serve", async () => {
    await using server = await new TestServer(new TestApi()).start();
    for (const [path, what] of [
      ["/api/v1/namespaces/default/services/x", "services of v1"],
      ["/apis/batch/v1/namespaces/default/jobs", "jobs of batch/v1"],
      ["/apis/apps/v9/deployments", "deployments of apps/v9"],
    ] as const) {
      const { status, json } = await server.call("GET", path);
      assert.deepEqual([status, json.reason], [404, "NotFound"]);
      assert.equal(json.message, `the server could not find the requested resource: Skerry does not serve ${what}`);
    }
  });

  it("asks about the one object that a selector names, but not when one is created", async () => {
    const asked: string[] = [];
    const authorizer: Authorizer = {
      authorize: (_, attributes) => {
        if ("name" in attributes) asked.push(`${attributes.verb} ${attributes.name}`);
        return { allowed: false, reason: "" };
      },
    };
    await using server = await new TestServer(new TestApi(), { authorizer }).start();
    const selector = encodeURIComponent("metadata.name==a,status.phase!=b\\,metadata.name\\=c");
    for (const method of ["GET", "DELETE", "POST"]) await server.call(method, `${PODS}?fieldSelector=${selector}`);
    assert.deepEqual(asked, ["list a", "deletecollection a", "create "]);
    assert.equal((await server.call("GET", `${PODS}?fieldSelector=metadata.name`)).status, 400);
  });

  it("tells nobody what went wrong inside", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const { status, json, headers } = await server.call("GET", `${PODS}?labelSelector=broken`);
    assert.equal(status, 500);
    assert.equal(json.reason, "InternalError");
    assert.ok(json.message.includes(headers["audit-id"]));
    assert.ok(!json.message.includes("inside"));
  });

  it("answers Timeout when the client waits no longer", async () => {
    const api = new TestApi();
    const clock = new FakeClock(Date.now());
    const asked = Promise.withResolvers<void>();
    api.list = (context) => {
      asked.resolve();
      return new Promise((_, reject) => {
        context.signal.addEventListener("abort", () => reject(new Error("given up")), { once: true });
      });
    };
    await using server = await new TestServer(api, { clock }).start();
    const answer = server.call("GET", `${PODS}?timeout=2s`);
    await asked.promise;
    clock.advance(2_001);
    const { status, json } = await answer;
    assert.equal(status, 504);
    assert.equal(json.reason, "Timeout");
  });

  it("tells the surplus of requests to come back", async () => {
    const api = new TestApi();
    const release = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    api.list = async () => {
      asked.resolve();
      await release.promise;
      return { revision: "1", items: [] };
    };
    await using server = await new TestServer(api, { limits: { reads: 1 } }).start();
    const first = server.call("GET", PODS);
    await asked.promise;
    const second = await server.call("GET", PODS);
    assert.equal(second.status, 429);
    assert.equal(second.headers["retry-after"], "1");
    assert.equal((await server.call("GET", "/livez")).status, 200);
    release.resolve();
    assert.equal((await first).status, 200);
  });
});

describe("ApiServer watches", () => {
  it("sends its head at once, and each event as a line", async () => {
    const api = new TestApi();
    const go = Promise.withResolvers<void>();
    api.events = async function* () {
      await go.promise;
      yield { type: "ADDED", object: pod("a") };
      yield { type: "BOOKMARK", revision: "9", initialEventsEnd: true };
    };
    await using server = await new TestServer(api).start();
    const session = server.connect();
    const stream = session.request({ ":path": `${PODS}?watch=true`, authorization: "Bearer admin" });
    await new Promise((resolve) => stream.once("response", resolve));
    go.resolve();
    let text = "";
    for await (const chunk of stream as AsyncIterable<Buffer>) text += chunk.toString();
    const [added, bookmark] = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(added, { type: "ADDED", object: pod("a").decode() });
    assert.equal(bookmark.type, "BOOKMARK");
    assert.equal(bookmark.object.kind, "Pod");
    assert.equal(bookmark.object.metadata.resourceVersion, "9");
    assert.equal(bookmark.object.metadata.annotations["k8s.io/initial-events-end"], "true");
    session.close();
  });

  it("names the columns of a Table in the first event only", async () => {
    const api = new TestApi();
    api.events = async function* () {
      yield { type: "ADDED", object: pod("a") };
      yield { type: "MODIFIED", object: pod("a") };
    };
    await using server = await new TestServer(api).start();
    const { text } = await server.call("GET", `${PODS}?watch=1`, {
      headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
    });
    const [first, second] = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(first.object.columnDefinitions.length, 3);
    assert.equal(second.object.columnDefinitions, null);
    assert.deepEqual(second.object.rows[0].cells, ["a", "1/1", "10.0.0.1"]);
  });

  it("ends cleanly when its time is over", async () => {
    const api = new TestApi();
    const clock = new FakeClock(Date.now());
    const watching = Promise.withResolvers<void>();
    api.events = (signal) => {
      watching.resolve();
      return silence(signal);
    };
    await using server = await new TestServer(api, { clock }).start();
    const answer = server.call("GET", `${PODS}?watch=true&timeoutSeconds=5`);
    await watching.promise;
    clock.advance(5_000);
    assert.deepEqual([(await answer).status, (await answer).text], [200, ""]);
  });

  it("refuses with a status of its own before the first event, and with an ERROR event after it", async () => {
    const api = new TestApi();
    await using server = await new TestServer(api).start();
    api.events = () => failing(new StatusError("Expired", "too old resource version: 1 (5)"));
    const refused = await server.call("GET", `${PODS}?watch=true&resourceVersion=1`);
    assert.equal(refused.status, 410);
    const slow = new StatusError("Expired", "the watcher was too slow");
    api.events = () => failing(slow, [{ type: "ADDED", object: pod("a") }]);
    const broken = await server.call("GET", `${PODS}?watch=true`);
    const last = JSON.parse(broken.text.trim().split("\n").at(-1) ?? "");
    assert.equal(last.type, "ERROR");
    assert.equal(last.object.code, 410);
  });

  it("refuses contradictory options", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const { status, json } = await server.call("GET", `${PODS}?watch=true&sendInitialEvents=true`);
    assert.equal(status, 422);
    assert.equal(
      json.message,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    );
  });

  it("pulls no more events for a client that has stopped to read, however slowly they come", async () => {
    const api = new TestApi();
    const object = pod("a", { filler: "x".repeat(5_000) });
    let pulled = 0;
    api.events = async function* (signal) {
      while (!signal.aborted) {
        pulled++;
        yield { type: "MODIFIED", object };
        await timers.setTimeout(1); // so that a round never gathers as much as is written at once
      }
    };
    await using server = await new TestServer(api).start();
    const { ca } = server.certificates;
    const { key, certificate } = server.certificates.issue({
      commonName: "jane",
      organizations: ["system:masters"],
    });
    const socket = connect({
      host: "127.0.0.1",
      port: server.port,
      ca,
      key: keyToPem(key),
      cert: toPem("CERTIFICATE", certificate.raw),
    });
    await once(socket, "secureConnect");
    socket.write(`GET ${PODS}?watch=true HTTP/1.1\r\nhost: x\r\n\r\n`);
    socket.pause();
    await eventually(async () => {
      const before = pulled;
      await timers.setTimeout(200);
      return before > 0 && pulled === before;
    });
    const stuck = pulled;
    socket.resume();
    await eventually(() => pulled > stuck + 100);
    socket.destroy();
  });

  it("pulls events no faster than the client reads them", async () => {
    const api = new TestApi();
    const object = pod("a", { filler: "x".repeat(10_000) });
    let pulled = 0;
    api.events = async function* (signal) {
      while (!signal.aborted) {
        pulled++;
        yield { type: "MODIFIED", object };
      }
    };
    await using server = await new TestServer(api).start();
    const session = server.connect();
    const stream = session.request({ ":path": `${PODS}?watch=true`, authorization: "Bearer admin" });
    await once(stream, "response");
    // The head alone is read: what the buffers on the way take is all that is ever pulled.
    let before = -1;
    await eventually(() => {
      const isStill = pulled === before;
      before = pulled;
      return isStill;
    });
    assert.ok(pulled < 2_000, `${pulled} events of 10 kB for a client that reads none`);
    stream.close();
    session.destroy();
  });

  it("ends watches when the server stops", async () => {
    const api = new TestApi();
    const watching = Promise.withResolvers<void>();
    api.events = (signal) => {
      watching.resolve();
      return silence(signal);
    };
    const server = await new TestServer(api).start();
    const answer = server.call("GET", `${PODS}?watch=true`);
    await watching.promise;
    await server[Symbol.asyncDispose]();
    assert.equal((await answer).status, 200);
  });
});

describe("ApiServer writes", () => {
  const configMap = { metadata: { name: "a" } };

  it("hands on a body with its defaults of kind, and the options of the query", async () => {
    const api = new TestApi();
    api.warning = 'unknown field "spec.foo"';
    await using server = await new TestServer(api).start();
    const { status, headers } = await server.call(
      "POST",
      `${PODS}?fieldManager=kubectl-create&fieldValidation=Strict&dryRun=All`,
      { body: JSON.stringify(configMap) },
    );
    assert.equal(status, 201);
    assert.equal(headers["warning"], '299 - "unknown field \\"spec.foo\\""');
    const { context, argument } = api.last<{ body: unknown }>("create");
    assert.equal(context.fieldManager, "kubectl-create");
    assert.equal(context.fieldValidation, "Strict");
    assert.equal(context.dryRun, true);
    assert.deepEqual(argument.body, {
      object: { apiVersion: "v1", kind: "Pod", metadata: { name: "a" } },
      problems: [],
    });
  });

  it("reads YAML by the rules of 1.1, and tells of duplicate fields", async () => {
    const api = new TestApi();
    await using server = await new TestServer(api).start();
    const body = "metadata:\n  name: y\n  name: a\nspec: {on: yes, time: 12:30:00, day: 2026-01-02}\n";
    await server.call("POST", PODS, { headers: { "content-type": "application/yaml" }, body });
    const { argument } = api.last<{ body: { object: { spec: object }; problems: string[] } }>("create");
    const { object, problems } = argument.body;
    assert.deepEqual(object.spec, { on: true, time: "12:30:00", day: "2026-01-02" });
    assert.deepEqual(problems, ['line 3: key "name" already set in map']);
  });

  it("tells of duplicate fields in JSON", async () => {
    const api = new TestApi();
    await using server = await new TestServer(api).start();
    await server.call("POST", PODS, { body: '{"metadata":{"name":"a"},"spec":{"x":1,"x":2}}' });
    const { argument } = api.last<{ body: { problems: string[] } }>("create");
    assert.deepEqual(argument.body.problems, ['duplicate field "spec.x"']);
  });

  it("refuses bodies that it cannot read", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const cases: [string, string, number][] = [
      ["application/json", "{", 400],
      ["application/json", "[]", 400],
      ["application/json", '{"kind":"Service","apiVersion":"v1"}', 400],
      ["application/json", '{"kind":"Pod","apiVersion":"v2"}', 400],
      ["application/yaml", "a: [", 400],
      ["application/yaml", `a: &a [1]\nb: &b [${"*a,".repeat(50)}]\nc: [${"*b,".repeat(50)}]`, 400],
      ["application/cbor", "{}", 415],
    ];
    for (const [type, body, code] of cases) {
      const { status } = await server.call("POST", PODS, { headers: { "content-type": type }, body });
      assert.deepEqual([type, body, status], [type, body, code]);
    }
  });

  it("refuses bodies over 3 MiB", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const { status, json } = await server.call("POST", PODS, { body: " ".repeat((3 << 20) + 1) });
    assert.equal(status, 413);
    assert.equal(json.reason, "RequestEntityTooLarge");
  });

  it("refuses bodies whose length nobody said, once they are over 3 MiB", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const session = server.connect();
    session.on("error", () => {});
    const h2 = session.request({ ":method": "POST", ":path": PODS, authorization: "Bearer admin" });
    h2.on("error", () => {});
    h2.end(Buffer.alloc((3 << 20) + 1));
    const [head] = (await once(h2, "response")) as [{ ":status": number }];
    assert.equal(head[":status"], 413);
    session.destroy();
    const h1 = https.request({
      host: "127.0.0.1",
      port: server.port,
      method: "POST",
      path: PODS,
      ca: server.certificates.ca,
      agent: false,
      headers: { authorization: "Bearer admin", "transfer-encoding": "chunked" },
    });
    h1.on("error", () => {});
    h1.end(Buffer.alloc((3 << 20) + 1));
    const [response] = await once(h1, "response");
    assert.equal(response.statusCode, 413);
    h1.destroy();
  });

  it("names the patches that there are", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const { status, json } = await server.call("PATCH", `${PODS}/a`, { body: "{}" });
    assert.equal(status, 415);
    assert.match(json.message, /application\/json-patch\+json, application\/merge-patch\+json/);
  });

  it("wants a manager for an apply, and force for nothing else", async () => {
    const api = new TestApi();
    api.objects.set("default/a", pod("a"));
    await using server = await new TestServer(api).start();
    const apply = { "content-type": "application/apply-patch+yaml" };
    const nameless = await server.call("PATCH", `${PODS}/a`, { headers: apply, body: "metadata: {}" });
    assert.equal(nameless.status, 422);
    assert.match(nameless.json.message, /fieldManager: Required value: is required for apply patch/);
    const good = await server.call("PATCH", `${PODS}/a?fieldManager=helm&force=true`, {
      headers: apply,
      body: "metadata: {name: a}",
    });
    assert.equal(good.status, 200);
    assert.equal(api.last<{ force: boolean }>("patch").argument.force, true);
    const forced = await server.call("PATCH", `${PODS}/a?force=true`, {
      headers: { "content-type": "application/merge-patch+json" },
      body: "{}",
    });
    assert.equal(forced.status, 422);
  });

  it("reads the options of a delete from the body or from the query", async () => {
    const api = new TestApi();
    await using server = await new TestServer(api).start();
    api.objects.set("default/a", pod("a"));
    const { json } = await server.call("DELETE", `${PODS}/a`, {
      headers: { "content-type": "application/json" },
      body: '{"propagationPolicy":"Background","gracePeriodSeconds":0,"preconditions":{"uid":"u"}}',
    });
    assert.equal(json.status, "Success");
    assert.equal(json.details.kind, "pods");
    const { signal: _, ...options } = api.last<Record<string, unknown>>("delete").argument;
    assert.deepEqual(options, {
      propagationPolicy: "Background",
      gracePeriodSeconds: 0,
      preconditions: { uid: "u" },
    });
    api.objects.set("default/a", pod("a"));
    await server.call("DELETE", `${PODS}/a?gracePeriodSeconds=3&propagationPolicy=Orphan`);
    const { signal: __, ...fromQuery } = api.last<Record<string, unknown>>("delete").argument;
    assert.deepEqual(fromQuery, { propagationPolicy: "Orphan", gracePeriodSeconds: 3 });
  });

  it("refuses a verb that the resource has not", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const { status, json } = await server.call("GET", "/apis/authorization.k8s.io/v1/reviews");
    assert.deepEqual([status, json.reason], [405, "MethodNotAllowed"]);
  });

  it("answers a failure of the registry as its Status", async () => {
    const api = new TestApi();
    api.create = () => Promise.reject(badRequest("no such thing"));
    await using server = await new TestServer(api).start();
    const { status, json } = await server.call("POST", PODS, { body: JSON.stringify(configMap) });
    assert.equal(status, 400);
    assert.deepEqual(json, {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: "no such thing",
      reason: "BadRequest",
      code: 400,
    });
  });
});

describe("ApiServer start", () => {
  it("says which port is taken, and what to do", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const other = new TestServer(new TestApi());
    await assert.rejects(other.server.start("127.0.0.1", server.port), (error: Error) => {
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${server.port}: the port is in use.*--api-port`));
      return true;
    });
    await other[Symbol.asyncDispose]();
  });

  it("shows a renewed certificate to whoever connects then", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const serial = async (): Promise<string> => {
      const socket = connect({ host: "127.0.0.1", port: server.port, ca: server.certificates.ca });
      await once(socket, "secureConnect");
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      return certificate?.serialNumber ?? "";
    };
    const before = await serial();
    const renewed = server.certificates.issue({
      commonName: "server",
      dnsNames: ["localhost"],
      ipAddresses: ["127.0.0.1"],
    });
    server.server.renewCertificate(toPem("CERTIFICATE", renewed.certificate.raw), keyToPem(renewed.key));
    assert.equal(await serial(), renewed.certificate.serialNumber);
    assert.notEqual(before, renewed.certificate.serialNumber);
    const client = server.certificates.issue({ commonName: "jane", organizations: ["system:masters"] });
    assert.equal((await server.call("GET", PODS, { client })).status, 200);
  });

  it("survives clients that speak nonsense", async () => {
    await using server = await new TestServer(new TestApi()).start();
    for (const [alpn, bytes] of [
      ["http/1.1", "GET / HTTP/9.9\r\n\r\n"],
      ["http/1.1", `GET / HTTP/1.1\r\n${"x: y\r\n".repeat(5_000)}\r\n`],
      ["http/1.1", "\0".repeat(100)],
      ["h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\xff".repeat(64)],
      ["h2", "nothing like it"],
    ] as const) {
      const socket = connect({
        host: "127.0.0.1",
        port: server.port,
        ca: server.certificates.ca,
        ALPNProtocols: [alpn],
      });
      socket.on("error", () => {});
      await once(socket, "secureConnect");
      socket.end(Buffer.from(bytes, "latin1"));
      socket.resume();
      await once(socket, "close");
    }
    assert.equal((await server.call("GET", PODS)).status, 200);
  });

  it("survives streams that are opened and reset at once", async () => {
    await using server = await new TestServer(new TestApi()).start();
    const session = server.connect();
    session.on("error", () => {});
    for (let i = 0; i < 3_000 && !session.destroyed; i++) {
      const stream = session.request({ ":path": PODS, authorization: "Bearer admin" });
      stream.on("error", () => {});
      stream.close(constants.NGHTTP2_CANCEL);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    await eventually(() => session.destroyed || session.closed, { what: "the server to end the session" });
    assert.equal((await server.call("GET", PODS)).status, 200);
  });

  it("lets requests finish when it stops", async () => {
    const api = new TestApi();
    const asked = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    api.list = async () => {
      asked.resolve();
      await release.promise;
      return { revision: "1", items: [] };
    };
    const server = await new TestServer(api).start();
    const answer = server.call("GET", PODS);
    await asked.promise;
    const stopped = server[Symbol.asyncDispose]();
    release.resolve();
    assert.equal((await answer).status, 200);
    await stopped;
  });
});

describe("ApiServer logs", () => {
  const running = (rest: object = {}): ReturnType<typeof encoded> =>
    pod("web", { spec: { nodeName: "n1", containers: [{ name: "a" }, { name: "b" }] }, ...rest });

  it("streams what the node sends", async () => {
    const api = new TestApi();
    api.objects.set("default/web", running());
    const asked: string[] = [];
    await using server = await new TestServer(api, {
      nodeStreams: {
        request: async (node, { path }) => {
          asked.push(`${node} ${path}`);
          return {
            status: 200,
            headers: { "content-type": "text/plain" },
            body: (async function* () {
              yield Buffer.from("one\n");
              yield Buffer.from("two\n");
            })(),
          };
        },
      },
    }).start();
    const { text, status } = await server.call("GET", `${PODS}/web/log?container=b&tailLines=2&follow=true`);
    assert.deepEqual([status, text], [200, "one\ntwo\n"]);
    assert.deepEqual(asked, ["n1 /containerLogs/default/web/b?follow=true&tailLines=2"]);
  });

  it("says which containers there are to choose from", async () => {
    const api = new TestApi();
    api.objects.set("default/web", running());
    await using server = await new TestServer(api).start();
    const { status, json } = await server.call("GET", `${PODS}/web/log`);
    assert.equal(status, 400);
    assert.equal(json.message, "a container name must be specified for pod web, choose one of: [a b]");
  });

  it("says that a container is still being created", async () => {
    const api = new TestApi();
    const containerStatuses = [{ name: "a", state: { waiting: { reason: "ContainerCreating" } } }];
    api.objects.set("default/web", running({ status: { containerStatuses } }));
    await using server = await new TestServer(api).start();
    const { status, json } = await server.call("GET", `${PODS}/web/log?container=a`);
    assert.equal(status, 400);
    assert.equal(json.message, 'container "a" in pod "web" is waiting to start: ContainerCreating');
  });

  it("says that exec and its kin are not there yet", async () => {
    await using server = await new TestServer(new TestApi()).start();
    for (const name of ["exec", "attach", "portforward", "ephemeralcontainers"]) {
      const { status, json } = await server.call("POST", `${PODS}/web/${name}`);
      assert.equal(status, 501);
      assert.match(json.message, new RegExp(`does not have ${name} yet`));
    }
  });
});
