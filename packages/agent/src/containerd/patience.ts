import type { Clock } from "@skerry/base";

const TICK_MS = 500;

/**
 * Runs `work` and aborts it after `ms` of the time in which this process itself runs: a process that was given no processor
 * could not have heard an answer, so a tick that comes late counts as one that came in time.
 */
export async function withPatience<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { ms, clock, signal }: { ms: number; clock: Clock; signal: AbortSignal },
): Promise<T> {
  const lost = new AbortController();
  let waitedMs = 0;
  const tick = (): void => {
    waitedMs += TICK_MS;
    if (waitedMs >= ms) lost.abort(new Error(`There was no answer for ${ms} ms`));
    else cancel = clock.after(TICK_MS, tick);
  };
  let cancel = clock.after(TICK_MS, tick);
  try {
    return await work(AbortSignal.any([signal, lost.signal]));
  } finally {
    cancel();
  }
}
