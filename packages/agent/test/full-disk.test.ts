import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { eventually } from "@skerry/base/testing";
import { projectionHash } from "@skerry/wire";
import { Agent, readMachine } from "../src/index.ts";
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

/** Mounts a disk of its own, which takes root: so it stands with the whole-system tests. */
describe("an edge whose disk is full", () => {
  it("runs its pods again after a reboot, and tells of it when there is room", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "skerry-disk-"));
    const disk = path.join(folder, "disk");
    const ballast = path.join(disk, "ballast");
    await mkdir(disk);
    await run("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]);
    const runtime = new FakeRuntime({ registry: ["app:1"] });
    const start = async (bootId: string): Promise<Agent> => {
      const agent = new Agent({
        dataDir: path.join(disk, "edge"),
        nodeName: "n1",
        runtime,
        cgroups: noCgroups,
        mounts: noMounts,
        readMachine: async () => ({ ...(await readMachine(disk)), bootId }),
      });
      try {
        await agent.start();
      } catch (error) {
        await agent[Symbol.asyncDispose]();
        throw error;
      }
      return agent;
    };
    const restarts = (agent: Agent): number => agent.status().pods[0]?.restarts ?? 0;
    try {
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
          const text = Buffer.from(item.bytes).toString();
          return item.uid === web.metadata.uid && text.includes('"restartCount":1');
        });
      await eventually(reported, { what: "the restart to be on record" });
      await eventually(() => !agent.status().problems.some(({ what }) => what.includes("memory")));
    } finally {
      await run("umount", ["-l", disk]);
      await rm(folder, { recursive: true, force: true });
    }
  });
});
