import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "./clock.ts";

describe("systemClock", () => {
  it("monotonic() counts from the same start in every process", async () => {
    const script = `import { systemClock } from "./clock.ts"; console.log(systemClock.monotonic());`;
    const before = systemClock.monotonic();
    const args = ["--input-type=module-typescript", "--eval", script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname });
    assert.ok(before <= Number(stdout) && Number(stdout) <= systemClock.monotonic(), stdout);
  });

  it("sleep() rejects with the signal's own reason", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const slept = systemClock.sleep(60_000, stop.signal);
    stop.abort(reason);
    await assert.rejects(slept, reason);
    await assert.rejects(systemClock.sleep(0, stop.signal), reason);
  });

  it("after() does not fire at once for longer than a timer of Node can wait", async () => {
    let fired = false;
    const cancel = systemClock.after(2 ** 31 + 10, () => (fired = true));
    await systemClock.sleep(20);
    assert.equal(fired, false);
    cancel();
  });
});
