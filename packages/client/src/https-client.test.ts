import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { getEventListeners, once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { describe, it } from "node:test";
import { createAuthority, createKey, issueCertificate, keyToPem, toPem, type Clock } from "@skerry/base";
import { eventually, FakeClock } from "@skerry/base/testing";
import { kinds, statusOf, type StatusError } from "@skerry/machinery";
import type { ConfigMap } from "@skerry/machinery/types";
import { HttpsClient } from "./https-client.ts";

const HOUR_MS = 3_600_000;
const KEY = { namespace: "x", name: "a" };
const OBJECT: ConfigMap = { metadata: { ...KEY, resourceVersion: "5" } };

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that does as it is told, and a client of it. */
class Scene implements AsyncDisposable {
  readonly #server: https.Server;
  readonly sockets = new Set<Socket>();
  /** Method and path of what came in. */
  readonly asked: string[] = [];
  answer: Answer = (_request, response) => response.end(JSON.stringify(OBJECT));
  readonly ca: string;
  #client: HttpsClient | undefined;

  constructor() {
    const period = { notBefore: Date.now() - HOUR_MS, notAfter: Date.now() + HOUR_MS };
    const authority = createAuthority({ commonName: "scene", ...period });
    const key = createKey();
    const subject = { commonName: "scene" };
    const usages = ["server" as const];
    const bytes = issueCertificate({
      issuer: authority,
      publicKey: key,
      subject,
      usages,
      ipAddresses: ["127.0.0.1"],
      ...period,
    });
    this.ca = toPem("CERTIFICATE", authority.certificate.raw);
    this.#server = https.createServer({
      cert: toPem("CERTIFICATE", new X509Certificate(bytes).raw),
      key: keyToPem(key),
    });
    this.#server.on("secureConnection", (socket: Socket) => {
      this.sockets.add(socket);
      socket.once("close", () => this.sockets.delete(socket));
    });
    this.#server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.asked.push(`${request.method} ${request.url}`);
      request.resume();
      this.answer(request, response);
    });
  }

  async client(clock?: Clock): Promise<HttpsClient> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const { port } = this.#server.address() as AddressInfo;
    const options = { server: `https://127.0.0.1:${port}`, ca: this.ca, credentials: undefined, userAgent: "test/1" };
    return (this.#client = new HttpsClient({ ...options, random: () => 0, ...(clock && { clock }) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.[Symbol.asyncDispose]();
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }
}

const refuse = (code: number, retryAfter?: number): Answer => {
  return (_request, response) => {
    response.writeHead(code, retryAfter === undefined ? {} : { "retry-after": String(retryAfter) });
    response.end("busy");
  };
};

/** Answers with each in turn, and with the last from then on. */
const inTurn = (...answers: Answer[]): Answer => {
  return (request, response) => (answers.length > 1 ? answers.shift() : answers[0])?.(request, response);
};

async function failureOf(request: Promise<unknown>): Promise<StatusError> {
  const status = await request.then(() => undefined, statusOf);
  return status ?? assert.fail("it did not fail with a Status");
}

async function drain(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}

const served: Answer = (_request, response) => response.end(JSON.stringify(OBJECT));
const line = (name: string): string => `${JSON.stringify({ type: "ADDED", object: { metadata: { ...KEY, name } } })}\n`;

describe("HttpsClient", () => {
  it("comes back when a busy server says when, whatever it asked", async () => {
    await using scene = new Scene();
    const clock = new FakeClock();
    const client = await scene.client(clock);
    const begun = clock.monotonic();
    scene.answer = inTurn(refuse(429, 2), refuse(429, 2), served);
    const made = client.create(kinds.ConfigMap, OBJECT);
    await eventually(() => scene.asked.length === 1 && clock.pending === 1);
    await eventually(() => {
      clock.advance(500);
      return scene.asked.length === 3;
    });
    assert.equal((await made).revision, "5");
    assert.ok(clock.monotonic() - begun >= 4_000, "it waited as it was told");
  });

  it("sends again after 503 only what can be done twice, and not for ever", async () => {
    await using scene = new Scene();
    const client = await scene.client();
    scene.answer = inTurn(refuse(503, 0), served);
    await client.get(kinds.ConfigMap, KEY);
    assert.equal(scene.asked.length, 2);
    scene.answer = refuse(503, 0);
    const failure = await failureOf(client.create(kinds.ConfigMap, OBJECT));
    assert.deepEqual([failure.code, failure.reason, failure.retryAfterSeconds], [503, "ServiceUnavailable", 0]);
    assert.equal(scene.asked.length, 3);
    await failureOf(client.get(kinds.ConfigMap, KEY));
    assert.equal(scene.asked.length, 3 + 5);
    scene.answer = refuse(503);
    await failureOf(client.get(kinds.ConfigMap, KEY));
    assert.equal(scene.asked.length, 9, "without a word about when, the caller decides");
  });

  it("stops to wait for its turn when the caller gives up", async () => {
    await using scene = new Scene();
    const client = await scene.client();
    scene.answer = refuse(429, 20);
    const stop = new AbortController();
    const request = client.get(kinds.ConfigMap, KEY, { signal: stop.signal });
    await eventually(() => scene.asked.length === 1);
    const why = new Error("enough");
    setImmediate(() => stop.abort(why));
    await assert.rejects(request, (error) => error === why);
  });

  it("takes another connection when the server has closed the kept one", async () => {
    await using scene = new Scene();
    const client = await scene.client();
    await client.get(kinds.ConfigMap, KEY);
    const breaks: Answer = (request) => request.socket.destroy();
    scene.answer = inTurn(breaks, served);
    await client.get(kinds.ConfigMap, KEY);
    assert.equal(scene.asked.length, 3);
    scene.answer = inTurn(breaks, served);
    const failure = await failureOf(client.create(kinds.ConfigMap, OBJECT));
    assert.equal(failure.reason, "ServiceUnavailable");
    assert.match(failure.message, /^The API at 127\.0\.0\.1:\d+ does not answer: /);
  });

  it("gives up an answer that does not end in time, not only one that does not begin", async () => {
    await using scene = new Scene();
    const clock = new FakeClock();
    const client = await scene.client(clock);
    const silent: Answer = () => undefined;
    const stalling: Answer = (_request, response) => void response.write("{");
    for (const answer of [silent, stalling]) {
      scene.answer = answer;
      const before = scene.asked.length;
      const failure = failureOf(client.create(kinds.ConfigMap, OBJECT));
      await eventually(() => scene.asked.length > before);
      clock.advance(30_000);
      assert.match((await failure).message, /does not answer: nothing within 30000 ms$/);
    }
    assert.equal(clock.pending, 0);
    await eventually(() => scene.sockets.size === 0, { what: "the connections to be closed" });
  });

  it("says that the API is away when nobody listens or what answers is no API", async () => {
    await using scene = new Scene();
    const client = await scene.client();
    scene.answer = (_request, response) => void response.writeHead(502).end("<html>Bad Gateway</html>");
    const page = await failureOf(client.get(kinds.ConfigMap, KEY));
    assert.deepEqual([page.code, page.message], [502, "<html>Bad Gateway</html>"]);
    scene.answer = (_request, response) => void response.end("<html>Welcome</html>");
    assert.equal((await failureOf(client.get(kinds.ConfigMap, KEY))).reason, "ServiceUnavailable");
    const options = { server: "https://127.0.0.1:1", ca: scene.ca, credentials: undefined, userAgent: "test/1" };
    await using nobody = new HttpsClient(options);
    assert.equal((await failureOf(nobody.get(kinds.ConfigMap, KEY))).reason, "ServiceUnavailable");
  });

  describe("watch()", () => {
    it("fails when its connection breaks, and ends when the server ends it", async () => {
      await using scene = new Scene();
      const client = await scene.client();
      const { signal } = new AbortController();
      scene.answer = (_request, response) => void response.write(line("a"), () => response.socket?.destroy());
      const seen: string[] = [];
      const failure = await failureOf(
        (async () => {
          for await (const event of client.watch(kinds.ConfigMap, { signal }))
            if (event.type === "ADDED") seen.push(event.object.key.name);
        })(),
      );
      assert.equal(failure.reason, "ServiceUnavailable");
      assert.deepEqual(seen, ["a"]);
      scene.answer = (_request, response) => void response.end(line("b"));
      await drain(client.watch(kinds.ConfigMap, { signal }));
      assert.equal(getEventListeners(signal, "abort").length, 0);
    });

    it("throws the Status that the server sends in the middle", async () => {
      await using scene = new Scene();
      const client = await scene.client();
      const status = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
      scene.answer = (_request, response) => {
        response.end(`${line("a")}${JSON.stringify({ type: "ERROR", object: status })}\n`);
      };
      const failure = await failureOf(drain(client.watch(kinds.ConfigMap, { signal: new AbortController().signal })));
      assert.deepEqual([failure.reason, failure.message], ["Expired", "too old resource version"]);
    });

    it("ends a watch whose server never does, and asks it to", async () => {
      await using scene = new Scene();
      const clock = new FakeClock();
      const client = await scene.client(clock);
      scene.answer = (_request, response) => void response.write(line("a"));
      const events = client.watch(kinds.ConfigMap, { signal: new AbortController().signal });
      await events.next();
      assert.match(scene.asked[0] ?? "", /timeoutSeconds=300/);
      const rest = failureOf(events.next());
      clock.advance(331_000);
      assert.equal((await rest).reason, "ServiceUnavailable");
      assert.equal(clock.pending, 0);
    });

    it("leaves no connection and no listener behind, however it ends", async () => {
      await using scene = new Scene();
      const client = await scene.client();
      const whole = new AbortController();
      scene.answer = (request, response) => {
        if (request.url?.includes("watch=true")) response.write(line("a"));
        else response.end(JSON.stringify(OBJECT));
      };
      for (let round = 0; round < 20; round++) {
        await client.get(kinds.ConfigMap, KEY, { signal: whole.signal });
        for await (const _ of client.watch(kinds.ConfigMap, { signal: whole.signal })) break;
        const stop = new AbortController();
        for await (const _ of client.watch(kinds.ConfigMap, { signal: stop.signal })) setImmediate(() => stop.abort());
        assert.equal(getEventListeners(stop.signal, "abort").length, 0);
      }
      assert.equal(getEventListeners(whole.signal, "abort").length, 0);
      await eventually(() => scene.sockets.size === 1, { what: "one kept connection to be left" });
    });

    it("keeps a fast server waiting for a slow reader", async () => {
      await using scene = new Scene();
      const client = await scene.client();
      const total = 64 << 20;
      let written = 0;
      let isHeld = false;
      scene.answer = (_request, response) => {
        const text = line("x".repeat(64 << 10));
        const more = (): void => {
          while (written < total) {
            written += text.length;
            if (!response.write(text)) {
              isHeld = true;
              response.once("drain", more);
              return;
            }
          }
          response.end();
        };
        more();
      };
      const events = client.watch(kinds.ConfigMap, { signal: new AbortController().signal });
      await events.next();
      let last = -1;
      await eventually(() => isHeld && last === (last = written), { everyMs: 100, what: "the server to be held" });
      assert.ok(written < total / 2, `${written} bytes were taken though nobody read`);
      await drain(events);
      assert.ok(written >= total);
    });

    it("doesn't use up the connections of other requests", async () => {
      await using scene = new Scene();
      const client = await scene.client();
      scene.answer = (request, response) => {
        if (request.url?.includes("watch=true")) response.write(line("a"));
        else response.end(JSON.stringify(OBJECT));
      };
      const stop = new AbortController();
      const watches = Array.from({ length: 80 }, () => client.watch(kinds.ConfigMap, { signal: stop.signal }));
      await Promise.all(watches.map((events) => events.next()));
      await client.get(kinds.ConfigMap, KEY);
      stop.abort();
      await Promise.all(watches.map(drain));
    });
  });
});
