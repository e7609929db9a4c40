import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { forgetEarlierBoot } from "./leftovers.ts";
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
