import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { HIGH_WATER_BYTES, type FrameTransport } from "./transport.ts";

/** Two ends that talk to each other, and what ends them. */
export interface TransportPair {
  a: FrameTransport;
  b: FrameTransport;
  /** Breaks the connection without a word. */
  cut: () => void;
  end: () => Promise<void>;
}

/** What one end hears. */
class Ear {
  readonly frames: Buffer[] = [];
  drained = 0;
  closed = 0;

  listen(transport: FrameTransport): this {
    transport.start({
      frame: (bytes) => void this.frames.push(Buffer.from(bytes)),
      drained: () => void this.drained++,
      closed: () => void this.closed++,
    });
    return this;
  }
}

/** What every transport of frames must do: run by each implementation over its own pairs. */
export function transportContract(name: string, connect: () => Promise<TransportPair>): void {
  const withPair = async (test: (pair: TransportPair) => Promise<void>): Promise<void> => {
    const pair = await connect();
    try {
      await test(pair);
    } finally {
      await pair.end();
    }
  };

  describe(`${name} as a transport`, () => {
    it("carries frames whole and in order, both ways, of any size", () =>
      withPair(async ({ a, b }) => {
        const atA = new Ear().listen(a);
        const atB = new Ear().listen(b);
        const frames = [0, 1, 125, 126, 65_535, 65_536, 1 << 20].map((size, i) => Buffer.alloc(size, i + 1));
        for (const frame of frames) {
          a.send(frame);
          b.send(frame);
        }
        await eventually(() => atA.frames.length === frames.length && atB.frames.length === frames.length);
        for (const [i, frame] of frames.entries()) {
          assert.ok(atA.frames[i]?.equals(frame) && atB.frames[i]?.equals(frame), `frame of ${frame.length} bytes`);
        }
      }));

    it("keeps what came before anybody listened", () =>
      withPair(async ({ a, b }) => {
        const atA = new Ear().listen(a);
        a.send(Buffer.from("early"));
        b.send(Buffer.from("the other way"));
        await eventually(() => atA.frames.length === 1);
        const ear = new Ear().listen(b);
        await eventually(() => ear.frames.length === 1);
        assert.equal(ear.frames[0]?.toString(), "early");
      }));

    it("delivers what was sent before it closed, and tells both ends once", () =>
      withPair(async ({ a, b }) => {
        const atA = new Ear().listen(a);
        const atB = new Ear().listen(b);
        a.send(Buffer.from("goodbye"));
        a.close();
        a.close();
        a.send(Buffer.from("too late"));
        await eventually(() => atA.closed === 1 && atB.closed === 1);
        assert.deepEqual(atB.frames.map(String), ["goodbye"]);
      }));

    it("tells both ends when it is cut, even one that began to listen afterwards", () =>
      withPair(async ({ a, b, cut }) => {
        const atA = new Ear().listen(a);
        cut();
        await eventually(() => atA.closed === 1);
        const atB = new Ear().listen(b);
        await eventually(() => atB.closed === 1);
        a.send(Buffer.from("nobody hears"));
        assert.equal(atB.frames.length, 0);
      }));

    it("says when it has room again, if it ever was full", () =>
      withPair(async ({ a, b }) => {
        const atA = new Ear().listen(a);
        const atB = new Ear().listen(b);
        let sent = 0;
        while (a.buffered < HIGH_WATER_BYTES && sent < 2000) {
          a.send(Buffer.alloc(32_768, 7));
          sent++;
        }
        if (a.buffered >= HIGH_WATER_BYTES) await eventually(() => atA.drained > 0);
        await eventually(() => atB.frames.length === sent);
        assert.equal(a.buffered, 0);
      }));
  });
}
