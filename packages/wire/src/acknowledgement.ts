import { MalformedFrameError } from "./bytes.ts";

/** The receiver's side of a sequence: what arrived in order, and up to where everything is done, whatever was done first. */
export class AckTracker {
  #received = 0;
  #done = 0;
  readonly #early = new Set<number>();

  /** Takes note of an arrival. Sequences have no gaps: transport and session lose nothing in between. */
  arrived(seq: number): void {
    if (seq !== this.#received + 1) throw new MalformedFrameError(`Sequence ${seq} after ${this.#received}`);
    this.#received = seq;
  }

  /** Marks one as done for good. Returns up to where all are, if that moved. */
  done(seq: number): number | undefined {
    if (seq !== this.#done + 1) {
      this.#early.add(seq);
      return undefined;
    }
    this.#done = seq;
    while (this.#early.delete(this.#done + 1)) this.#done++;
    return this.#done;
  }

  /** How many arrived and are not done. */
  get open(): number {
    return this.#received - this.#done - this.#early.size;
  }
}
