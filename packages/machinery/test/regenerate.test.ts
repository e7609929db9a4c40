import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";

const ROOT = path.join(import.meta.dirname, "../../..");

interface Manifest {
  inputs: Record<string, string>;
}
const inputsOf = (file: string): unknown => (JSON.parse(readFileSync(file, "utf8")) as Manifest).inputs;

it("generating all tables again makes what is checked in", { timeout: 300_000 }, async (t) => {
  const target = mkdtempSync(path.join(tmpdir(), "skerry-codegen-"));
  t.after(() => rmSync(target, { recursive: true }));
  await promisify(execFile)("bash", ["tools/codegen/run.sh", target], { cwd: ROOT, signal: t.signal });

  const manifests = globSync("packages/*/src/**/gen/manifest.json", { cwd: ROOT });
  assert.notEqual(manifests.length, 0);
  for (const manifest of manifests) {
    const folder = path.dirname(manifest);
    // Another containerd than the one that was read has a few messages more or less; its table is its own.
    const sameInputs =
      JSON.stringify(inputsOf(path.join(ROOT, manifest))) === JSON.stringify(inputsOf(path.join(target, manifest)));
    if (!sameInputs) {
      t.diagnostic(`${folder} was made from other inputs`);
      continue;
    }
    const files = globSync("*", { cwd: path.join(target, folder) });
    assert.deepEqual(files.toSorted(), globSync("*", { cwd: path.join(ROOT, folder) }).toSorted());
    for (const file of files) {
      const [made, kept] = [target, ROOT].map((root) => readFileSync(path.join(root, folder, file), "utf8"));
      assert.ok(made === kept, `${folder}/${file} is not what its generator makes`);
    }
  }
});
