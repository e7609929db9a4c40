import timers from "node:timers/promises";

/** Time as the rest of the system sees it. Tests own it; see `FakeClock` in `@skerry/base/testing`. */
export interface Clock {
  /** Wall time in milliseconds since the Unix epoch. It may jump; never measure a duration with it. */
  now(): number;
  /**
   * Milliseconds since an arbitrary start, never going back: the same start for all processes of one boot. Durations and deadlines are
   * measured with it.
   */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms` and returns what cancels it. Neither keeps a process alive nor throws. */
  after(ms: number, callback: () => void): () => void;
}

/** Node fires a timer that is set for longer at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => {
    const [seconds, nanoseconds] = process.hrtime(); // CLOCK_MONOTONIC; `performance` begins anew with each process
    return seconds * 1000 + nanoseconds / 1e6;
  },
  sleep: async (ms, signal) => {
    for (let left = ms; ; left -= MAX_TIMER_MS) {
      signal?.throwIfAborted();
      try {
        await timers.setTimeout(Math.min(left, MAX_TIMER_MS), undefined, signal && { signal });
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      }
      if (left <= MAX_TIMER_MS) return;
    }
  },
  after: (ms, callback) => {
    let timer: NodeJS.Timeout;
    const wait = (left: number): void => {
      timer = setTimeout(
        () => (left > MAX_TIMER_MS ? wait(left - MAX_TIMER_MS) : callback()),
        Math.min(left, MAX_TIMER_MS),
      );
      timer.unref();
    };
    wait(ms);
    return () => clearTimeout(timer);
  },
};

/** A wall time in milliseconds as RFC 3339 in whole seconds, UTC: the form of times in Kubernetes objects. */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
