import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, mkdtempDisposable, readdir, realpath, rm, symlink } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseCall, type Command } from "../command.ts";
import { edgeSocketOf, layoutOf, layoutOfCall } from "./layout.ts";

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
    const refused = /^--data-dir takes a path of at most 92 bytes, .* has 93: choose a shorter one$/;
    const layoutIn = (dataDir: string) => layoutOfCall(parseCall(none, ["--data-dir", dataDir], {}, never));
    assert.throws(() => layoutIn(folderOf(93)), { name: "UsageError", message: refused });
    const fits = layoutIn(folderOf(92));
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
        stderr: /^skerry: --data-dir takes a path of at most 92 bytes, /,
      });
    }
  });
});

describe("layoutOf()", () => {
  it("knows an instance by one name, whatever path leads to it, before and after its folder is made", async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), "skerry-"));
    const real = await realpath(folder.path);
    await mkdir(path.join(real, "disk", "deep"), { recursive: true });
    await symlink(path.join(real, "disk"), path.join(real, "link"));
    await symlink(path.join("disk", "deep"), path.join(real, "shortcut"));
    // Leads to what is not there, as one does after `down -v`.
    await symlink(path.join("disk", "data"), path.join(real, "named"));
    const wanted = path.join(real, "disk", "data");
    const paths = [
      wanted,
      `${wanted}//`,
      `${real}/link/data`,
      `${real}/link/none/../data/`,
      // Behind the link lies the folder of what it leads to, not its own.
      `${real}/shortcut/../data`,
      `${real}/named`,
      path.relative(process.cwd(), `${real}/link/data`),
    ];
    const named = (): string[] => [...new Set(paths.map((each) => layoutOf(each).dataDir))];
    assert.deepEqual(named(), [wanted]);
    await mkdir(path.join(wanted, "..", "none"));
    await mkdir(wanted);
    assert.deepEqual(named(), [wanted]);
    assert.equal(layoutOf(`${real}/named`).runDir, path.join(wanted, "run"));
  });

  it("takes the default instance for it by whatever path, and no other", async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), "skerry-"));
    await symlink("/var/lib", path.join(folder.path, "lib"));
    const layout = layoutOf("/var/lib/skerry");
    assert.equal(layout.runDir, "/run/skerry");
    assert.deepEqual(layoutOf(`${folder.path}/lib/skerry/`), layout);
    assert.deepEqual(layoutOf("/var/lib/skerry/."), layout);
    assert.notEqual(layoutOf("/var/lib/skerry2").runDir, layout.runDir);
  });
});
