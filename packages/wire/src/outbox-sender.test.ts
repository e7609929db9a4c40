import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AckTracker } from "./acknowledgement.ts";
import { MalformedFrameError } from "./bytes.ts";
import { MemoryOutbox } from "./memory-outbox.ts";
import { OutboxSender } from "./outbox-sender.ts";

interface Item {
  key: string;
  version: number;
}

/** A session that ends at will: what it sent arrives as far as `deliver` says, and is acknowledged as far as `acknowledge` says. */
class World {
  readonly outbox: MemoryOutbox<Item>;
  /** What the other side has for good, in order, over all sessions. */
  readonly taken: Item[] = [];
  #sender: OutboxSender<Item> | undefined;
  #sent: { seq: number; item: Item }[] = [];
  #arrived = 0;

  constructor(keyOf?: (item: Item) => string) {
    this.outbox = new MemoryOutbox(keyOf ? { keyOf } : {});
    this.connect();
  }

  connect(): void {
    this.#sender?.stop();
    this.#sent = [];
    this.#arrived = 0;
    this.#sender = new OutboxSender<Item>({
      outbox: this.outbox,
      window: { entries: 3, bytes: 1 << 20 },
      send: (seq, item) => void this.#sent.push({ seq, item }),
      sizeOf: () => 1,
      onError: (error) => assert.fail(String(error)),
    });
    this.#sender.start();
  }

  /** How many are out and unacknowledged, as the sender believes. */
  get sent(): number {
    return this.#sent.length;
  }

  deliver(count: number): void {
    for (const { item } of this.#sent.slice(this.#arrived, this.#arrived + count)) this.taken.push(item);
    this.#arrived = Math.min(this.#sent.length, this.#arrived + count);
  }

  acknowledge(count: number): void {
    const upTo = this.#sent[Math.min(count, this.#arrived) - 1];
    if (upTo) this.#sender?.acknowledged(upTo.seq);
  }

  finish(): void {
    this.connect();
    for (let i = 0; i < 1000 && this.outbox.size > 0; i++) {
      this.deliver(Infinity);
      this.acknowledge(Infinity);
    }
  }

  acknowledged(seq: number): void {
    this.#sender?.acknowledged(seq);
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant("add" as const), key: fc.constantFrom("a", "b", "c") }),
  fc.record({ do: fc.constantFrom("deliver" as const, "acknowledge" as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constant("cut" as const) }),
);

function play(world: World, steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): Item[] {
  const added: Item[] = [];
  for (const next of steps) {
    if (next.do === "add") {
      added.push({ key: next.key, version: added.length });
      world.outbox.add({ key: next.key, version: added.length - 1 });
    } else if (next.do === "deliver") world.deliver(next.count);
    else if (next.do === "acknowledge") world.acknowledge(next.count);
    else world.connect();
  }
  world.finish();
  return added;
}

describe("OutboxSender", () => {
  it("brings every message across in order, at least once, whatever is cut and acknowledged when", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World();
        const added = play(world, steps);
        assert.equal(world.outbox.size, 0);
        const first = new Map<number, number>();
        for (const [at, { version }] of world.taken.entries()) if (!first.has(version)) first.set(version, at);
        assert.deepEqual(
          [...first.keys()],
          added.map(({ version }) => version),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("brings the newest report of every object across last, even when an older one was acknowledged", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World(({ key }) => key);
        const added = play(world, steps);
        const newest = (items: Item[]): Record<string, number> =>
          Object.fromEntries(items.map(({ key, version }) => [key, version]));
        assert.equal(world.outbox.size, 0);
        assert.deepEqual(newest(world.taken), newest(added));
      }),
      { numRuns: 500 },
    );
  });

  it("keeps to its window, and believes no acknowledgement of what it did not send", () => {
    const world = new World();
    for (let version = 0; version < 10; version++) world.outbox.add({ key: "a", version });
    assert.equal(world.sent, 3);
    world.deliver(1);
    world.acknowledge(1);
    assert.equal(world.sent, 4);
    assert.throws(() => world.acknowledged(5), MalformedFrameError);
  });
});

describe("AckTracker", () => {
  it("says up to where all are done, whatever was done first", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8], { minLength: 8 }), (order) => {
        const tracker = new AckTracker();
        for (let seq = 1; seq <= 8; seq++) tracker.arrived(seq);
        const done = new Set<number>();
        for (const seq of order) {
          done.add(seq);
          let floor = 0;
          while (done.has(floor + 1)) floor++;
          const told = tracker.done(seq);
          if (told !== undefined) assert.equal(told, floor);
          else assert.ok(!done.has(1) || floor < seq);
          assert.equal(tracker.open, 8 - done.size);
        }
      }),
    );
  });

  it("refuses a sequence with a gap or a repeat", () => {
    const tracker = new AckTracker();
    tracker.arrived(1);
    assert.throws(() => tracker.arrived(3), MalformedFrameError);
    assert.throws(() => tracker.arrived(1), MalformedFrameError);
  });
});
