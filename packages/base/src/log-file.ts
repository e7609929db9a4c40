import {
  closeSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
  type Stats,
} from "node:fs";
import { isMissingFile } from "./files.ts";

/** How much a daemon's log may take. */
export interface LogFileLimits {
  /** A file that has grown past this is rotated. */
  maxBytes: number;
  /** How many files there are at most, the one that is written to included. */
  maxFiles: number;
}

export const LOG_FILE_LIMITS: LogFileLimits = { maxBytes: 10 << 20, maxFiles: 3 };

const BLOCK_BYTES = 256 << 10;

/** The older parts of a log, oldest first, whether they are there or not: `FILE.2`, `FILE.1`. */
export const olderPartsOf = (file: string, { maxFiles }: LogFileLimits = LOG_FILE_LIMITS): string[] =>
  Array.from({ length: maxFiles - 1 }, (_, i) => `${file}.${maxFiles - 1 - i}`);

/**
 * Keeps a log file within its limits: one that is too long is copied to `FILE.1`, after what was that has become `FILE.2` and the oldest part is
 * gone, and is then emptied. Whoever has it open for appending writes on at its start and need not know. Nothing is waited for in between, so
 * a process that rotates what it writes itself loses no line; one that another process writes between the end of the copy and the cut
 * is lost. It is emptied even when there is no room for the copy, and the error is thrown: a full disk is no place to let a log grow.
 *
 * @returns whether it was too long.
 */
export function rotateLogFile(file: string, limits: LogFileLimits = LOG_FILE_LIMITS): boolean {
  const size = statOf(file)?.size ?? 0;
  if (size <= limits.maxBytes) return false;
  const copy = `${file}.tmp`;
  try {
    const parts = olderPartsOf(file, limits);
    for (const [i, part] of parts.slice(1).entries()) {
      if (statOf(part)) renameSync(part, parts[i] ?? part);
    }
    copyFile(file, copy);
    renameSync(copy, `${file}.1`);
  } finally {
    truncateSync(file);
    rmSync(copy, { force: true });
  }
  return true;
}

/** The log file that this process appends to by a descriptor, and that it keeps within its limits. */
export class OwnLogFile {
  readonly #file: string;
  readonly #limits: LogFileLimits;
  #size: number;

  private constructor(file: string, limits: LogFileLimits, size: number) {
    this.#file = file;
    this.#limits = limits;
    this.#size = size;
  }

  /** Undefined when the descriptor leads elsewhere: to a terminal, a pipe, the journal. */
  static of(fd: number, file: string, limits: LogFileLimits = LOG_FILE_LIMITS): OwnLogFile | undefined {
    const [open, named] = [fstatSync(fd), statOf(file)];
    return named && open.ino === named.ino && open.dev === named.dev
      ? new OwnLogFile(file, limits, named.size)
      : undefined;
  }

  /** Counts what was written, and rotates when it is too much. Throws when the file could not be kept, once for each time that it fills. */
  wrote(bytes: number): void {
    this.#size += bytes;
    if (this.#size <= this.#limits.maxBytes) return;
    this.#size = 0;
    rotateLogFile(this.#file, this.#limits);
  }
}

/** By reading and writing until there is no more: what is appended meanwhile is copied too. */
function copyFile(from: string, to: string): void {
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  const source = openSync(from, "r");
  try {
    const target = openSync(to, "w", 0o640);
    try {
      for (let length; (length = readSync(source, block)) > 0;) {
        for (let done = 0; done < length;) done += writeSync(target, block, done, length - done);
      }
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}

function statOf(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}
