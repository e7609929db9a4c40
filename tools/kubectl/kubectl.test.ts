import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { helmPath, installKubectl, kubectlPath } from "./kubectl.ts";

it("installKubectl() brings a kubectl and a Helm that run, and does nothing the second time", async (t) => {
  const cacheDir = mkdtempSync(path.join(tmpdir(), "skerry-kubectl-"));
  t.after(() => rmSync(cacheDir, { recursive: true }));
  assert.throws(
    () => kubectlPath("1.35", { cacheDir }),
    /Cannot find kubectl 1.35: run node tools\/kubectl\/install.ts/,
  );

  const file = await installKubectl("1.35", { cacheDir, signal: t.signal });
  assert.equal(file, kubectlPath("1.35", { cacheDir }));
  assert.match(execFileSync(file, ["version", "--client"], { encoding: "utf8" }), /Client Version: v1\.35\./);
  assert.match(execFileSync(helmPath("1.35", { cacheDir }), ["version", "--short"], { encoding: "utf8" }), /^v\d/);

  const aborted = AbortSignal.abort();
  assert.equal(await installKubectl("1.35", { cacheDir, signal: aborted }), file);
});
