import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "./clock.ts";

describe("systemClock", () => {
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
