import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyedQueue } from "./keyed-queue.ts";
import { FakeClock } from "./testing.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("KeyedQueue", () => {
  it("runs a key once, however often it was added while it waited", async () => {
    const runs: string[] = [];
    await using queue = new KeyedQueue({ run: async (key) => void runs.push(key) });
    queue.add("a");
    queue.add("a");
    queue.add("b");
    queue.start();
    await queue.idle();
    assert.deepEqual(runs, ["a", "b"]);
  });

  it("never runs a key twice at once, and runs it again when it was added meanwhile", async () => {
    const gates: PromiseWithResolvers<void>[] = [];
    let running = 0;
    await using queue = new KeyedQueue({
      workers: 4,
      run: async () => {
        assert.equal(++running, 1);
        const gate = Promise.withResolvers<void>();
        gates.push(gate);
        await gate.promise;
        running -= 1;
      },
    });
    queue.start();
    queue.add("a");
    await settle();
    queue.add("a");
    queue.add("a");
    await settle();
    assert.equal(gates.length, 1);
    gates[0]?.resolve();
    await settle();
    assert.equal(gates.length, 2);
    gates[1]?.resolve();
    await queue.idle();
    assert.equal(gates.length, 2);
  });

  it("tries a failed key again after growing waits, and forgets the failures after a success", async () => {
    const clock = new FakeClock();
    const starts: number[] = [];
    let failing = 3;
    await using queue = new KeyedQueue({
      clock,
      random: () => 1,
      retry: { initialMs: 100, maxMs: 250 },
      run: async () => {
        starts.push(clock.monotonic());
        if (failing-- > 0) throw new Error("not yet");
      },
    });
    queue.start();
    queue.add("a");
    for (let i = 0; i < 12; i++) {
      await settle();
      clock.advance(50);
    }
    await settle();
    assert.deepEqual(starts, [0, 100, 300, 550]);
    assert.equal(clock.pending, 0);
  });

  it("does not try again what is terminal", async () => {
    const clock = new FakeClock();
    await using queue = new KeyedQueue({
      clock,
      isTerminal: () => true,
      run: async () => {
        throw new Error("never");
      },
    });
    queue.start();
    queue.add("a");
    await queue.idle();
    assert.equal(clock.pending, 0);
  });

  it("runs a delayed key at the earliest of its times", async () => {
    const clock = new FakeClock();
    const starts: number[] = [];
    await using queue = new KeyedQueue({ clock, run: async () => void starts.push(clock.monotonic()) });
    queue.start();
    queue.addAfter("a", 500);
    queue.addAfter("a", 200);
    queue.addAfter("a", 900);
    clock.advance(1000);
    await queue.idle();
    assert.equal(starts.length, 1);
    assert.equal(clock.pending, 0);
  });

  it("aborts what runs and waits for it when disposed", async () => {
    let ended = false;
    const queue = new KeyedQueue({
      run: async (_key, signal) => {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
        ended = true;
      },
    });
    queue.start();
    queue.add("a");
    queue.addAfter("b", 1000);
    await settle();
    await queue[Symbol.asyncDispose]();
    assert.equal(ended, true);
  });
});
