import { KeyedQueue, silentLogger, type Clock, type Logger, type Requeue } from "@skerry/base";
import type { Client, Informers } from "@skerry/client";
import { isConflict, keyString, statusOf, type ObjectKey } from "@skerry/machinery";

/** An error that trying again cannot mend, so that the key rests until it changes. */
export class TerminalError extends Error {
  override name = "TerminalError";
}

/**
 * Brings the world nearer to what one object wants. It gets a name, never an event: it reads what is, and writes the difference,
 * so that running once more, or once less, changes nothing.
 */
export type Reconcile = (key: ObjectKey, signal: AbortSignal) => Promise<Requeue | void>;

/** What every controller works with. */
export interface Surroundings {
  client: Client;
  informers: Informers;
  clock?: Clock;
  random?: () => number;
  log?: Logger;
}

export interface ControllerOptions extends Pick<Surroundings, "clock" | "random" | "log"> {
  /** As it stands in logs: `deployment`. */
  name: string;
  reconcile: Reconcile;
  /** How many keys are worked on at once. */
  workers?: number;
}

/** Runs a reconcile for each key that is enqueued, never twice at once for one key, again after a failure. */
export class Controller implements AsyncDisposable {
  readonly name: string;
  readonly #queue: KeyedQueue;
  readonly #subscriptions: (() => void)[] = [];

  constructor(options: ControllerOptions) {
    const { log = silentLogger, workers = 4 } = options;
    this.name = options.name;
    this.#queue = new KeyedQueue({
      run: (key, signal) => options.reconcile(parseKey(key), signal),
      isTerminal: (error) => error instanceof TerminalError,
      onError: (key, error, failures) => {
        // A conflict says that the informer lags behind the API: the usual case, mended by looking again.
        const quiet = isConflict(error) || statusOf(error)?.reason === "ServiceUnavailable";
        log[quiet ? "debug" : "warn"](
          { controller: options.name, object: key, failures, err: error },
          "reconcile failed",
        );
      },
      workers,
      ...(options.clock && { clock: options.clock }),
      ...(options.random && { random: options.random }),
    });
  }

  enqueue(key: ObjectKey): void {
    this.#queue.add(keyString(key));
  }

  enqueueAfter(key: ObjectKey, ms: number): void {
    this.#queue.addAfter(keyString(key), ms);
  }

  /** Begins to work. `subscriptions` end what enqueues keys, and are called when the controller ends. */
  start(...subscriptions: (() => void)[]): void {
    this.#subscriptions.push(...subscriptions);
    this.#queue.start();
  }

  /** Resolves when nothing waits for a worker; for tests. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#subscriptions) end();
    await this.#queue[Symbol.asyncDispose]();
  }
}

/** The inverse of `keyString`. */
export function parseKey(text: string): ObjectKey {
  const slash = text.indexOf("/");
  return slash < 0 ? { namespace: "", name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}
