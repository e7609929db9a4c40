import { Worker } from "node:worker_threads";
import type { Clock } from "@skerry/base";
import { badRequest, parseJson, tooManyRequests } from "@skerry/machinery";
import { readYamlText, type YamlAnswer } from "./yaml-text.ts";

export interface ParsedText {
  value: unknown;
  /** What the parser noticed and got over: duplicate fields. */
  problems: string[];
}

/** A text of so many characters is read at once; what it can cost at most is some ten milliseconds. */
const SHORT = 4 << 10;
/** How long one text may take, in milliseconds. */
const PATIENCE_MS = 5_000;
/** How many texts may wait for the thread. */
const MAX_WAITING = 16;
/** How long the thread stays without work, in milliseconds: few clients send YAML, and it takes ten megabytes. */
const IDLE_MS = 60_000;

/**
 * Reads bodies in YAML. To read them costs far more than their length says (a parser of YAML compares keys with each other, and follows nesting and
 * aliases), so all but short ones are read on a thread of its own, one at a time and none for ever: whatever a client sends, the event loop goes on.
 */
export class YamlReader implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #cancelIdle: (() => void) | undefined;

  constructor(clock: Clock, { patienceMs = PATIENCE_MS }: { patienceMs?: number } = {}) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** Throws BadRequest for what cannot be read, and TooManyRequests when too much waits. */
  async read(text: string, signal: AbortSignal): Promise<ParsedText> {
    const answer = text.length <= SHORT ? await readYamlText(text) : await this.#inTurn(text, signal);
    if ("refused" in answer) throw badRequest(`Cannot read YAML: ${answer.refused}`);
    try {
      return { value: parseJson(answer.json), problems: answer.problems };
    } catch (error) {
      throw badRequest(`Cannot read YAML: ${(error as Error).message}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  async #inTurn(text: string, signal: AbortSignal): Promise<YamlAnswer> {
    if (this.#waiting >= MAX_WAITING) throw tooManyRequests("Too many bodies in YAML wait to be read; send JSON", 1);
    this.#waiting++;
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      return this.#ask(text);
    });
    this.#last = turn.catch(() => {}); // told to whoever asked
    try {
      return await turn;
    } finally {
      this.#waiting--;
    }
  }

  async #ask(text: string): Promise<YamlAnswer> {
    this.#cancelIdle?.();
    const worker = (this.#worker ??= new Worker(new URL("./yaml-worker.ts", import.meta.url), {
      name: "skerry-yaml",
      resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8 },
    }));
    const { promise, resolve } = Promise.withResolvers<YamlAnswer | undefined>();
    const onMessage = (answer: YamlAnswer): void => resolve(answer);
    const onEnd = (): void => resolve({ refused: "it takes too much memory; send it as JSON" });
    worker.once("message", onMessage);
    worker.once("error", onEnd);
    worker.postMessage(text);
    const cancel = this.#clock.after(this.#patienceMs, () => resolve(undefined));
    const answer = await promise;
    cancel();
    worker.off("message", onMessage);
    worker.off("error", onEnd);
    if (answer === undefined) {
      await this.#end();
      return { refused: `it takes longer than ${this.#patienceMs / 1000} s; send it as JSON, or in parts` };
    }
    if (worker.threadId === -1) this.#worker = undefined; // it has ended
    else this.#cancelIdle = this.#clock.after(IDLE_MS, () => void this.#end());
    return answer;
  }

  async #end(): Promise<void> {
    this.#cancelIdle?.();
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}
