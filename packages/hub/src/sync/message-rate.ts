import type { Clock, Logger } from "@skerry/base";
import { RateLimit } from "../rate-limit.ts";

/** As many as an edge keeps while it has no link, so that its backlog comes through whole; from then on one a second. */
const BURST = 2000;
const PER_SECOND = 1;
/** How often a node that sends more is warned of, in seconds. */
const WARN_SECONDS = 600;

export interface MessageRateOptions {
  burst?: number;
  perSecond?: number;
  clock: Clock;
  log: Logger;
}

/**
 * How many messages of one node are taken, over all its sessions. What is beyond is to be dropped and acknowledged: the queue behind it moves, and
 * a node that has gone mad, or is in strange hands, fills neither the API nor the log.
 */
export class MessageRate {
  readonly #rate: RateLimit;
  readonly #warnings: RateLimit;
  readonly #log: Logger;

  constructor({ burst = BURST, perSecond = PER_SECOND, clock, log }: MessageRateOptions) {
    this.#rate = new RateLimit({ burst, perSecond, clock });
    this.#warnings = new RateLimit({ burst: 1, perSecond: 1 / WARN_SECONDS, clock });
    this.#log = log;
  }

  /** Counts a message of the node, and says whether it is to be taken. */
  admits(node: string): boolean {
    if (this.#rate.take(node) === 0) return true;
    const level = this.#warnings.take(node) === 0 ? "warn" : "debug";
    this.#log[level]({ node }, "node sends more messages than are taken, dropping them");
    return false;
  }
}
