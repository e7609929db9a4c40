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

  /** Takes one from the source's bucket: 0 when there was one, otherwise in how many milliseconds there will be, and nothing is taken. */
  take(source: string): number {
    const bucket = this.#fill(source);
    if (bucket.left < 1) return Math.ceil(((1 - bucket.left) / this.#options.perSecond) * 1000);
    bucket.left -= 1;
    return 0;
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
