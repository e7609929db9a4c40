import assert from "node:assert/strict";
import { globSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { readManifest, staleness } from "./manifest.ts";

const ROOT = path.join(import.meta.dirname, "../..");
const folders = globSync("packages/*/src/**/gen/manifest.json", { cwd: ROOT }).map((file) => path.dirname(file));

describe("generated tables", () => {
  it("are there", () => assert.notEqual(folders.length, 0));

  for (const folder of folders) {
    it(`in ${folder} belong to the generators as they are`, () => {
      const { command } = readManifest(path.join(ROOT, folder));
      assert.deepEqual(staleness(ROOT, folder), [], `run: ${command}`);
    });

    it(`in ${folder} are all named in the manifest`, () => {
      const known = new Set(["manifest.json", ...Object.keys(readManifest(path.join(ROOT, folder)).outputs)]);
      const files = globSync("*", { cwd: path.join(ROOT, folder) }).filter((file) => !known.has(file));
      assert.deepEqual(files, []);
    });
  }
});
