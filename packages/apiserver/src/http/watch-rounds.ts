import type { Clock } from "@skerry/base";

/**
 * What comes this soon after the last round waits for the next, in milliseconds: a lone event leaves at once, and a stream of them costs
 * each watcher a hundred writes a second instead of one an event.
 */
const GATHER_MS = 10;

/** Writes to all watchers together, in rounds: one timer for all of them, one write a round for each that has something to send. */
export class WatchRounds {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];
  #lastAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `write` in the next round: after all that this turn of the event loop publishes, or when the gathering is over. */
  join(write: () => void): void {
    this.#waiting.push(write);
    if (this.#waiting.length > 1) return;
    const soon = GATHER_MS - (this.#clock.monotonic() - this.#lastAt);
    if (soon > 0) this.#clock.after(soon, () => this.#run());
    else setImmediate(() => this.#run());
  }

  #run(): void {
    const writes = this.#waiting;
    this.#waiting = [];
    for (const write of writes) write();
    // Only now: what the writes themselves took is no time in which watchers could have been served.
    this.#lastAt = this.#clock.monotonic();
  }
}
