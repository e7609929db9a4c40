import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Clock } from "@skerry/base";
import { withPatience } from "./patience.ts";

/** A clock whose timers fire once a leap, as late as it is long: that of a process which is not run in between. */
class LeapingClock implements Clock {
  #monotonic = 0;
  #timers = new Map<() => void, number>();

  now = (): number => this.#monotonic;
  monotonic = (): number => this.#monotonic;

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  after(ms: number, callback: () => void): () => void {
    const fire = (): void => callback();
    this.#timers.set(fire, this.#monotonic + ms);
    return () => void this.#timers.delete(fire);
  }

  get pending(): number {
    return this.#timers.size;
  }

  leap(ms: number): void {
    this.#monotonic += ms;
    // Not those that these set anew.
    const due = Array.from(this.#timers).filter(([, at]) => at <= this.#monotonic);
    for (const [fire] of due) if (this.#timers.delete(fire)) fire();
  }
}

const never = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

describe("withPatience()", () => {
  it("gives up after the time that it was told", async () => {
    const clock = new LeapingClock();
    let isOver = false;
    const asked = withPatience(never, { ms: 10_000, clock, signal: new AbortController().signal });
    asked.catch(() => (isOver = true));
    for (let n = 0; n < 19; n++) clock.leap(500);
    await Promise.resolve();
    assert.equal(isOver, false);
    clock.leap(500);
    await assert.rejects(asked, /no answer for 10000 ms/);
    assert.equal(clock.pending, 0);
  });

  it("does not hold against anybody the time in which this process did not run", async () => {
    const clock = new LeapingClock();
    const answer = Promise.withResolvers<string>();
    const options = { ms: 10_000, clock, signal: new AbortController().signal };
    const asked = withPatience((signal) => Promise.race([answer.promise, never(signal)]), options);
    for (let n = 0; n < 10; n++) clock.leap(60_000);
    answer.resolve("ready");
    assert.equal(await asked, "ready");
    assert.equal(clock.pending, 0);
  });

  it("ends with its signal", async () => {
    const clock = new LeapingClock();
    const stop = new AbortController();
    const asked = withPatience(never, { ms: 10_000, clock, signal: stop.signal });
    stop.abort(new Error("stop"));
    await assert.rejects(asked, /stop/);
    assert.equal(clock.pending, 0);
  });
});
