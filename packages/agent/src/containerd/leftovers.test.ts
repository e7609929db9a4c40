import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { childrenOf, forgetEarlierBoot } from "./leftovers.ts";
import { containerdPaths } from "./paths.ts";

describe("forgetEarlierBoot()", () => {
  it("forgets what another boot left, and that alone", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "skerry-boot-"));
    const paths = containerdPaths({ instance: "a", dataDir: dir, runDir: path.join(dir, "run"), logDir: dir });
    try {
      await mkdir(paths.ipamDir, { recursive: true });
      await mkdir(paths.rootDir, { recursive: true });
      assert.equal(await forgetEarlierBoot(paths, "boot-1"), false, "nothing says that the files are old");
      await writeFile(paths.bootIdFile, "boot-1\n");
      assert.equal(await forgetEarlierBoot(paths, "boot-1"), false);
      assert.ok(existsSync(paths.ipamDir));
      assert.equal(await forgetEarlierBoot(paths, "boot-2"), true);
      assert.ok(!existsSync(paths.ipamDir));
      assert.ok(existsSync(paths.rootDir));
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

describe("childrenOf()", () => {
  it("finds living children by their parent, on a kernel that lists no children too", async () => {
    const proc = await mkdtemp(path.join(tmpdir(), "skerry-proc-"));
    const put = async (pid: number, name: string, state: string, parent: number): Promise<void> => {
      await mkdir(path.join(proc, String(pid)));
      const between = Array.from({ length: 17 }, () => "0").join(" ");
      await writeFile(
        path.join(proc, String(pid), "stat"),
        `${pid} (${name}) ${state} ${parent} ${between} ${pid}00 9`,
      );
    };
    try {
      await put(5, "containerd-shim", "S", 1);
      await put(6, "a b) S 9 (", "S", 5);
      await put(7, "ended", "Z", 5);
      await put(8, "other", "S", 55);
      await mkdir(path.join(proc, "sys"));
      assert.deepEqual(await childrenOf(5, proc), [{ pid: 6, startTime: "600" }]);
      assert.deepEqual(await childrenOf(6, proc), []);
    } finally {
      await rm(proc, { recursive: true, force: true });
    }
  });
});
