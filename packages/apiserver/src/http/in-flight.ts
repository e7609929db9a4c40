import { tooManyRequests } from "@skerry/machinery";
import type { ApiMetrics } from "./metrics.ts";

export interface InFlightLimits {
  /** How many reads, and how many writes, are answered at once; more are told to come back. */
  reads: number;
  mutations: number;
}

const READ_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Counts the requests being answered, and refuses more than can be answered well. Watches and logs are not counted. */
export class InFlight {
  readonly #limits: InFlightLimits;
  readonly #metrics: ApiMetrics;
  #reads = 0;
  #mutations = 0;

  constructor(limits: InFlightLimits, metrics: ApiMetrics) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  /** Takes a place and returns what gives it back. Throws TooManyRequests when there is none. */
  enter(method: string): () => void {
    const isRead = READ_METHODS.has(method);
    const [count, limit] = isRead ? [this.#reads, this.#limits.reads] : [this.#mutations, this.#limits.mutations];
    if (count >= limit) {
      this.#metrics.rejected();
      throw tooManyRequests("Too many requests, please try again later.", 1);
    }
    this.#add(isRead, 1);
    return () => this.#add(isRead, -1);
  }

  #add(isRead: boolean, change: 1 | -1): void {
    if (isRead) this.#metrics.inFlight("read", (this.#reads += change));
    else this.#metrics.inFlight("mutating", (this.#mutations += change));
  }
}
