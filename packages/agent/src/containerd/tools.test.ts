import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { findContainerTools } from "./tools.ts";

async function machine(programs: readonly string[]): Promise<AsyncDisposable & { bin: string; cni: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-tools-"));
  for (const program of programs) {
    const file = path.join(dir, program);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, "", { mode: 0o755 });
  }
  return {
    bin: path.join(dir, "bin"),
    cni: path.join(dir, "cni"),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

const BIN = ["bin/containerd", "bin/containerd-shim-runc-v2", "bin/runc", "bin/iptables"];
const CNI = ["cni/bridge", "cni/host-local", "cni/portmap", "cni/firewall", "cni/loopback"];

describe("findContainerTools()", () => {
  it("finds containerd and the folder that has all the plugins", async () => {
    await using m = await machine([...BIN, ...CNI]);
    const tools = await findContainerTools({ searchPath: `/nowhere:${m.bin}`, cniBinDirs: [m.bin, m.cni] });
    assert.deepEqual(tools, { containerd: path.join(m.bin, "containerd"), cniBinDir: m.cni });
  });

  it("names all that is missing, and the packages that bring it", async () => {
    await using m = await machine([...BIN.slice(1, 2), ...CNI.slice(1)]);
    await assert.rejects(findContainerTools({ searchPath: m.bin, cniBinDirs: [m.cni] }), {
      name: "MissingToolsError",
      packages: ["containerd", "runc", "iptables", "containernetworking-plugins"],
      message:
        "Cannot run containers: this machine has no containerd, runc, iptables, " +
        "folder with the CNI plugins bridge, host-local, portmap, firewall, loopback; " +
        'install what is missing with "apt-get install containerd runc iptables containernetworking-plugins"',
    });
  });
});
