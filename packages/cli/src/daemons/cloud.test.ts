import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import tls from "node:tls";
import { it } from "node:test";
import { silentLogger } from "@skerry/base";
import { eventually, FakeClock } from "@skerry/base/testing";
import { MemoryLog } from "@skerry/store";
import { Cloud } from "./cloud.ts";

const DAY_MS = 86_400_000;

async function serialAt(port: number): Promise<string> {
  const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { serialNumber = "" } = socket.getPeerX509Certificate() ?? {};
  socket.destroy();
  return serialNumber;
}

/** A port of this machine that nothing listens on. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const refuses = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(false));
    socket.on("error", () => resolve(true)).on("connect", () => socket.destroy());
  });

it("Cloud leaves no port open when a part of it cannot start", async () => {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-cloud-"));
  stack.defer(() => rm(dir, { recursive: true }));
  const [apiPort, linkPort] = [await freePort(), await freePort()];
  const common = { dir, host: "127.0.0.1", version: "test", log: silentLogger };
  // Node lifecycle has no network to share out: it fails at once, while both ports are on their way to open.
  const cloud = new Cloud({ ...common, commitLog: new MemoryLog(), apiPort, linkPort, clusterCidr: "" });
  await assert.rejects(cloud.start(), /cluster's network/);
  await cloud[Symbol.asyncDispose]();
  assert.deepEqual(await Promise.all([apiPort, linkPort].map(refuses)), [true, true]);

  await using taken = net.createServer().listen(linkPort, "127.0.0.1");
  await once(taken, "listening");
  const other = new Cloud({ ...common, commitLog: new MemoryLog(), apiPort, linkPort, clusterCidr: "10.42.0.0/16" });
  await assert.rejects(other.start(), /choose another with --link-port/);
  await other[Symbol.asyncDispose]();
  assert.equal(await refuses(apiPort), true);
});

it("Cloud makes the API's, the hub's and the administrator's certificate anew before they end, while it runs", async () => {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-cloud-"));
  stack.defer(() => rm(dir, { recursive: true }));
  const clock = new FakeClock(Date.now());
  // What starts and stops waits for its own clock now and then.
  const passing = setInterval(() => clock.advance(1), 1);
  stack.defer(() => clearInterval(passing));
  const cloud = stack.use(
    new Cloud({
      dir,
      commitLog: new MemoryLog(),
      apiPort: 0,
      linkPort: 0,
      host: "127.0.0.1",
      clusterCidr: "10.42.0.0/16",
      version: "test",
      log: silentLogger,
      clock,
    }),
  );
  await cloud.start();
  const kubeconfig = path.join(dir, "kubeconfig");
  await cloud.writeKubeconfig(kubeconfig);
  const serials = async (): Promise<string[]> => {
    const [, admin = ""] = /client-certificate-data: (\S+)/.exec(await readFile(kubeconfig, "utf8")) ?? [];
    return [
      await serialAt(cloud.apiPort),
      await serialAt(cloud.linkPort),
      new X509Certificate(Buffer.from(admin, "base64")).serialNumber,
    ];
  };
  const before = await serials();
  assert.deepEqual(await serials(), before);
  clock.jump(299 * DAY_MS);
  clock.advance(DAY_MS);
  await eventually(async () => (await serials()).every((serial, at) => serial !== before[at]));
});
