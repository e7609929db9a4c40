import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { silentLogger, systemClock, writeFileAtomic } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import { projectionHash } from "@skerry/wire";
import { EdgeCache } from "../src/cache/edge-cache.ts";
import { Agent, readMachine, type AgentOptions } from "../src/index.ts";
import { FakeRuntime, noCgroups, noMounts } from "../src/testing.ts";

const run = promisify(execFile);

const web = {
  metadata: { namespace: "default", name: "web", uid: "00000000-0000-4000-8000-000000000001" },
  spec: { restartPolicy: "Always", containers: [{ name: "main", image: "app:1" }] },
};

/** Writes zeros until the disk takes no more. */
async function fill(file: string): Promise<void> {
  await using handle = await open(file, "w");
  for (const block of [Buffer.alloc(65_536), Buffer.alloc(512), Buffer.alloc(1)]) {
    try {
      for (;;) await handle.writeFile(block);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
    }
  }
}

/** A disk of its own that is full soon. Mounting it takes root: so this stands with the whole-system tests. */
async function smallDisk(): Promise<AsyncDisposable & { disk: string; ballast: string; socket: string }> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), "skerry-disk-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const disk = path.join(folder, "disk");
  await mkdir(disk);
  await run("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]);
  stack.defer(async () => void (await run("umount", ["-l", disk])));
  const mounted = stack.move();
  return {
    disk,
    ballast: path.join(disk, "ballast"),
    socket: path.join(folder, "agent.sock"),
    [Symbol.asyncDispose]: () => mounted.disposeAsync(),
  };
}

it("a file that a full disk does not take is named in the error, and nothing of it stays", async () => {
  await using place = await smallDisk();
  await fill(place.ballast);
  const file = path.join(place.disk, "pid");
  await assert.rejects(writeFileAtomic(file, "x".repeat(1 << 20)), { code: "ENOSPC", path: file });
  assert.deepEqual(await readdir(place.disk), ["ballast"]);
});

async function startAgent(disk: string, options: Partial<AgentOptions> & { runtime: FakeRuntime }): Promise<Agent> {
  const agent = new Agent({
    dataDir: path.join(disk, "edge"),
    nodeName: "n1",
    cgroups: noCgroups,
    mounts: noMounts,
    ...options,
  });
  try {
    await agent.start();
  } catch (error) {
    await agent[Symbol.asyncDispose]();
    throw error;
  }
  return agent;
}

describe("an edge whose disk is full", () => {
  it("runs its pods again after a reboot, and tells of it when there is room", async () => {
    await using place = await smallDisk();
    const { disk, ballast } = place;
    const runtime = new FakeRuntime({ registry: ["app:1"] });
    const start = (bootId: string): Promise<Agent> =>
      startAgent(disk, { runtime, readMachine: async () => ({ ...(await readMachine(disk)), bootId }) });
    const restarts = (agent: Agent): number => agent.status().pods[0]?.restarts ?? 0;
    {
      await using agent = await start("boot-1");
      const { namespace, name, uid } = web.metadata;
      const bytes = Buffer.from(JSON.stringify(web));
      const object = { resource: "pods", namespace, name, uid, hash: projectionHash(bytes) };
      await agent.cache.commit([{ op: "put", object, bytes }]);
      await eventually(() => agent.status().pods[0]?.phase === "Running");
      await agent.cache.inSync();
      await fill(ballast);
    }
    runtime.reboot("kept");
    await using agent = await start("boot-2");
    await eventually(() => runtime.isRunning("web", "main"), { what: "the pod to run again" });
    await eventually(() => restarts(agent) === 1);
    await rm(ballast);
    const reported = (): boolean =>
      agent.cache.reports.after(0, 100).some(({ item }) => {
        const said = Buffer.from(item.bytes).toString();
        return item.uid === web.metadata.uid && said.includes('"restartCount":1');
      });
    await eventually(reported, { what: "the restart to be on record" });
    await eventually(() => !agent.status().problems.some(({ what }) => what.includes("memory")));
  });

  it("is ready again as soon as there is room and somebody asks", async () => {
    await using place = await smallDisk();
    const { disk, ballast, socket } = place;
    await using agent = await startAgent(disk, { runtime: new FakeRuntime(), socket });
    const readiness = async (): Promise<string> => {
      const [answer] = (await once(get({ socketPath: socket, path: "/readyz" }), "response")) as [IncomingMessage];
      return text(answer);
    };
    assert.equal(await readiness(), "ok\n");
    await fill(ballast);
    await assert.rejects(agent.cache.setNote("a", "b"));
    assert.match(await readiness(), /^\[-\]cache failed: .*full/m);
    await rm(ballast);
    assert.equal(await readiness(), "ok\n");
    assert.deepEqual(agent.status().problems, []);
  });
});

describe("EdgeCache.problemNow()", () => {
  it("writes while the last write failed, and at no other time", async () => {
    await using place = await smallDisk();
    const { disk, ballast } = place;
    const file = path.join(disk, "cache.db");
    await using cache = EdgeCache.open(file, { clock: systemClock, log: silentLogger });
    await cache.inSync();
    const written = await readFile(`${file}-wal`);
    assert.equal(await cache.problemNow(), "");
    await fill(ballast);
    assert.equal(await cache.problemNow(), "", "nothing has failed yet");
    assert.deepEqual(await readFile(`${file}-wal`), written);
    await assert.rejects(cache.setNote("a", "b"));
    assert.match(await cache.problemNow(), /full/);
    await rm(ballast);
    assert.match(cache.problem, /full/);
    assert.equal(await cache.problemNow(), "");
    assert.equal(cache.problem, "");
  });
});
