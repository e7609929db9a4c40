import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { UserError } from "../command.ts";
import { lockInstance } from "./instance-lock.ts";
import { layoutOf } from "./layout.ts";

const HOLDER = fileURLToPath(new URL("./instance-lock.child.ts", import.meta.url));

function lockFolder(): Disposable & { place: string } {
  const place = mkdtempSync(path.join(tmpdir(), "skerry-lock-"));
  return { place, [Symbol.dispose]: () => rmSync(place, { recursive: true }) };
}

describe("lockInstance()", () => {
  it("lets one command work on an instance at a time, says which, and leaves nothing", () => {
    using folder = lockFolder();
    const { place } = folder;
    const [one, other] = [layoutOf("/tmp/one"), layoutOf("/tmp/other")];
    {
      using _ = lockInstance(one, "up", place);
      assert.throws(
        () => lockInstance(one, "down", place),
        (error) =>
          error instanceof UserError &&
          error.message.startsWith(`Another skerry up (process ${process.pid}) is at work on /tmp/one; `),
      );
      lockInstance(other, "up", place)[Symbol.dispose]();
    }
    lockInstance(one, "down", place)[Symbol.dispose]();
    assert.deepEqual(readdirSync(place), []);
  });

  it("is let go of once, so that the next holder keeps it", () => {
    using folder = lockFolder();
    const { place } = folder;
    const one = layoutOf("/tmp/one");
    const first = lockInstance(one, "up", place);
    first[Symbol.dispose]();
    using _ = lockInstance(one, "down", place);
    first[Symbol.dispose]();
    assert.throws(() => lockInstance(one, "up", place), /Another skerry down /);
  });

  it("ends with a process that is killed", async () => {
    using folder = lockFolder();
    const { place } = folder;
    const child = spawn(process.execPath, [HOLDER, "/tmp/one", place], { stdio: ["pipe", "pipe", "inherit"] });
    await once(child.stdout, "data");
    assert.throws(() => lockInstance(layoutOf("/tmp/one"), "up", place), new RegExp(`process ${child.pid}\\)`));
    child.kill("SIGKILL");
    await once(child, "exit");
    lockInstance(layoutOf("/tmp/one"), "up", place)[Symbol.dispose]();
    assert.deepEqual(readdirSync(place), []);
  });
});
