import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { X509Certificate } from "node:crypto";
import tls, { type TLSSocket } from "node:tls";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createAuthority, createKey, issueCertificate, keyToPem, toPem } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import { MAX_FRAME_BYTES } from "./frame.ts";
import { memoryPair } from "./memory-transport.ts";
import { transportContract, type TransportPair } from "./transport-contract.ts";
import type { FrameTransport } from "./transport.ts";
import { connectWebSocket, HUB_NAME, UpgradeRefusedError, WebSocketAcceptor } from "./websocket-transport.ts";

transportContract("memoryPair()", () => memory());
transportContract("memoryPair() with latency", () => memory(5));
transportContract("WebSocket over TLS", webSocketPair);

const never = new AbortController().signal;

function memory(latencyMs = 0): Promise<TransportPair> {
  const pair = memoryPair({ latencyMs });
  return Promise.resolve({ a: pair.a, b: pair.b, cut: () => pair.cut(), end: () => Promise.resolve() });
}

/** An HTTPS server of a certificate made for it, and a client's connection to it. */
async function serverAndSocket(): Promise<{ server: https.Server; socket: TLSSocket }> {
  const validity = { notBefore: Date.now() - 1000, notAfter: Date.now() + 3_600_000 };
  const issuer = createAuthority({ commonName: "test", ...validity });
  const key = createKey();
  const cert = issueCertificate({
    issuer,
    publicKey: key,
    subject: { commonName: HUB_NAME },
    usages: ["server"],
    dnsNames: [HUB_NAME],
    ...validity,
  });
  assert.ok(new X509Certificate(cert).checkIssued(issuer.certificate));
  const server = https.createServer({ key: keyToPem(key), cert: toPem("CERTIFICATE", cert) });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = tls.connect({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    servername: HUB_NAME,
    ca: toPem("CERTIFICATE", issuer.certificate.raw),
    ALPNProtocols: ["http/1.1"],
  });
  await once(socket, "secureConnect");
  return { server, socket };
}

async function webSocketPair(): Promise<TransportPair & { socket: TLSSocket }> {
  const { server, socket } = await serverAndSocket();
  const acceptor = new WebSocketAcceptor();
  const accepted = Promise.withResolvers<FrameTransport>();
  server.on("upgrade", (request, raw, head) => acceptor.accept(request, raw, head, accepted.resolve));
  const b = await connectWebSocket(socket, { host: HUB_NAME, signal: never });
  const a = await accepted.promise;
  return {
    a,
    b,
    socket,
    cut: () => socket.destroy(),
    end: async () => {
      socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("connectWebSocket()", () => {
  it("throws what the server says instead of a link", async () => {
    const { server, socket } = await serverAndSocket();
    server.on("upgrade", (_request, raw) =>
      raw.end("HTTP/1.1 503 Busy\r\nretry-after: 7\r\nskerry-problem: expired\r\ncontent-length: 9\r\n\r\nNot today"),
    );
    await assert.rejects(connectWebSocket(socket, { host: HUB_NAME, signal: never }), (error: UpgradeRefusedError) => {
      assert.ok(error instanceof UpgradeRefusedError);
      assert.deepEqual(
        [error.status, error.message, error.retryAfterMs, error.problem],
        [503, "Not today", 7000, "expired"],
      );
      return true;
    });
    await new Promise((resolve) => server.close(resolve));
  });

  it("gives up when it is aborted", async () => {
    const { server, socket } = await serverAndSocket();
    const held: { destroy(): void }[] = [];
    server.on("upgrade", (_request, raw) => void held.push(raw));
    const abort = new AbortController();
    const connecting = connectWebSocket(socket, { host: HUB_NAME, signal: abort.signal });
    await eventually(() => held.length === 1);
    abort.abort(new Error("enough"));
    await assert.rejects(connecting, /enough/);
    for (const raw of held) raw.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it("breaks a connection over which somebody sends text, or more than a frame may have", async () => {
    for (const frame of [Buffer.from([0x81, 0x80, 0, 0, 0, 0]), announcing(MAX_FRAME_BYTES + 1)]) {
      const { a, socket, end } = await webSocketPair();
      let closed = 0;
      a.start({
        frame: () => assert.fail("nothing of it is delivered"),
        drained: () => {},
        closed: () => void closed++,
      });
      socket.write(frame);
      await eventually(() => closed === 1);
      await end();
    }
  });
});

/** The head of a masked binary message of so many bytes. */
function announcing(length: number): Buffer {
  const head = Buffer.alloc(14);
  head[0] = 0x82;
  head[1] = 0xff;
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}
