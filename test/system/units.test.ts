import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { containerdUnit, environmentText } from "../../packages/agent/src/containerd/launcher.ts";
import { layoutOf } from "../../packages/cli/src/instance/layout.ts";
import { unitName, unitText } from "../../packages/cli/src/instance/units.ts";

const settings = {
  id: "0badcafe",
  roles: ["cloud", "edge"],
  apiPort: 6443,
  linkPort: 10_000,
  clusterCidr: "10.42.0.0/16",
  nodeName: "n1",
  sample: false,
} as const;

/** What systemd says about a unit's text. */
async function complaints(name: string, text: string): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-units-"));
  try {
    const file = path.join(dir, name);
    await writeFile(file, text);
    const { stderr } = await promisify(execFile)("systemd-analyze", ["verify", "--man=no", file]);
    const lines = stderr.split("\n");
    return lines.filter((line) => line.includes(name)).join("\n");
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

describe("unitText()", () => {
  it("makes units that systemd takes without a word, in odd data folders too", async () => {
    for (const dataDir of ["/var/lib/skerry", '/srv/a "b" $c %d\\e']) {
      for (const daemon of ["cloud", "edge"] as const) {
        const instance = { layout: layoutOf(dataDir), settings };
        assert.equal(await complaints(unitName(instance, daemon), unitText(instance, daemon)), "");
      }
    }
  });

  it("waits for no network, and ends the edge before its containerd", () => {
    const instance = { layout: layoutOf("/var/lib/skerry"), settings };
    assert.match(unitText(instance, "cloud"), /^After=network\.target$/m);
    assert.match(unitText(instance, "edge"), /^After=network\.target skerry-containerd\.service$/m);
    for (const daemon of ["cloud", "edge"] as const) assert.doesNotMatch(unitText(instance, daemon), /network-online/);
  });

  it("keeps pods alive when the agent is stopped", () => {
    const text = unitText({ layout: layoutOf("/var/lib/skerry"), settings }, "edge");
    assert.match(text, /^KillMode=process$/m);
    assert.match(text, /^Delegate=yes$/m);
    assert.match(text, /^Restart=always$/m);
  });
});

describe("containerdUnit()", () => {
  const text = containerdUnit({
    command: "/bin/sleep",
    args: ["--config", '/srv/a "b" $c %d\\e/config.toml'],
    logFile: '/srv/a "b" $c %d/containerd.log',
    pidFile: '/run/a "b" $c %d/c.pid',
    env: { PATH: "/bin", HTTPS_PROXY: "http://me:secret@p" },
  });

  it("makes a unit that systemd takes without a word, in odd data folders too", async () => {
    assert.equal(await complaints("skerry-0badcafe-containerd.service", text), "");
  });

  it("keeps its environment out of what everybody may read, and writes it as a shell would", async () => {
    assert.doesNotMatch(text, /secret|PATH/);
    const value = "http://me:a\"b\\c`d$e%f'g h@p";
    // What systemd reads of such a file, a shell reads too.
    const { stdout } = await promisify(execFile)("bash", ["-c", `${environmentText({ X: value })}printf %s "$X"`]);
    assert.equal(stdout, value);
  });

  it("keeps pods alive when containerd ends, and leaves it to the agent to start it again", () => {
    assert.match(text, /^KillMode=process$/m);
    assert.match(text, /^Delegate=yes$/m);
    assert.doesNotMatch(text, /^Restart=/m);
    assert.match(text, /^EnvironmentFile=\/run\/a "b" \$c %%d\/containerd\.env$/m);
    assert.match(text, /^StandardOutput=append:\/srv\/a "b" \$c %%d\/containerd\.log$/m);
  });
});
