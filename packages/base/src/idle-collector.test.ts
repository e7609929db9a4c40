import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { IdleCollector } from "./idle-collector.ts";
import { silentLogger } from "./log.ts";
import { FakeClock } from "./testing.ts";

const MIB = 1 << 20;

/** A process whose heap and load the test sets; a collection leaves `live` bytes. */
class Process implements AsyncDisposable {
  readonly clock = new FakeClock();
  heap = 60 * MIB;
  live = 20 * MIB;
  load = 0;
  collections = 0;
  readonly #collector: IdleCollector;

  constructor() {
    this.#collector = new IdleCollector({
      collector: {
        heapBytes: () => this.heap,
        collect: async () => {
          this.collections++;
          this.heap = this.live;
        },
      },
      clock: this.clock,
      log: silentLogger,
      utilization: () => this.load,
    });
    this.#collector.start();
  }

  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(1_000);
      await new Promise(setImmediate);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#collector[Symbol.asyncDispose]();
  }
}

describe("IdleCollector", () => {
  it("collects once what a start has left, and again only after the heap has grown", async () => {
    await using one = new Process();
    await one.pass(600);
    assert.equal(one.collections, 1);
    one.heap = 35 * MIB;
    await one.pass(600);
    assert.equal(one.collections, 1);
    one.heap = 36 * MIB;
    await one.pass(10);
    assert.deepEqual([one.collections, one.heap], [2, 20 * MIB]);
  });

  it("waits while the process has other work", async () => {
    await using one = new Process();
    one.load = 0.2;
    await one.pass(600);
    assert.equal(one.collections, 0);
    one.load = 0.05;
    await one.pass(10);
    assert.equal(one.collections, 1);
  });

  it("rests for a minute after each, and leaves large heaps to V8", async () => {
    await using one = new Process();
    await one.pass(10);
    one.heap = 100 * MIB;
    await one.pass(50);
    assert.equal(one.collections, 1);
    await one.pass(20);
    assert.equal(one.collections, 2);
    one.heap = 300 * MIB;
    await one.pass(600);
    assert.equal(one.collections, 2);
  });
});
