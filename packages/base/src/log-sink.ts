import { writeSync } from "node:fs";
import type { OwnLogFile } from "./log-file.ts";

/** Writes some of the bytes to a descriptor and returns how many; throws like `fs.writeSync`. */
export type WriteSome = (fd: number, bytes: Uint8Array) => number;

/** What waits at most, in bytes, for a descriptor that takes nothing: the rest of a line and some lines more. */
const MAX_WAITING_BYTES = 64 * 1024;

/**
 * Where log lines go: to a descriptor, at once, in order, and without ever waiting for it. While it takes nothing, because its disk is full
 * or its reader is slow or gone, a few lines wait and the rest is dropped; a line says how many, once it takes some again. A log file that is
 * its own is kept within its bound.
 */
export class LogSink {
  readonly #fd: number;
  readonly #write: WriteSome;
  readonly #file: OwnLogFile | undefined;
  #waiting: Buffer = Buffer.alloc(0);
  #dropped = 0;
  /** How many bytes were written since the file was last told. */
  #written = 0;

  constructor(fd: number, { write = writeSync, file }: { write?: WriteSome; file?: OwnLogFile | undefined } = {}) {
    this.#fd = fd;
    this.#write = write;
    this.#file = file;
  }

  /** Takes one line, with its newline. */
  write(line: string): void {
    if (this.#waiting.length > 0) this.#waiting = this.#attempt(this.#waiting);
    if (this.#waiting.length === 0 && this.#dropped > 0) this.#tellDropped();
    const bytes = Buffer.from(line);
    if (this.#waiting.length === 0) this.#waiting = this.#attempt(bytes);
    else if (this.#waiting.length + bytes.length <= MAX_WAITING_BYTES) {
      this.#waiting = Buffer.concat([this.#waiting, bytes]);
    } else this.#dropped++;
    // Between two lines: a rotation tears none.
    if (this.#waiting.length === 0) this.#keep();
  }

  /** Writes what the descriptor takes, and returns the rest. */
  #attempt(bytes: Buffer): Buffer {
    let rest = bytes;
    while (rest.length > 0) {
      let written: number;
      try {
        written = this.#write(this.#fd, rest);
      } catch {
        break; // nobody could be told but by this very log
      }
      if (written === 0) break;
      rest = rest.subarray(written);
    }
    this.#written += bytes.length - rest.length;
    return rest;
  }

  #keep(): void {
    const written = this.#written;
    this.#written = 0;
    try {
      this.#file?.wrote(written);
    } catch (error) {
      this.#tell({ error: String(error) }, "the log was cut, its earlier part is not kept");
    }
  }

  #tellDropped(): void {
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#tell({ dropped }, "log lines were dropped");
  }

  #tell(fields: object, msg: string): void {
    const line = { level: "warn", time: new Date().toISOString(), ...fields, msg };
    this.#waiting = this.#attempt(Buffer.from(`${JSON.stringify(line)}\n`));
  }
}
