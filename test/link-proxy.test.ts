import assert from "node:assert/strict";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import { describe, it } from "node:test";
import { join } from "@skerry/agent";
import { silentLogger, systemClock } from "@skerry/base";
import { createToken } from "@skerry/hub";
import { dialHub } from "../packages/agent/src/link/dial.ts";
import { HubDialer } from "../packages/agent/src/link/hub-dialer.ts";
import { HttpProxy } from "./http-proxy.ts";
import { Cloud, Edge, never, newAuthority } from "./link-world.ts";

const server = { host: "cloud.example", port: 10_000 };
const common = { clock: systemClock, log: silentLogger, signal: never };

/** What an attempt to dial a hub through a proxy fails with. */
async function failure(proxy: string, authority = newAuthority().certificate): Promise<string> {
  const dialled = dialHub({ ...common, address: server, proxy: new URL(proxy), authority, identity: undefined });
  const error: Error = await dialled.then(
    () => assert.fail("it was let through"),
    (thrown: Error) => thrown,
  );
  return error.message;
}

describe("A proxy before the cloud", () => {
  it("is what an edge joins and links through", async () => {
    await using cloud = await new Cloud().start();
    const leadsTo = (authority: string) => (authority === "cloud.example:10000" ? cloud.address.port : undefined);
    await using proxy = await HttpProxy.start({ leadsTo, credentials: "me:secret" });
    const token = await createToken(cloud.client, { authority: cloud.authority.certificate, clock: systemClock });
    const identityFile = path.join(cloud.folder, "n1.pem");
    const through = { proxy: new URL(proxy.url), clock: systemClock, log: silentLogger };
    const identity = await join({ ...through, server, token, nodeName: "n1", identityFile, signal: never });
    const dialer = new HubDialer({ ...through, address: server, identity });
    await using edge = new Edge(cloud.folder, { node: "n1", dial: (signal) => dialer.dial(signal) });
    await edge.synced();
    assert.ok(proxy.requests.length >= 3, "the CA, the join and the link each went through it");
    assert.deepEqual([...new Set(proxy.requests)], ["CONNECT cloud.example:10000"]);
  });

  it("cannot lead an edge to another cloud", async () => {
    await using other = await new Cloud().start();
    await using proxy = await HttpProxy.start({ leadsTo: () => other.address.port });
    assert.match(await failure(proxy.url), /^What answers at cloud\.example:10000 is not the hub .*\(foreign\)$/);
  });

  it("is told from a cloud that is away, with what mends it and without its password", async () => {
    await using closed = await HttpProxy.start({ credentials: "me:secret" });
    const refused = await failure(closed.url);
    assert.match(refused, /^the proxy http:\/\/127\.0\.0\.1:\d+ does not let us through to cloud\.example:10000: 403 /);
    assert.match(refused, /name cloud\.example in NO_PROXY$/);
    const stranger = await failure(closed.url.replace("secret", "wrong"));
    assert.match(stranger, /it wants another user and password/);
    const { url } = closed;
    await closed[Symbol.asyncDispose]();
    const gone = await failure(url);
    assert.match(gone, /^the proxy http:\/\/127\.0\.0\.1:\d+ is not reached: /);
    for (const words of [refused, stranger, gone]) assert.doesNotMatch(words, /secret|wrong|me:/);
  });

  it("is given up when nobody waits any more", async () => {
    const silent = net.createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      const stop = new AbortController();
      const proxy = new URL(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
      const { certificate: authority } = newAuthority();
      const options = { ...common, address: server, proxy, authority, identity: undefined, signal: stop.signal };
      const dialled = dialHub(options);
      stop.abort(new Error("enough"));
      await assert.rejects(dialled, /^Error: enough$/);
    } finally {
      silent.close();
    }
  });
});
