import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  decodeFrame,
  encodeFrame,
  FRAME,
  LANE,
  objectId,
  type HeldObject,
  type ObjectName,
  type Payload,
} from "@skerry/wire";
import { encodePut } from "@skerry/wire";
import fc from "fast-check";
import { DownSync } from "./down-sync.ts";
import type { Projection } from "./projection.ts";

const name = (pod: string): ObjectName => ({ resource: "pods", namespace: "d", name: pod });
const held = (pod: string, version: number): HeldObject => ({ ...name(pod), uid: "u", hash: String(version) });

/** The cloud's wish as versions by name, and the edge at the other end of a link that is only as fast as `deliver` is called. */
class World {
  readonly wanted = new Map<string, number>();
  readonly edge = new Map<string, string>();
  readonly sent: string[] = [];
  readonly #wire: { seq: number; perform: () => void }[] = [];
  readonly sync: DownSync;

  constructor(window?: { changes: number; bytes: number }) {
    const queue = (seq: number, what: string, perform: () => void): void => {
      this.sent.push(what);
      this.#wire.push({ seq, perform });
    };
    this.sync = new DownSync({
      ...(window && { window }),
      wanted: (asked) => this.#projection(asked),
      send: {
        put: (seq, payload) => {
          const { object } = readPut(payload);
          queue(seq, `${object.name}@${object.hash}`, () => this.edge.set(object.name, object.hash));
        },
        delete: (seq, payload) => {
          const gone = readName(payload);
          queue(seq, `-${gone}`, () => this.edge.delete(gone));
        },
        synced: (seq) => queue(seq, "synced", () => {}),
      },
    });
  }

  want(pod: string, version: number | undefined): void {
    if (version === undefined) this.wanted.delete(pod);
    else this.wanted.set(pod, version);
    this.sync.touch(name(pod));
  }

  /** The edge commits the next `count` frames and acknowledges the last. */
  deliver(count = Infinity): void {
    while (count > 0) {
      const batch = this.#wire.splice(0, count);
      const last = batch.at(-1);
      if (!last) return;
      for (const { perform } of batch) perform();
      this.sync.acknowledged(last.seq);
      count -= batch.length;
    }
  }

  #projection({ name: pod }: ObjectName): Projection | undefined {
    const version = this.wanted.get(pod);
    if (version === undefined) return undefined;
    const object = held(pod, version);
    return { object, payload: () => encodePut(object, Buffer.from("{}")) };
  }
}

const through = (payload: Payload): Buffer =>
  Buffer.from(decodeFrame(encodeFrame(LANE.state, FRAME.put, { payload })).payload);

/** Strings behind their lengths, all below 128 here. */
function strings(payload: Payload): string[] {
  const bytes = through(payload);
  const found: string[] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 0x7b;) {
    const length = bytes[at] ?? 0;
    found.push(bytes.toString("utf8", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return found;
}

const readPut = (payload: Payload): { object: { name: string; hash: string } } => {
  const [, , pod = "", , hash = ""] = strings(payload);
  return { object: { name: pod, hash } };
};
const readName = (payload: Payload): string => strings(payload)[2] ?? "";

describe("DownSync", () => {
  it("sends the difference of what is held and what is wanted, and then says so", () => {
    const world = new World();
    for (const [pod, version] of [
      ["same", 1],
      ["changed", 2],
      ["new", 1],
    ] as const)
      world.wanted.set(pod, version);
    world.sync.start([held("same", 1), held("changed", 1), held("gone", 1)], ["same", "changed", "new"].map(name));
    assert.deepEqual(world.sent, ["changed@2", "new@1", "-gone", "synced"]);
    assert.ok(!world.sync.isSynced);
    world.deliver();
    assert.ok(world.sync.isSynced && world.sync.isIdle);
  });

  it("sends nothing for a change that is none", () => {
    const world = new World();
    world.wanted.set("a", 1);
    world.sync.start([held("a", 1)], [name("a")]);
    world.want("a", 1);
    assert.deepEqual(world.sent, ["synced"]);
  });

  it("pipelines as far as the window goes, and sends only the newest of what changes meanwhile", () => {
    const world = new World({ changes: 3, bytes: 1 << 20 });
    world.sync.start([], []);
    world.deliver();
    for (let i = 0; i < 10; i++) world.want(`p${i}`, 1);
    assert.equal(world.sent.length, 1 + 3);
    for (let version = 2; version < 50; version++) world.want("p9", version);
    world.deliver();
    assert.equal(world.edge.get("p9"), "49");
    assert.equal(world.sent.filter((what) => what.startsWith("p9@")).length, 1);
  });

  it("counts bytes as well, and lets a single large one through", () => {
    const world = new World({ changes: 100, bytes: 1 });
    world.sync.start([], []);
    world.deliver();
    world.want("a", 1);
    world.want("b", 1);
    assert.deepEqual(world.sent, ["synced", "a@1"]);
    world.deliver(1);
    assert.deepEqual(world.sent, ["synced", "a@1", "b@1"]);
  });

  it("refuses acknowledgements of what was never sent, or backwards", () => {
    const world = new World();
    world.sync.start([], []);
    assert.throws(() => world.sync.acknowledged(2), /Acknowledgement of 2, sent were 1/);
    world.deliver();
    assert.throws(() => world.sync.acknowledged(0), /Acknowledgement/);
    assert.throws(() => world.sync.start([], []), /said already/);
  });

  it("ends with the edge holding what is wanted, whatever changes in whatever order", () => {
    const pod = fc.constantFrom("a", "b", "c");
    const change = fc.record({ pod, version: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }) });
    const step = fc.oneof(change, fc.integer({ min: 1, max: 3 }));
    const start = fc.dictionary(pod, fc.integer({ min: 1, max: 3 }));
    fc.assert(
      fc.property(
        start,
        start,
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        (atEdge, atCloud, steps, changes) => {
          const world = new World({ changes, bytes: 1 << 20 });
          for (const [key, version] of Object.entries(atEdge)) world.edge.set(key, String(version));
          for (const [key, version] of Object.entries(atCloud)) world.wanted.set(key, version);
          const known = Object.entries(atEdge).map(([key, version]) => held(key, version));
          world.sync.start(known, Object.keys(atCloud).map(name));
          for (const next of steps) {
            if (typeof next === "number") world.deliver(next);
            else world.want(next.pod, next.version);
          }
          world.deliver();
          const shown = [...world.wanted].map(([key, version]) => `${objectId(name(key))}=${version}`);
          assert.deepEqual(
            [...world.edge].map(([key, hash]) => `${objectId(name(key))}=${hash}`).toSorted(),
            shown.toSorted(),
          );
          assert.ok(world.sync.isIdle);
        },
      ),
    );
  });
});
