import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { statusOf } from "@skerry/machinery";
import { readBody } from "./body.ts";

/** A server that reads the body of one request with a limit of ten bytes, and what came of it. */
async function reading(signal = new AbortController().signal) {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const outcome = new Promise<string>((resolve) => {
    server.once("request", (request, response) => {
      void readBody(request, signal, 10)
        .then(
          (bytes) => Buffer.from(bytes).toString(),
          (error: unknown) => statusOf(error)?.reason ?? String(error),
        )
        .then((text) => {
          resolve(text);
          response.end();
        });
    });
  });
  const { port } = server.address() as AddressInfo;
  const client = httpRequest({ host: "127.0.0.1", port, method: "POST", agent: false });
  client.on("error", () => {});
  return {
    client,
    outcome,
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("readBody", () => {
  it("puts together what comes in pieces", async () => {
    await using server = await reading();
    server.client.write("12345");
    server.client.write("67890");
    server.client.end();
    assert.equal(await server.outcome, "1234567890");
  });

  it("gives an empty body for none", async () => {
    await using server = await reading();
    server.client.end();
    assert.equal(await server.outcome, "");
  });

  it("refuses what is too large by its declared length, and what grows too large", async () => {
    await using declared = await reading();
    declared.client.setHeader("content-length", 11);
    declared.client.write("1");
    assert.equal(await declared.outcome, "RequestEntityTooLarge");
    await using grown = await reading();
    grown.client.write("123456");
    grown.client.write("123456");
    assert.equal(await grown.outcome, "RequestEntityTooLarge");
  });

  it("says when the connection breaks off before the end", async () => {
    await using server = await reading();
    server.client.setHeader("content-length", 10);
    server.client.write("123", () => server.client.destroy());
    assert.equal(await server.outcome, "BadRequest");
  });

  it("waits no longer once the request is aborted, before or meanwhile", async () => {
    await using before = await reading(AbortSignal.abort(new Error("gone")));
    before.client.write("123");
    assert.equal(await before.outcome, "Error: gone");
    const abort = new AbortController();
    await using meanwhile = await reading(abort.signal);
    meanwhile.client.write("123", () => abort.abort(new Error("too long")));
    assert.equal(await meanwhile.outcome, "Error: too long");
  });
});
