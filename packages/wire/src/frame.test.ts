import assert from "node:assert/strict";
import { describe, it } from "node:test";
import zlib from "node:zlib";
import fc from "fast-check";
import { ByteReader, ByteWriter, MalformedFrameError, varintSize } from "./bytes.ts";
import { decodeFrame, encodeFrame, FRAME, LANE, LANES, MAX_FRAME_BYTES, packPayload, type FrameType } from "./frame.ts";
import {
  decodeCredit,
  decodeDelete,
  decodeGoodbye,
  decodeHeld,
  decodeHello,
  decodeMessage,
  decodePut,
  decodeRequestHead,
  decodeResponseHead,
  decodeReport,
  decodeWelcome,
  encodeDelete,
  encodeHeld,
  encodeMessage,
  encodePut,
  encodeReport,
  type Hello,
  encodeJson,
} from "./payloads.ts";
import { digestOf, projectionHash, type HeldObject } from "./state.ts";

const TYPES = Object.values(FRAME);
const name = fc.string({ maxLength: 60, unit: "grapheme" });
const bytes = fc.uint8Array({ maxLength: 3000 });
const held: fc.Arbitrary<HeldObject> = fc.record(
  { resource: name, namespace: name, name, uid: name, hash: name },
  { noNullPrototype: true },
);
const same = (a: Uint8Array, b: Uint8Array): void => assert.ok(Buffer.from(a).equals(b));

/** What decoders read: decompressed. */
const through = (payload: { bytes: Uint8Array; compressed: boolean }): Uint8Array =>
  decodeFrame(encodeFrame(LANE.state, FRAME.put, { payload })).payload;

describe("frames", () => {
  it("come back as they were written, large or small, compressible or not", () => {
    const number = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat());
    fc.assert(
      fc.property(fc.constantFrom(...LANES), fc.constantFrom(...TYPES), number, number, bytes, (...parts) => {
        const [lane, type, channel, seq, payload] = parts;
        const frame = decodeFrame(encodeFrame(lane, type, { channel, seq, payload: packPayload(payload) }));
        assert.deepEqual([frame.lane, frame.type, frame.channel, frame.seq], [lane, type, channel, seq]);
        same(frame.payload, payload);
      }),
    );
    const large = Buffer.alloc(2 << 20, "configuration ");
    const encoded = encodeFrame(LANE.state, FRAME.put, { seq: 1, payload: packPayload(large) });
    assert.ok(encoded.length < large.length / 100);
    same(decodeFrame(encoded).payload, large);
  });

  it("have a head of four bytes when they are small", () => {
    assert.equal(encodeFrame(LANE.control, FRAME.ping).length, 4);
  });

  it("that are random, cut or changed are refused by name or read, and never anything else", () => {
    const valid = encodeFrame(LANE.state, FRAME.put, {
      seq: 300,
      payload: encodePut({ resource: "pods", namespace: "d", name: "n", uid: "u", hash: "h" }, Buffer.alloc(900, "x")),
    });
    const decoders: ((payload: Uint8Array) => unknown)[] = [
      decodePut,
      decodeDelete,
      decodeReport,
      decodeMessage,
      decodeHeld,
      decodeCredit,
      decodeHello,
      decodeWelcome,
      decodeGoodbye,
      decodeRequestHead,
      decodeResponseHead,
    ];
    const tryAll = (input: Uint8Array): void => {
      let payload = input;
      try {
        payload = decodeFrame(input).payload;
      } catch (error) {
        assert.ok(error instanceof MalformedFrameError, String(error));
      }
      for (const decode of decoders) {
        try {
          decode(payload);
        } catch (error) {
          assert.ok(error instanceof MalformedFrameError, String(error));
        }
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), tryAll), { numRuns: 2000 });
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length), (at, value, length) => {
        const changed = Uint8Array.from(valid);
        changed[at] = value;
        tryAll(changed);
        tryAll(changed.subarray(0, length));
      }),
      { numRuns: 2000 },
    );
  });

  it("with a bomb for a payload are refused before it goes off", () => {
    const bomb = zlib.zstdCompressSync(Buffer.alloc(MAX_FRAME_BYTES + 1));
    const frame = encodeFrame(LANE.bulk, FRAME.data, { payload: { bytes: bomb, compressed: true } });
    assert.throws(() => decodeFrame(frame), /Cannot decompress payload/);
  });

  it("of unknown lane, flag or type are refused", () => {
    for (const [first, type] of [
      [5, 1],
      [0x10, 1],
      [0, 0],
      [0, 99],
    ] as const) {
      assert.throws(() => decodeFrame(Uint8Array.of(first, type, 0, 0)), MalformedFrameError);
    }
  });

  it("keep the numbers that they were given", () => {
    const numbers: Record<string, FrameType> = FRAME;
    assert.deepEqual(numbers, {
      hello: 1,
      welcome: 2,
      goodbye: 3,
      ping: 4,
      pong: 5,
      held: 6,
      put: 10,
      delete: 11,
      synced: 12,
      stateAck: 13,
      report: 20,
      reportAck: 21,
      refused: 22,
      resend: 23,
      message: 30,
      messageAck: 31,
      open: 40,
      head: 41,
      data: 42,
      credit: 43,
      end: 44,
      reset: 45,
    });
  });
});

describe("payloads", () => {
  it("of state, reports and messages come back as they were written", () => {
    fc.assert(
      fc.property(held, bytes, fc.boolean(), fc.maxSafeNat(), (object, content, gone, ttlMs) => {
        const put = decodePut(through(encodePut(object, content)));
        assert.deepEqual(put.object, object);
        same(put.bytes, content);
        assert.deepEqual(decodeDelete(through(encodeDelete(object))), { ...object, hash: "" });
        const { hash: _, ...named } = object;
        const report = decodeReport(through(encodeReport({ ...named, gone, bytes: content })));
        assert.deepEqual({ ...report, bytes: 0 }, { ...named, gone, bytes: 0 });
        same(report.bytes, content);
        const message = decodeMessage(through(encodeMessage({ id: "a-1", topic: "events", ttlMs, bytes: content })));
        assert.deepEqual({ ...message, bytes: 0 }, { id: "a-1", topic: "events", ttlMs, bytes: 0 });
        same(message.bytes, content);
      }),
    );
  });

  it("of what is held come back, and have one digest in any order", () => {
    fc.assert(
      fc.property(fc.array(held, { maxLength: 50 }), (objects) => {
        const read = decodeHeld(through(encodeHeld(objects)));
        assert.deepEqual(read, objects);
        assert.equal(digestOf(read.toReversed()), digestOf(objects));
      }),
    );
    const object = { resource: "pods", namespace: "a", name: "b", uid: "c", hash: projectionHash(Buffer.from("1")) };
    const other = { ...object, hash: projectionHash(Buffer.from("2")) };
    assert.notEqual(digestOf([object]), digestOf([other]));
    assert.notEqual(digestOf([object]), digestOf([]));
  });

  it("of greetings are checked field by field", () => {
    const hello: Hello = {
      protocol: 1,
      version: "0",
      capabilities: ["x"],
      node: "n1",
      epoch: 7,
      instance: "i",
      digest: "d",
    };
    assert.deepEqual(decodeHello(through(encodeJson(hello))), hello);
    for (const wrong of [
      { epoch: -1 },
      { epoch: 1.5 },
      { node: 7 },
      { capabilities: "x" },
      { digest: "x".repeat(600) },
    ]) {
      assert.throws(() => decodeHello(through(encodeJson({ ...hello, ...wrong }))), MalformedFrameError);
    }
  });
});

describe("varints", () => {
  it("are of the announced size and have one form", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const { bytes: written } = new ByteWriter(varintSize(value)).varint(value);
        assert.equal(new ByteReader(written).varint(), value);
      }),
    );
    assert.throws(() => new ByteReader(Uint8Array.of(0x80, 0x00)).varint(), /shortest form/);
    assert.throws(() => new ByteReader(new Uint8Array(12).fill(0xff)).varint(), /too large/);
  });
});
