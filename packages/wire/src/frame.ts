import zlib from "node:zlib";
import { ByteReader, ByteWriter, MalformedFrameError, varintSize } from "./bytes.ts";

/** The WebSocket sub-protocol whose binary messages are these frames. */
export const SUBPROTOCOL = "skerry.v1";

/** The longest frame, and the longest payload after decompression. Larger than any object that the API takes. */
export const MAX_FRAME_BYTES = 4 << 20;

/** Priority classes: a frame waits only for frames of its own lane and of those above. */
export const LANE = { control: 0, state: 1, status: 2, stream: 3, bulk: 4 } as const;

export type Lane = (typeof LANE)[keyof typeof LANE];

export const LANES: readonly Lane[] = Object.values(LANE);

/** What a frame is. The numbers are the protocol; a number is never given a second meaning. */
export const FRAME = {
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
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

const TYPES: ReadonlySet<number> = new Set(Object.values(FRAME));

const COMPRESSED = 0x08;
/** Payloads below this are not worth compressing. */
const COMPRESS_FROM_BYTES = 512;

/** A payload as it travels, so that one that goes to many is made once. */
export interface Payload {
  readonly bytes: Uint8Array;
  /** zstd (RFC 8878). */
  readonly compressed: boolean;
}

export interface Frame {
  lane: Lane;
  type: FrameType;
  /** The stream, or 0 for the session itself. */
  channel: number;
  /** A sequence number within the session, from 1 up and apart for each of its kinds; or 0. */
  seq: number;
  /** Decompressed. May be a view into the bytes that were received. */
  payload: Uint8Array;
}

const EMPTY: Payload = { bytes: new Uint8Array(0), compressed: false };

/** Compresses a payload where that makes it smaller. */
export function packPayload(bytes: Uint8Array): Payload {
  if (bytes.length === 0) return EMPTY;
  if (bytes.length >= COMPRESS_FROM_BYTES) {
    const compressed = zlib.zstdCompressSync(bytes);
    if (compressed.length < bytes.length) return { bytes: compressed, compressed: true };
  }
  return { bytes, compressed: false };
}

/** `lane and flags, type, channel, seq, payload`: two octets, two varints, the rest. */
export function encodeFrame(
  lane: Lane,
  type: FrameType,
  { channel = 0, seq = 0, payload = EMPTY }: { channel?: number; seq?: number; payload?: Payload } = {},
): Uint8Array {
  const writer = new ByteWriter(2 + varintSize(channel) + varintSize(seq) + payload.bytes.length);
  writer.octet(lane | (payload.compressed ? COMPRESSED : 0)).octet(type);
  return writer.varint(channel).varint(seq).raw(payload.bytes).bytes;
}

/** Reads a frame that a peer sent; `MalformedFrameError` for everything that is not one. */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length > MAX_FRAME_BYTES) throw new MalformedFrameError(`Frame of ${bytes.length} bytes`);
  const reader = new ByteReader(bytes);
  const first = reader.octet();
  const lane = LANES[first & 0x07];
  if (lane === undefined || first > 0x0f)
    throw new MalformedFrameError(`Unknown lane or flags 0x${first.toString(16)}`);
  const type = reader.octet();
  if (!isFrameType(type)) throw new MalformedFrameError(`Unknown frame type ${type}`);
  const channel = reader.varint();
  const seq = reader.varint();
  const payload = reader.rest();
  return { lane, type, channel, seq, payload: first & COMPRESSED ? decompress(payload) : payload };
}

const isFrameType = (type: number): type is FrameType => TYPES.has(type);

function decompress(payload: Uint8Array): Uint8Array {
  try {
    return zlib.zstdDecompressSync(payload, { maxOutputLength: MAX_FRAME_BYTES });
  } catch (error) {
    throw new MalformedFrameError("Cannot decompress payload", { cause: error });
  }
}
