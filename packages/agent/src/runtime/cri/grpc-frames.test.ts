import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { frameMessage, FrameReader } from "./grpc-frames.ts";

describe("FrameReader", () => {
  it("finds the messages again however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 30 }),
        (messages, cuts) => {
          const bytes = Buffer.concat(messages.map(frameMessage));
          const reader = new FrameReader(64);
          const found: string[] = [];
          for (let at = 0, n = 0; at < bytes.length; n++) {
            const size = cuts[n % cuts.length] ?? 1;
            for (const message of reader.push(bytes.subarray(at, at + size))) found.push(message.toString("hex"));
            at += size;
          }
          reader.end();
          assert.deepEqual(
            found,
            messages.map((message) => Buffer.from(message).toString("hex")),
          );
        },
      ),
    );
  });

  it("refuses a message longer than the limit as soon as it is announced", () => {
    const reader = new FrameReader(10);
    assert.throws(() => [...reader.push(frameMessage(new Uint8Array(11)).subarray(0, 5))], {
      code: "ResourceExhausted",
      message: "The answer is a message of 11 bytes, more than the limit of 10",
    });
  });

  it("refuses a compressed message", () => {
    assert.throws(() => [...new FrameReader(10).push(Buffer.from([1, 0, 0, 0, 0]))], { code: "Internal" });
  });

  it("notices an end within a message", () => {
    const reader = new FrameReader(10);
    assert.deepEqual([...reader.push(Buffer.from([0, 0, 0, 0, 3, 1]))], []);
    assert.throws(() => reader.end(), { code: "Internal" });
  });
});
