import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import tls, { type TLSSocket } from "node:tls";
import { describe, it } from "node:test";
import { keyToPem, silentLogger, systemClock, toPem, type Clock, type Identity } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import { kinds } from "@skerry/machinery";
import { dialHub, type HubSession } from "../packages/agent/src/link/dial.ts";
import { EdgeIdentity } from "../packages/agent/src/link/edge-identity.ts";
import { Cloud, leaf, never, newAuthority, tlsEdge, YEAR_MS } from "./link-world.ts";

/** A clock that agrees with the system's but for `aheadMs`, which a test may change. */
function skewedClock(): Clock & { aheadMs: number } {
  return {
    ...systemClock,
    aheadMs: 0,
    now() {
      return Date.now() + this.aheadMs;
    },
  };
}

/** Says an upgrade over raw TLS and returns the first line of the answer with its body. */
async function knock(
  cloud: Cloud,
  identity: Identity | undefined,
  session?: Buffer,
): Promise<{ answer: string; ticket: Buffer; isResumed: boolean }> {
  const socket: TLSSocket = tls.connect({
    ...cloud.address,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
    ...(identity && { key: keyToPem(identity.key), cert: toPem("CERTIFICATE", identity.certificate.raw) }),
    ...(session && { session }),
  });
  let ticket: Buffer = Buffer.alloc(0);
  socket.on("session", (given) => (ticket = given));
  await once(socket, "secureConnect");
  const isResumed = socket.isSessionReused();
  socket.write(
    "GET /link HTTP/1.1\r\nhost: skerry-hub\r\nconnection: upgrade\r\nupgrade: websocket\r\n" +
      "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: skerry.v1\r\n\r\n",
  );
  let text = "";
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    text += chunk.toString("latin1");
    if (text.startsWith("HTTP/1.1 101") || text.includes("\r\n\r\n")) break;
  }
  socket.destroy();
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  return { answer: `${text.slice(9, 12)} ${text.startsWith("HTTP/1.1 101") ? "" : body}`.trim(), ticket, isResumed };
}

describe("hub", () => {
  it("lets in who it issued a certificate to, and tells everybody else what is wrong with theirs", async () => {
    const clock = skewedClock();
    await using cloud = await new Cloud({ clock }).start();
    const { current, node, uid } = await cloud.join("n1");
    const uris = [`skerry:node:${node}:${uid}`];
    const client = { usages: ["client"] as const, dnsNames: [], uris };
    const old = { notBefore: Date.now() - YEAR_MS, notAfter: Date.now() - 1000 };
    const stranger = newAuthority();
    const answerTo = async (identity: Identity | undefined): Promise<string> => (await knock(cloud, identity)).answer;

    assert.equal(await answerTo(current), "101");
    assert.equal(await answerTo(leaf(cloud.authority, client)), "101");
    assert.match(await answerTo(undefined), /^401 .*\(missing\)/);
    assert.match(await answerTo(leaf(stranger, client)), /^401 .*\(foreign\)/);
    assert.match(await answerTo(stranger), /^401 .*\(foreign\)/, "self-signed");
    assert.match(await answerTo(leaf(stranger, { ...client, ...old })), /^401 .*\(foreign\)/, "foreign and expired");
    assert.match(await answerTo(leaf(cloud.authority, { ...client, ...old })), /^401 .*\(expired\)/);
    assert.match(await answerTo(leaf(cloud.authority, { ...client, usages: ["server"] })), /^401 .*\(wrong-usage\)/);
    assert.match(await answerTo(leaf(cloud.authority, { ...client, uris: [] })), /^401 The certificate names no node/);
    const other = { ...client, uris: ["skerry:node:n1:00000000-0000-0000-0000-000000000000"] };
    assert.match(await answerTo(leaf(cloud.authority, other)), /^403 .*join again/);
    assert.match(await answerTo(leaf(cloud.authority, { ...other, ...old })), /^403 /, "revoked before expired");
  });

  it("looks at the certificate of a resumed TLS session again", async () => {
    const clock = skewedClock();
    await using cloud = await new Cloud({ clock }).start();
    const { node, uid } = await cloud.join("n1");
    const brief = leaf(cloud.authority, {
      usages: ["client"],
      dnsNames: [],
      uris: [`skerry:node:${node}:${uid}`],
      notAfter: Date.now() + 60_000,
    });
    const first = await knock(cloud, brief);
    assert.equal(first.answer, "101");
    const again = await knock(cloud, brief, first.ticket);
    assert.ok(again.isResumed);
    assert.equal(again.answer, "101");
    clock.aheadMs = 120_000;
    const late = await knock(cloud, brief, first.ticket);
    assert.ok(late.isResumed, "TLS itself has nothing against it");
    assert.match(late.answer, /^401 .*\(expired\)/);
  });

  it("resumes sessions over a restart when its ticket keys were kept", async () => {
    const ticketKeys = Buffer.alloc(48, 7);
    await using cloud = await new Cloud({ ticketKeys }).start();
    const { current } = await cloud.join("n1");
    const { ticket } = await knock(cloud, current);
    await cloud.stop();
    await cloud.start();
    const again = await knock(cloud, current, ticket);
    assert.ok(again.isResumed);
    assert.equal(again.answer, "101");
  });

  it("asks edges to come back while it does not know yet what they should hold", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    await cloud.stop();
    const gate = Promise.withResolvers<void>();
    cloud.api.beforeList = () => gate.promise;
    const starting = cloud.start();
    await using edge = tlsEdge(cloud, identity);
    await eventually(() => /starting or stopping/.test(edge.link.status.problem ?? ""));
    gate.resolve();
    await starting;
    await edge.synced();
  });
});

describe("edge", () => {
  it("refuses a server of another CA, of another name, or without the right usage", async () => {
    const cases: [string, (authority: Identity) => Identity, RegExp][] = [
      ["foreign", () => leaf(newAuthority()), /foreign/],
      ["foreign and expired", () => leaf(newAuthority(), { notAfter: Date.now() - 500 }), /foreign/],
      ["self-signed", () => newAuthority("skerry-hub"), /foreign/],
      ["another name", (authority) => leaf(authority, { dnsNames: ["other"] }), /wrong-name/],
      ["an edge's certificate", (authority) => leaf(authority, { usages: ["client"] }), /wrong-usage/],
      ["expired", (authority) => leaf(authority, { notAfter: Date.now() - 500 }), /has expired/],
    ];
    for (const [what, server, message] of cases) {
      await using cloud = await new Cloud().start();
      const identity = await cloud.join("n1");
      await cloud.stop();
      await using wrong = new Cloud({
        authority: cloud.authority,
        server: server(cloud.authority),
        port: cloud.address.port,
      });
      await wrong.start();
      await using edge = tlsEdge(cloud, identity);
      await eventually(() => message.test(edge.link.status.problem ?? ""), { what });
      await assert.rejects(wrong.join("n2"), message, what);
    }
  });

  it("resumes its TLS session, and checks the server of it as at the first time", async () => {
    await using cloud = await new Cloud({ ticketKeys: Buffer.alloc(48, 1) }).start();
    const identity = await cloud.join("n1");
    const clock = skewedClock();
    const options = {
      address: cloud.address,
      authority: identity.authority,
      identity: identity.current,
      clock,
      log: silentLogger,
      signal: never,
    };
    let session: HubSession | undefined;
    const first = await dialHub({ ...options, onSession: (given) => void (session = given) });
    await eventually(() => session);
    first.destroy();
    const again = await dialHub({ ...options, session });
    assert.ok(again.isSessionReused());
    again.destroy();
    await assert.rejects(dialHub({ ...options, session, authority: newAuthority().certificate }), /foreign/);
    clock.aheadMs = 2 * YEAR_MS;
    await assert.rejects(dialHub({ ...options, session }), /has expired/);
  });

  it("comes back by a resumed session after the link was lost", async () => {
    await using cloud = await new Cloud({ ticketKeys: Buffer.alloc(48, 1) }).start();
    const identity = await cloud.join("n1");
    await using edge = tlsEdge(cloud, identity);
    for (let i = 0; i < 3; i++) {
      const link = await eventually(() => cloud.hub.sessions.locate("n1"));
      await edge.synced();
      link.close({ reason: "shutdown", message: "again" });
      await eventually(() => ![undefined, link].includes(cloud.hub.sessions.locate("n1")));
      await edge.synced();
    }
  });

  it("counts its sessions and failures, and knows what a heartbeat took while there is one", async () => {
    await using cloud = await new Cloud({ heartbeatMs: 50 }).start();
    await using edge = tlsEdge(cloud, await cloud.join("n1"));
    const { link } = edge;
    await edge.synced();
    const took = await eventually(() => link.roundTripMs);
    assert.ok(took > 0 && took < 10_000, String(took));
    assert.deepEqual(link.counts, { sessions: 1, failures: 0 });
    await cloud.stop();
    await eventually(() => link.counts.failures > 0);
    assert.equal(link.roundTripMs, undefined);
    await cloud.start();
    await edge.synced();
    assert.equal(link.counts.sessions, 2);
  });

  it("links even when its clock is years behind", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const clock = skewedClock();
    clock.aheadMs = -8 * YEAR_MS;
    await using edge = tlsEdge(cloud, identity, { clock });
    await edge.synced();
  });

  it("goes on while the hub gets another certificate, and finds it good when it comes back", async () => {
    await using cloud = await new Cloud().start();
    await using edge = tlsEdge(cloud, await cloud.join("n1"));
    await edge.synced();
    const link = cloud.hub.sessions.locate("n1");
    const renewed = leaf(cloud.authority);
    cloud.hub.renewCertificate(renewed, randomBytes(48));
    assert.equal(cloud.hub.sessions.locate("n1"), link);
    const socket = tls.connect({ ...cloud.address, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    assert.equal(socket.getPeerX509Certificate()?.serialNumber, renewed.certificate.serialNumber);
    socket.destroy();
    link?.close({ reason: "shutdown", message: "again" });
    await eventually(() => ![undefined, link].includes(cloud.hub.sessions.locate("n1")));
  });

  it("renews its certificate over the link when a third of its life is left", async () => {
    const clock = skewedClock();
    await using cloud = await new Cloud({ clock }).start();
    const identity = await cloud.join("n1");
    const before = identity.current.certificate;
    clock.aheadMs = 0.7 * YEAR_MS;
    await using edge = tlsEdge(cloud, identity, { clock });
    await edge.synced();
    await eventually(() => identity.current.certificate.serialNumber !== before.serialNumber);
    assert.notEqual(
      identity.current.certificate.publicKey.export({ format: "jwk" })["x"],
      before.publicKey.export({ format: "jwk" })["x"],
    );
    const saved = await eventually(() => EdgeIdentity.load(path.join(cloud.folder, "n1.pem")));
    assert.equal(saved.current.certificate.serialNumber, identity.current.certificate.serialNumber);
    assert.equal(saved.uid, identity.uid);
  });

  it("comes back after its certificate expired while it was away, by proving that it was its own", async () => {
    const clock = skewedClock();
    const authority = newAuthority();
    const server = leaf(authority, { notAfter: Date.now() + 3 * YEAR_MS });
    await using cloud = await new Cloud({ clock, authority, server }).start();
    const identity = await cloud.join("n1");
    clock.aheadMs = 1.5 * YEAR_MS;
    await using edge = tlsEdge(cloud, identity, { clock });
    await edge.synced();
    assert.ok(identity.current.certificate.validToDate.getTime() > clock.now());
  });

  it("renews its certificate when only the hub's clock says that it has ended", async () => {
    const clock = skewedClock();
    const authority = newAuthority();
    const server = leaf(authority, { notAfter: Date.now() + 3 * YEAR_MS });
    await using cloud = await new Cloud({ clock, authority, server }).start();
    const identity = await cloud.join("n1");
    clock.aheadMs = 1.5 * YEAR_MS;
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    clock.aheadMs = -2 * YEAR_MS;
    await using again = tlsEdge(cloud, identity, { file: "again" });
    await again.synced();
  });

  it("is not let back in with an expired certificate once its node is gone", async () => {
    const clock = skewedClock();
    const authority = newAuthority();
    const server = leaf(authority, { notAfter: Date.now() + 3 * YEAR_MS });
    await using cloud = await new Cloud({ clock, authority, server }).start();
    const identity = await cloud.join("n1");
    await cloud.client.delete(kinds.Node, { namespace: "", name: "n1" });
    clock.aheadMs = 1.5 * YEAR_MS;
    await using edge = tlsEdge(cloud, identity, { clock });
    await eventually(() => /join again/.test(edge.link.status.problem ?? ""));
  });
});
