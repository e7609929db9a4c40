import type { Clock } from "@skerry/base";
import type { WatchEvent } from "@skerry/client";
import { statusOf } from "@skerry/machinery";
import type { Resource } from "../api.ts";
import type { Exchange } from "./exchange.ts";
import type { WatchRounds } from "./watch-rounds.ts";
import { errorLine, WatchEncoder, WatchWriter, type WatchForm, type WatchLines } from "./watch.ts";

export interface WatchAnswer {
  exchange: Exchange;
  resource: Resource;
  form: WatchForm;
  /** When the client wants it to end; by default after 30 to 60 minutes, so that not all come back at once. */
  timeoutSeconds: number | undefined;
  clock: Clock;
  random: () => number;
  lines: WatchLines;
  rounds: WatchRounds;
  stopping: AbortSignal;
  open(signal: AbortSignal): AsyncIterable<WatchEvent>;
}

const DEFAULT_TIMEOUT_SECONDS = 1800;

/**
 * Streams events until the client leaves, its time is over or the server stops; those end the answer cleanly. A failure before the first event is the
 * answer's own status, later it is an ERROR event.
 */
export async function answerWatch(watch: WatchAnswer): Promise<void> {
  const { exchange, clock, stopping } = watch;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const seconds = watch.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS * (1 + watch.random());
  const cancelTimeout = clock.after(seconds * 1000, end);
  stopping.addEventListener("abort", end, { once: true });
  exchange.signal.addEventListener("abort", end, { once: true });
  if (stopping.aborted || exchange.signal.aborted) end();
  const writer = new WatchWriter(exchange, watch.rounds);
  try {
    const events = watch.open(ended.signal)[Symbol.asyncIterator]();
    const first = events.next();
    await settledSoon(first);
    writer.open();
    await stream(first, events, writer, watch);
  } catch (error) {
    if (!exchange.response.headersSent) throw error;
    const status = statusOf(error);
    if (status === undefined) throw error;
    await writer.push(errorLine(status.toStatus()));
  } finally {
    cancelTimeout();
    stopping.removeEventListener("abort", end);
    exchange.signal.removeEventListener("abort", end);
    end();
  }
  writer.flush();
  exchange.response.end();
}

async function stream(
  first: Promise<IteratorResult<WatchEvent>>,
  events: AsyncIterator<WatchEvent>,
  writer: WatchWriter,
  { resource, form, lines, clock }: WatchAnswer,
): Promise<void> {
  const encoder = new WatchEncoder(resource, form, lines, () => clock.now());
  try {
    for (let next = await first; next.done !== true; next = await events.next()) {
      const full = writer.push(encoder.encode(next.value));
      if (full !== undefined) await full;
    }
  } finally {
    await events.return?.();
  }
}

/** Waits until what can be said without waiting is said: a refusal at the start is then an answer of its own. */
async function settledSoon(first: Promise<unknown>): Promise<void> {
  let failure: { error: unknown } | undefined;
  const settled = first.then(
    () => {},
    (error: unknown) => {
      failure = { error };
    },
  );
  await Promise.race([settled, new Promise<void>((resolve) => setImmediate(resolve))]);
  if (failure) throw (failure as { error: unknown }).error;
}
