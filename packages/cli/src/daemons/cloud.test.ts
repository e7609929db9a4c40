import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
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
