import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { namesIn } from "./files.ts";

it("namesIn() finds nothing in a folder that is not there, and fails for what is no folder", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "skerry-files-"));
  try {
    await writeFile(path.join(folder, "a"), "");
    assert.deepEqual(await namesIn(folder), ["a"]);
    assert.deepEqual(await namesIn(path.join(folder, "missing")), []);
    await assert.rejects(namesIn(path.join(folder, "a")), { code: "ENOTDIR" });
  } finally {
    await rm(folder, { recursive: true });
  }
});
