import { Durations, type Samples } from "@skerry/base";
import type { RuntimeErrorCode } from "./runtime.ts";

/** Upper ends of the buckets, in seconds: from what is answered from memory to a pull on a bad link. */
const BOUNDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** How a call ended: `Cancelled` when nobody waited for it any more. */
export type CallOutcome = "OK" | "Cancelled" | RuntimeErrorCode;

/** Counts the calls of a container runtime by method and outcome, and how long they took. Both are a few words each, so this stays small. */
export class RuntimeCalls {
  readonly durations = new Durations({ label: "method", bounds: BOUNDS });
  readonly #counts = new Map<string, number>();

  observe(method: string, outcome: CallOutcome, seconds: number): void {
    const key = `${method} ${outcome}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    this.durations.observe(method, seconds);
  }

  *counts(): Generator<Samples extends Iterable<infer Sample> ? Sample : never> {
    for (const [key, count] of this.#counts) {
      const [method = "", outcome = ""] = key.split(" ");
      yield [{ method, outcome }, count];
    }
  }
}
