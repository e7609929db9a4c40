import timers from "node:timers/promises";

/** Time as the rest of the system sees it. Tests own it; see `FakeClock` in `@skerry/base/testing`. */
export interface Clock {
  /** Wall time in milliseconds since the Unix epoch. It may jump; never measure a duration with it. */
  now(): number;
  /** Milliseconds since an arbitrary start, never going back. Durations and deadlines are measured with it. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms` and returns what cancels it. Neither keeps a process alive nor throws. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    signal?.throwIfAborted();
    await timers.setTimeout(ms, undefined, signal && { signal });
  },
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** A wall time in milliseconds as RFC 3339 in whole seconds, UTC: the form of times in Kubernetes objects. */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
