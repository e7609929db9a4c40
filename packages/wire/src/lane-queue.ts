import { LANES, type Lane } from "./frame.ts";

/**
 * How long a frame of a lane must still wait, in milliseconds, so that the lane keeps to its share of the link; 0: it goes now, and is
 * counted. Without one every lane may use all there is.
 */
export type LaneBudget = (lane: Lane, bytes: number) => number;

/** Frames that wait to be sent: of the lanes whose budget allows one, the highest goes first. */
export class LaneQueue {
  readonly #lanes: Uint8Array[][] = LANES.map(() => []);
  readonly #heads: number[] = LANES.map(() => 0);
  readonly #budget: LaneBudget;
  #bytes = 0;

  constructor(budget: LaneBudget = () => 0) {
    this.#budget = budget;
  }

  /** Bytes that wait, over all lanes. */
  get bytes(): number {
    return this.#bytes;
  }

  push(lane: Lane, frame: Uint8Array): void {
    this.#lanes[lane]?.push(frame);
    this.#bytes += frame.length;
  }

  /** The next frame; or, when budgets hold all of them back, in how many milliseconds to ask again. Undefined when empty. */
  take(): Uint8Array | { waitMs: number } | undefined {
    let waitMs = Infinity;
    for (const lane of LANES) {
      const frames = this.#lanes[lane] ?? [];
      const head = this.#heads[lane] ?? 0;
      const frame = frames[head];
      if (!frame) continue;
      const wait = this.#budget(lane, frame.length);
      if (wait > 0) {
        waitMs = Math.min(waitMs, wait);
        continue;
      }
      this.#drop(lane, frames, head);
      this.#bytes -= frame.length;
      return frame;
    }
    return waitMs === Infinity ? undefined : { waitMs };
  }

  /** Moving the head is cheaper than shifting the array; it is cut once the sent part is the larger one. */
  #drop(lane: Lane, frames: Uint8Array[], head: number): void {
    frames[head] = EMPTY;
    this.#heads[lane] = head + 1;
    if (head + 1 === frames.length || head > 1000) {
      frames.splice(0, head + 1);
      this.#heads[lane] = 0;
    }
  }
}

const EMPTY = new Uint8Array(0);
