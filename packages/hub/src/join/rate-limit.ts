import type { Clock } from "@skerry/base";

export interface RateLimitOptions {
  /** How many may come at once. */
  burst: number;
  perSecond: number;
  /** How many sources are remembered; the one not seen longest is forgotten. */
  maxSources?: number;
  clock: Clock;
}

interface Bucket {
  left: number;
  at: number;
}

/** Counts what should be rare, by source: a bucket of tokens for each, that fills again with time. */
export class RateLimit {
  readonly #options: Required<RateLimitOptions>;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions) {
    this.#options = { maxSources: 10_000, ...options };
  }

  /** In how many milliseconds the source may try again; 0: now. */
  waitMs(source: string): number {
    const left = this.#fill(source).left;
    return left >= 1 ? 0 : Math.ceil(((1 - left) / this.#options.perSecond) * 1000);
  }

  /** Counts one against the source. */
  count(source: string): void {
    const bucket = this.#fill(source);
    bucket.left = Math.max(0, bucket.left - 1);
  }

  #fill(source: string): Bucket {
    const { burst, perSecond, clock, maxSources } = this.#options;
    const now = clock.monotonic();
    const known = this.#buckets.get(source);
    const left = known ? Math.min(burst, known.left + ((now - known.at) / 1000) * perSecond) : burst;
    const bucket = { left, at: now };
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= maxSources) break;
      this.#buckets.delete(oldest);
    }
    return bucket;
  }
}
