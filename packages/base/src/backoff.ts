/** How long to wait before each further try. */
export interface BackoffOptions {
  /** First wait, in milliseconds. */
  initialMs: number;
  /** The longest wait, in milliseconds. */
  maxMs: number;
  /** What each wait is multiplied with. */
  factor?: number;
  /** `full`: uniformly between 0 and the wait, so that a herd spreads; `none`: the wait itself. */
  jitter?: "full" | "none";
  /** A source of uniform numbers in [0, 1). */
  random?: () => number;
}

/** Growing waits, one per failed try; `for (const ms of backoff(…))` keeps the caller's loop a loop. Never ends. */
export function* backoff(options: BackoffOptions): Generator<number, never> {
  const { initialMs, maxMs, factor = 2, jitter = "full", random = Math.random } = options;
  let wait = initialMs;
  for (;;) {
    yield jitter === "full" ? random() * wait : wait;
    wait = Math.min(maxMs, wait * factor);
  }
}
