import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { commandLine } from "./command-line.ts";
import { layoutOf } from "./layout.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../../..", import.meta.url)).replace(/\/$/, "");

describe("commandLine()", () => {
  it("names the instance, and not the default one", () => {
    const line = (dataDir: string, words: string): string => commandLine(layoutOf(dataDir), words, ROOT);
    assert.equal(line("/var/lib/skerry", "logs cloud"), "./skerry logs cloud");
    assert.equal(line("/srv/edge-1", "logs cloud"), "./skerry logs cloud --data-dir /srv/edge-1");
    assert.equal(line("/srv/edge-1", "kubectl logs web -p"), "./skerry kubectl --data-dir /srv/edge-1 logs web -p");
    assert.equal(line("/srv/it's mine", "up"), `./skerry up --data-dir '/srv/it'\\''s mine'`);
  });

  it("is read by a shell, wherever it is pasted", async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), "skerry it's "));
    const layout = layoutOf(folder.path);
    await writeFile(layout.settings, JSON.stringify({ id: "0a1b2c3d", roles: ["cloud"] }));
    for (const cwd of [ROOT, "/"]) {
      const { stdout } = await run("bash", ["-c", commandLine(layout, "kubeconfig", cwd)], { cwd });
      assert.equal(stdout.trim(), layout.kubeconfig);
    }
  });
});
