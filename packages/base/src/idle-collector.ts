import { performance, type EventLoopUtilization } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Clock } from "./clock.ts";
import type { Logger } from "./log.ts";

/** V8's garbage collector as far as an `IdleCollector` asks it. */
export interface Collector {
  /** What V8 holds for objects and for garbage, in bytes. */
  heapBytes(): number;
  /** Collects all garbage and gives the pages that are free then back to the machine. */
  collect(): Promise<void>;
}

/** The collector of this process; undefined without `--expose-gc`. */
export function processCollector(): Collector | undefined {
  const { gc } = globalThis;
  if (!gc) return undefined;
  return {
    heapBytes: () => getHeapStatistics().total_heap_size,
    collect: async () => {
      // The first clears, and the second finds pages empty and objects few enough to be moved together.
      await gc({ type: "major", execution: "async" });
      await gc({ type: "major", execution: "async", flavor: "last-resort" });
    },
  };
}

export interface IdleCollectorOptions {
  collector: Collector;
  clock: Clock;
  log: Logger;
  /** How busy the event loop was since this was asked last, from 0 to 1. */
  utilization?: () => number;
}

const LOOK_MS = 5_000;
const REST_MS = 60_000;
/** Busier than that, the loop has better to do, and V8 collects by itself. */
const MAX_UTILIZATION = 0.1;
/** For less it is not worth it. */
const MIN_GROWTH_BYTES = 16 << 20;
/** Above this a collection would keep the loop from its work for too long. */
const MAX_HEAP_BYTES = 256 << 20;

/**
 * Gives memory back after a start or a storm. V8 keeps what a burst of work left behind until the next burst fills its heap, which on a
 * quiet machine is never: what loading 5,000 pods left behind was 40 MB. So the garbage is collected when the process is idle
 * and its heap has grown, at most once a minute.
 */
export class IdleCollector implements AsyncDisposable {
  readonly #options: IdleCollectorOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #floor = 0;

  constructor(options: IdleCollectorOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { collector, clock, log, utilization = loopUtilization() } = this.#options;
    const { signal } = this.#stop;
    for (let wait = LOOK_MS; await slept(clock, wait, signal);) {
      wait = LOOK_MS;
      const before = collector.heapBytes();
      if (utilization() > MAX_UTILIZATION || before > MAX_HEAP_BYTES || before < this.#floor + MIN_GROWTH_BYTES)
        continue;
      const began = clock.monotonic();
      await collector.collect();
      this.#floor = collector.heapBytes();
      log.debug({ before, after: this.#floor, ms: Math.round(clock.monotonic() - began) }, "memory given back");
      wait = REST_MS;
    }
  }
}

/** Whether the whole time passed before the signal aborted. */
const slept = (clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> =>
  clock.sleep(ms, signal).then(
    () => true,
    () => false,
  );

function loopUtilization(): () => number {
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
