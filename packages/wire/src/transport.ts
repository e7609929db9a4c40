/** Carries frames, whole and in order, between the two ends of a link. WebSocket is one; `memoryPair` of the tests another. */
export interface FrameTransport {
  /** Begins to deliver. Called once; nothing is delivered before. */
  start(events: TransportEvents): void;
  /**
   * Hands a frame over without waiting. What the network has not taken yet counts in `buffered`; the sender stops while that
   * is high and goes on at `drained`. Does nothing once closed.
   */
  send(frame: Uint8Array): void;
  /** Bytes that were handed over and not yet taken by the network. */
  readonly buffered: number;
  /** Stops receiving, lets what was sent out, and closes. A peer that does not take it is cut off after a short while. */
  close(): void;
}

export interface TransportEvents {
  /** A frame came. What it starts is bounded by the windows and credits of the protocol, so nothing is queued before it. */
  frame(bytes: Uint8Array): void;
  /** `buffered` fell below the low mark. */
  drained(): void;
  /** The connection is gone, for whatever reason; called once, and last. */
  closed(error: Error | undefined): void;
}

/** A sender stops at this many buffered bytes: more would only wait where priorities no longer reach it. */
export const HIGH_WATER_BYTES = 64 << 10;
export const LOW_WATER_BYTES = 16 << 10;
