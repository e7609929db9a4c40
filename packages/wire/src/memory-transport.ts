import { systemClock, type Clock } from "@skerry/base";
import type { FrameTransport, TransportEvents } from "./transport.ts";

export interface MemoryPairOptions {
  clock?: Clock;
  /** How long each frame is on its way, in milliseconds. 0: it arrives in a later turn of the event loop. */
  latencyMs?: number;
  /** Sees every frame before it arrives, `index` counting those of both directions; `cut` loses it and breaks the connection. */
  fault?: (index: number, from: "a" | "b", frame: Uint8Array) => "pass" | "cut";
}

/** Two ends of a connection in one process: frames whole and in order, as over a network that can break at any of them. */
export function memoryPair(options: MemoryPairOptions = {}): {
  a: FrameTransport;
  b: FrameTransport;
  /** Breaks the connection: what is on its way is lost, and both ends learn of it. */
  cut(): void;
} {
  const { clock = systemClock, latencyMs = 0, fault = () => "pass" } = options;
  let index = 0;
  const carry = (from: "a" | "b", to: () => MemoryEnd, frame: Uint8Array): void => {
    if (fault(index++, from, frame) === "cut") {
      cut();
      return;
    }
    const arrive = (): void => to().deliver(frame);
    if (latencyMs > 0) clock.after(latencyMs, arrive);
    else setImmediate(arrive);
  };
  const a: MemoryEnd = new MemoryEnd({ carry: (frame) => carry("a", () => b, frame), hangUp: () => hangUp(() => b) });
  const b: MemoryEnd = new MemoryEnd({ carry: (frame) => carry("b", () => a, frame), hangUp: () => hangUp(() => a) });
  const hangUp = (other: () => MemoryEnd): void => {
    const arrive = (): void => other().lost(undefined);
    if (latencyMs > 0) clock.after(latencyMs, arrive);
    else setImmediate(arrive);
  };
  const cut = (): void => {
    const error = new Error("The connection was cut");
    a.lost(error);
    b.lost(error);
  };
  return { a, b, cut };
}

class MemoryEnd implements FrameTransport {
  readonly #port: { carry(frame: Uint8Array): void; hangUp(): void };
  #events: TransportEvents | undefined;
  readonly #early: Uint8Array[] = [];
  #isClosed = false;
  #error: Error | undefined;

  constructor(port: { carry(frame: Uint8Array): void; hangUp(): void }) {
    this.#port = port;
  }

  get buffered(): number {
    return 0;
  }

  start(events: TransportEvents): void {
    this.#events = events;
    for (const frame of this.#early.splice(0)) events.frame(frame);
    if (this.#isClosed) setImmediate(() => events.closed(this.#error));
  }

  send(frame: Uint8Array): void {
    // A copy: the other end must not see what the sender does with its buffer afterwards.
    if (!this.#isClosed) this.#port.carry(Uint8Array.from(frame));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#port.hangUp();
    setImmediate(() => this.#events?.closed(undefined));
  }

  deliver(frame: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#events) this.#events.frame(frame);
    else this.#early.push(frame);
  }

  lost(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    setImmediate(() => this.#events?.closed(error));
  }
}
