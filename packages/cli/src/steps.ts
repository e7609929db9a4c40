import type { Writable } from "node:stream";

/** Shows the steps of long work as they happen, each with the time it took: on a terminal the one at work blinks no cursor but stands alone, elsewhere plain lines. */
export class Steps {
  readonly #out: Writable & { isTTY?: boolean };
  readonly #now: () => number;
  readonly #started: number;

  constructor(out: Writable & { isTTY?: boolean }, now: () => number = () => performance.now()) {
    this.#out = out;
    this.#now = now;
    this.#started = now();
  }

  /** Runs one step under its name; when it throws, the line says that it failed. */
  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const started = this.#now();
    if (this.#out.isTTY) this.#out.write(`… ${name}`);
    try {
      const result = await work();
      this.#line("✓", name, started);
      return result;
    } catch (error) {
      this.#line("✗", name, started);
      throw error;
    }
  }

  /** A line for what needed no work. */
  note(text: string): void {
    this.#out.write(`· ${text}\n`);
  }

  /** Seconds since the first step, for the closing line. */
  get elapsed(): string {
    return seconds(this.#now() - this.#started);
  }

  #line(mark: string, name: string, started: number): void {
    const text = `${mark} ${name} (${seconds(this.#now() - started)})`;
    this.#out.write(this.#out.isTTY ? `\r\u001b[K${text}\n` : `${text}\n`);
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
