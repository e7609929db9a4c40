import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "@skerry/base/testing";
import { WatchRounds } from "./watch-rounds.ts";

describe("WatchRounds", () => {
  it("writes a lone event at once, after what else this turn publishes", async () => {
    const rounds = new WatchRounds(new FakeClock());
    const written: string[] = [];
    rounds.join(() => written.push("a"));
    rounds.join(() => written.push("b"));
    assert.deepEqual(written, []);
    await new Promise(setImmediate);
    assert.deepEqual(written, ["a", "b"]);
  });

  it("gathers what follows soon, of all watchers, into one round", async () => {
    const clock = new FakeClock();
    const rounds = new WatchRounds(clock);
    const written: string[] = [];
    rounds.join(() => written.push("a"));
    await new Promise(setImmediate);
    clock.advance(2);
    rounds.join(() => written.push("b"));
    clock.advance(3);
    rounds.join(() => written.push("c"));
    assert.equal(clock.pending, 1);
    await new Promise(setImmediate);
    assert.deepEqual(written, ["a"]);
    clock.advance(5);
    assert.deepEqual(written, ["a", "b", "c"]);
    clock.advance(60_000);
    rounds.join(() => written.push("d"));
    await new Promise(setImmediate);
    assert.deepEqual(written, ["a", "b", "c", "d"]);
  });
});
