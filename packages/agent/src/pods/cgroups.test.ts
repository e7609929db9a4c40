import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { linuxCgroups } from "./cgroups.ts";

describe("linuxCgroups()", () => {
  for (const [driver, folder] of [
    ["cgroupfs", "skerry-a/poda-1"],
    ["systemd", "skerrya.slice/skerrya-poda_1.slice"],
  ] as const) {
    it(`reads how many processes of a pod were killed for their memory, below what ${driver} makes`, async () => {
      const root = await mkdtemp(path.join(tmpdir(), "skerry-cgroups-"));
      await using _ = { [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
      await writeFile(path.join(root, "cgroup.controllers"), "cpu memory");
      const cgroups = linuxCgroups({ instance: "a", driver, root });
      assert.equal(await cgroups.oomKills("a-1"), 0);
      await mkdir(path.join(root, folder), { recursive: true });
      await writeFile(path.join(root, folder, "memory.events"), "low 0\noom 3\noom_kill 2\noom_group_kill 0\n");
      assert.equal(await cgroups.oomKills("a-1"), 2);
    });
  }

  for (const version of [1, 2] as const) {
    it(`finds the pods that have a cgroup of version ${version}, and removes one`, async () => {
      const root = await mkdtemp(path.join(tmpdir(), "skerry-cgroups-"));
      await using _ = { [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
      const hierarchies = version === 1 ? ["memory", "cpu"].map((name) => path.join(root, name)) : [root];
      if (version === 2) await writeFile(path.join(root, "cgroup.controllers"), "cpu memory");
      for (const [n, hierarchy] of hierarchies.entries()) {
        for (const folder of [
          "skerry-a/poda-1/child",
          `skerry-a/podonly-${n}`,
          "skerry-b/podb-1",
          "skerry-a-containerd",
        ])
          await mkdir(path.join(hierarchy, folder), { recursive: true });
      }
      const cgroups = linuxCgroups({ instance: "a", driver: "cgroupfs", root });
      const signal = new AbortController().signal;
      const others = version === 1 ? ["only-0", "only-1"] : ["only-0"];
      assert.deepEqual(
        [...(await cgroups.uids(signal))].toSorted((a, b) => a.localeCompare(b)),
        ["a-1", ...others],
      );
      await cgroups.remove("a-1", signal);
      assert.deepEqual(
        [...(await cgroups.uids(signal))].toSorted((a, b) => a.localeCompare(b)),
        others,
      );
      assert.deepEqual([...(await linuxCgroups({ instance: "b", driver: "cgroupfs", root }).uids(signal))], ["b-1"]);
    });
  }
});
