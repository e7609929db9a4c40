import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
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

describe("unitText()", () => {
  it("makes units that systemd takes without a word, in odd data folders too", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "skerry-units-"));
    try {
      for (const dataDir of ["/var/lib/skerry", '/srv/a "b" $c %d\\e']) {
        for (const daemon of ["cloud", "edge"] as const) {
          const instance = { layout: layoutOf(dataDir), settings };
          const file = path.join(dir, unitName(instance, daemon));
          await writeFile(file, unitText(instance, daemon));
          const { stderr } = await promisify(execFile)("systemd-analyze", ["verify", "--man=no", file]);
          assert.equal(
            stderr
              .split("\n")
              .filter((line) => line.includes(path.basename(file)))
              .join("\n"),
            "",
          );
        }
      }
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  it("keeps pods alive when the agent is stopped", () => {
    const text = unitText({ layout: layoutOf("/var/lib/skerry"), settings }, "edge");
    assert.match(text, /^KillMode=process$/m);
    assert.match(text, /^Delegate=yes$/m);
    assert.match(text, /^Restart=always$/m);
  });
});
