import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { Machine, type Outcome } from "./machine.ts";

/** Where this machine's kernel says which cgroups it has: the first with version 2, the other with version 1. */
const CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers";
const CGROUPS = "/proc/cgroups";

/** Whole as it stands, whoever made it. */
const TOKEN = `skerry.abc.secret.${"a".repeat(43)}`;

describe("A machine whose memory cgroup is off", () => {
  let dir: string;
  let bind: string;
  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "skerry-unfit-"));
    const file = existsSync(CONTROLLERS) && (await readFile(CONTROLLERS, "utf8")).trim() !== "" ? CONTROLLERS : CGROUPS;
    const without = (await readFile(file, "utf8"))
      .replace(/^(memory\s.*)1$/m, "$10")
      .replace(/\bmemory (?=[a-z])|\bmemory$/, "");
    await writeFile(path.join(dir, "cgroups"), without);
    bind = `mount --bind ${path.join(dir, "cgroups")} ${file}`;
  });
  after(() => rm(dir, { recursive: true }));

  for (const command of ["up", `join 127.0.0.1:10000 ${TOKEN}`]) {
    it(`is told by ${command.split(" ")[0]} how to mend that, and nothing is made`, async () => {
      await using machine = await Machine.create();
      const { code, stdout, stderr }: Outcome = await machine.exec("unshare", [
        "--mount",
        "bash",
        "-c",
        `${bind} && exec ./skerry ${command}`,
      ]);
      assert.equal(code, 1, stdout + stderr);
      assert.match(stderr, /^skerry: The memory cgroup is off, .*cgroup_enable=memory cgroup_memory=1 .*reboot$/m);
      assert.deepEqual(await readdir(machine.dataDir), []);
    });
  }
});
