import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseCall, type Command } from "../command.ts";
import { dataDirOption, edgeSocketOf, layoutOf, layoutOfCall } from "./layout.ts";

const SKERRY = fileURLToPath(new URL("../../../../bin/skerry.ts", import.meta.url));
const never = new AbortController().signal;
const none: Command = { name: "none", summary: "", run: () => Promise.resolve() };

/** A folder whose path has so many bytes, in letters of two. */
function folderOf(bytes: number): string {
  const rest = bytes - "/tmp/".length;
  return `/tmp/${"x".repeat(rest % 2)}${"é".repeat(Math.floor(rest / 2))}`;
}

describe("--data-dir", () => {
  it("is refused where the agent's socket would not fit, and only there", async () => {
    const refused = /^--data-dir takes a path of at most 91 bytes, .* has 92: choose a shorter one$/;
    const layoutIn = (dataDir: string) => layoutOfCall(parseCall(none, ["--data-dir", dataDir], {}, never));
    assert.throws(() => layoutIn(folderOf(92)), { name: "UsageError", message: refused });
    const fits = layoutIn(folderOf(91));
    assert.equal(Buffer.byteLength(edgeSocketOf(fits)), 107);
  });

  it("leaves as much as the machine allows a socket's path", async () => {
    const root = await mkdtemp(path.join(tmpdir(), "skerry-"));
    const file = path.join(root, "s".repeat(107 - Buffer.byteLength(root) - 1));
    const server = net.createServer();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(file, resolve);
      });
      assert.deepEqual(await readdir(root), [path.basename(file)]);
    } finally {
      server.close();
      await rm(root, { recursive: true });
    }
  });

  it("is looked at before a command does anything", async () => {
    const options = { env: { ...process.env, SKERRY_DATA_DIR: folderOf(120) } };
    for (const words of [
      ["image", "import", "no-such-archive.tar"],
      ["kubectl", "get", "pods"],
    ]) {
      await assert.rejects(promisify(execFile)(process.execPath, [SKERRY, ...words], options), {
        code: 2,
        stderr: /^skerry: --data-dir takes a path of at most 91 bytes, /,
      });
    }
  });
});

it("dataDirOption() names an instance so that a shell reads it, and not the default one", () => {
  assert.equal(dataDirOption(layoutOf("/var/lib/skerry")), "");
  assert.equal(dataDirOption(layoutOf("/srv/edge-1")), " --data-dir /srv/edge-1");
  assert.equal(dataDirOption(layoutOf("/srv/it's mine")), ` --data-dir '/srv/it'\\''s mine'`);
});
