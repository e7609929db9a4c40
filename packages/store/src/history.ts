import { Deque } from "./deque.ts";
import type { ChangeEvent } from "./port.ts";

/** The newest changes of one resource, in order: a part of the `History` that all resources share. */
export class Ring {
  readonly #events = new Deque<ChangeEvent>();
  /** Every change of the resource after this revision is here. */
  #floor: number;

  constructor(floor: number) {
    this.#floor = floor;
  }

  get floor(): number {
    return this.#floor;
  }

  push(event: ChangeEvent): void {
    this.#events.push(event);
  }

  drop(): ChangeEvent | undefined {
    const event = this.#events.shift();
    if (event) this.#floor = event.revision;
    return event;
  }

  /** Changes after a revision that is at or above the floor, oldest first. */
  *after(revision: number): Generator<ChangeEvent> {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events.at(middle) as ChangeEvent).revision <= revision) low = middle + 1;
      else high = middle;
    }
    for (; low < this.#events.length; low++) yield this.#events.at(low) as ChangeEvent;
  }
}

export interface HistoryBounds {
  events: number;
  /** Of objects that events hold, whether or not they live on. */
  bytes: number;
}

/** What an event costs beside its objects' bytes, roughly. */
const EVENT_BYTES = 160;

/** Changes in memory across resources, dropped oldest first when there are more than its bounds allow. */
export class History {
  readonly #bounds: HistoryBounds;
  /** The ring of each event, in the order of the events: its oldest event is the one meant. */
  readonly #order = new Deque<Ring>();
  #bytes = 0;

  constructor(bounds: HistoryBounds) {
    this.#bounds = bounds;
  }

  get events(): number {
    return this.#order.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(ring: Ring, event: ChangeEvent): void {
    ring.push(event);
    this.#order.push(ring);
    this.#bytes += costOf(event);
    while (this.#bytes > this.#bounds.bytes || this.#order.length > this.#bounds.events) {
      const dropped = this.#order.shift()?.drop();
      if (!dropped) return;
      this.#bytes -= costOf(dropped);
    }
  }
}

const costOf = ({ object, previous }: ChangeEvent): number =>
  EVENT_BYTES + object.bytes.byteLength + (previous?.bytes.byteLength ?? 0);
