import { GrpcError } from "./grpc-error.ts";

/** One byte that says whether the message is compressed, four of length, big-endian (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;

/** A message as it travels, never compressed: the other end is on this machine. */
export function frameMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.byteLength);
  frame[0] = 0;
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/**
 * Cuts what arrives into messages. It holds one unfinished message at most, and fails with `ResourceExhausted` as soon as
 * a prefix announces one longer than `maxBytes`. A message that lies in one chunk is a view of it, not a copy.
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The messages that this chunk completes. */
  *push(chunk: Buffer): Generator<Buffer> {
    let at = 0;
    for (;;) {
      if (this.#prefixFilled < PREFIX_BYTES) {
        const copied = chunk.copy(this.#prefix, this.#prefixFilled, at, at + PREFIX_BYTES - this.#prefixFilled);
        this.#prefixFilled += copied;
        at += copied;
        if (this.#prefixFilled < PREFIX_BYTES) return;
        this.#checkPrefix();
      }
      const length = this.#prefix.readUInt32BE(1);
      if (!this.#body && chunk.length - at >= length) {
        this.#prefixFilled = 0;
        yield chunk.subarray(at, at + length);
        at += length;
        continue;
      }
      this.#body ??= Buffer.allocUnsafe(length);
      const copied = chunk.copy(this.#body, this.#bodyFilled, at, at + length - this.#bodyFilled);
      this.#bodyFilled += copied;
      at += copied;
      if (this.#bodyFilled < length) return;
      const message = this.#body;
      this.#prefixFilled = 0;
      this.#body = undefined;
      this.#bodyFilled = 0;
      yield message;
    }
  }

  /** Fails when the stream ended within a message. */
  end(): void {
    if (this.#prefixFilled > 0) throw new GrpcError("Internal", "The answer ended within a message");
  }

  #checkPrefix(): void {
    const length = this.#prefix.readUInt32BE(1);
    if (this.#prefix[0] !== 0) throw new GrpcError("Internal", "The answer is compressed, which was not offered");
    if (length > this.#maxBytes)
      throw new GrpcError(
        "ResourceExhausted",
        `The answer is a message of ${length} bytes, more than the limit of ${this.#maxBytes}`,
      );
  }
}
