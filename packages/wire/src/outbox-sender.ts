import { MalformedFrameError } from "./bytes.ts";
import type { Outbox, OutboxEntry } from "./state.ts";

export interface OutboxSenderOptions<T> {
  outbox: Outbox<T>;
  /** Sends one entry with its sequence number. */
  send: (seq: number, item: T) => void;
  sizeOf: (item: T) => number;
  /** How many entries, and how many bytes, may be out without acknowledgement. A first entry of any size always goes. */
  window?: { entries: number; bytes: number };
  /** The outbox could not be made shorter: the session is of no use any more. */
  onError: (error: unknown) => void;
}

/**
 * Empties an outbox through one session: many entries on the way at once, in order, each dropped from the outbox only after the
 * other side said that it has it for good. What a session did not bring to an end, the next one begins with.
 */
export class OutboxSender<T> {
  readonly #options: OutboxSenderOptions<T>;
  readonly #window: { entries: number; bytes: number };
  readonly #flight: { seq: number; order: number; bytes: number }[] = [];
  #flightBytes = 0;
  #seq = 0;
  #order = 0;
  #stopListening: (() => void) | undefined;

  constructor(options: OutboxSenderOptions<T>) {
    this.#options = options;
    this.#window = options.window ?? { entries: 64, bytes: 1 << 20 };
  }

  start(): void {
    this.#stopListening = this.#options.outbox.onAdded(() => this.#pump());
    this.#pump();
  }

  stop(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  /** The other side has everything up to `seq`. */
  acknowledged(seq: number): void {
    if (seq > this.#seq) throw new MalformedFrameError(`Acknowledgement of ${seq}, sent were ${this.#seq}`);
    let order = 0;
    for (let first = this.#flight[0]; first && first.seq <= seq; first = this.#flight[0]) {
      order = first.order;
      this.#flightBytes -= first.bytes;
      this.#flight.shift();
    }
    if (order === 0) return;
    this.#options.outbox.acknowledge(order).catch(this.#options.onError);
    this.#pump();
  }

  #pump(): void {
    if (!this.#stopListening) return;
    const { outbox, send, sizeOf } = this.#options;
    for (;;) {
      const room = this.#window.entries - this.#flight.length;
      if (room <= 0) return;
      const entries = outbox.after(this.#order, Math.min(room, 16));
      if (entries.length === 0) return;
      for (const entry of entries) if (!this.#sendOne(entry, sizeOf, send)) return;
    }
  }

  #sendOne(
    { order, item }: OutboxEntry<T>,
    sizeOf: (item: T) => number,
    send: (seq: number, item: T) => void,
  ): boolean {
    const bytes = sizeOf(item);
    if (this.#flight.length > 0 && this.#flightBytes + bytes > this.#window.bytes) return false;
    this.#seq++;
    this.#order = order;
    this.#flight.push({ seq: this.#seq, order, bytes });
    this.#flightBytes += bytes;
    send(this.#seq, item);
    return true;
  }
}
