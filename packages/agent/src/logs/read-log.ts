import { createReadStream } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { isMissingFile, type Clock } from "@skerry/base";
import { parseRecord } from "./cri-log.ts";
import { logFilesOf } from "./log-files.ts";
import { tailOffset } from "./tail.ts";

/** What of a log is wanted: PodLogOptions of the Kubernetes API. */
export interface LogOptions {
  follow: boolean;
  /** Undefined: from the beginning. */
  tailLines: number | undefined;
  /** Unix milliseconds: lines from then on. */
  sinceMs: number | undefined;
  timestamps: boolean;
  limitBytes: number | undefined;
  /** `stdout` or `stderr` alone. */
  stream: string | undefined;
}

export interface LogSource {
  /** The file that the runtime writes to. */
  file: string;
  /** Whether anything may still be written to it. */
  isLive: () => boolean;
}

const BLOCK = 64 * 1024;
/** A record that has no end within this is cut: the runtime cuts lines at 16 KiB. */
const MAX_RECORD = 1024 * 1024;
/** How often a follower looks for more. */
const POLL_MS = 200;
const LF = 0x0a;

/**
 * Reads a container's log, rotated files included, and follows it across rotations. Ends when nothing more can come, or with the
 * signal. Each chunk is read when it is asked for.
 */
export async function* readLog(
  { file, isLive }: LogSource,
  options: LogOptions,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): AsyncGenerator<Uint8Array, void> {
  const format = new Formatter(options);
  for await (const block of blocks(file, isLive, options, clock, signal)) {
    const { bytes, isFull } = format.push(block);
    if (bytes.length > 0) yield bytes;
    if (isFull) return;
  }
  const rest = format.end();
  if (rest.length > 0) yield rest;
}

/** The raw bytes from where the options begin, in order. */
async function* blocks(
  file: string,
  isLive: () => boolean,
  { follow, tailLines }: LogOptions,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  // Opened before the list of older ones is taken: a rotation in between shows a file twice at worst, which its inode tells.
  await using current = await openOrNone(file);
  const older = (await logFilesOf(file)).slice(0, -1);
  let left = tailLines;
  let offset = 0;
  const skips = new Map<string, number>();
  if (left !== undefined) {
    if (current) {
      const lines = await countLines(blocksOf(current, 0));
      offset = lines >= left ? await tailOffset(current, left) : 0;
      left -= Math.min(left, lines);
    }
    for (const name of older.toReversed()) {
      const lines = left > 0 ? await countLines(openBlocks(name)) : 0;
      skips.set(name, left > 0 ? Math.max(0, lines - left) : Number.POSITIVE_INFINITY);
      left -= Math.min(left, lines);
    }
  }
  for (const name of older) {
    const skip = skips.get(name) ?? 0;
    if (skip !== Number.POSITIVE_INFINITY && !(await isSameFile(current, name)))
      yield* skipLines(openBlocks(name), skip);
  }
  if (current) offset = yield* readFrom(current, offset, signal);
  if (follow) yield* followFrom(file, current, offset, isLive, clock, signal);
}

async function* followFrom(
  file: string,
  first: FileHandle | undefined,
  from: number,
  isLive: () => boolean,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  let handle = first;
  let offset = from;
  try {
    while (!signal.aborted) {
      const wasLive = isLive(); // asked before the read: what was written until then is in the file
      if (handle) offset = yield* readFrom(handle, offset, signal);
      const isReplaced = !(await isSameFile(handle, file));
      if (isReplaced) {
        const next = await openOrNone(file);
        if (next) {
          // The runtime has let go of the old file now; what it wrote last is in it.
          if (handle) yield* readFrom(handle, offset, signal);
          if (handle !== first) await handle?.close();
          handle = next;
          offset = 0;
          continue;
        }
      }
      if (!wasLive) return;
      await clock.sleep(POLL_MS, signal).catch(() => {});
    }
  } finally {
    if (handle !== first) await handle?.close();
  }
}

/** Reads to the present end; returns where that is. */
async function* readFrom(handle: FileHandle, from: number, signal: AbortSignal): AsyncGenerator<Buffer, number> {
  let offset = from;
  while (!signal.aborted) {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(BLOCK), 0, BLOCK, offset);
    if (bytesRead === 0) break;
    offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  return offset;
}

async function* blocksOf(handle: FileHandle, from: number): AsyncGenerator<Buffer, void> {
  const never = new AbortController().signal;
  yield* readFrom(handle, from, never);
}

/** A rotated file's bytes, unpacked when it is packed; nothing when it was removed meanwhile. */
async function* openBlocks(file: string): AsyncGenerator<Buffer, void> {
  const plain = createReadStream(file, { highWaterMark: BLOCK });
  const stream = file.endsWith(".gz") ? plain.pipe(createGunzip()) : plain;
  plain.on("error", (error) => stream.destroy(error));
  try {
    for await (const block of stream) yield block as Buffer;
  } catch (error) {
    if (!isMissingFile(error)) throw error;
  } finally {
    plain.destroy();
  }
}

async function countLines(blocks: AsyncIterable<Buffer>): Promise<number> {
  let lines = 0;
  for await (const block of blocks) for (let at = block.indexOf(LF); at >= 0; at = block.indexOf(LF, at + 1)) lines++;
  return lines;
}

async function* skipLines(blocks: AsyncIterable<Buffer>, lines: number): AsyncGenerator<Buffer, void> {
  let left = lines;
  for await (const block of blocks) {
    let from = 0;
    while (left > 0) {
      const at = block.indexOf(LF, from);
      if (at < 0) break;
      from = at + 1;
      left--;
    }
    if (left === 0 && from < block.length) yield block.subarray(from);
  }
}

async function openOrNone(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, "r");
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}

async function isSameFile(handle: FileHandle | undefined, file: string): Promise<boolean> {
  if (!handle) return false;
  try {
    const [mine, named] = await Promise.all([handle.stat(), stat(file)]);
    return mine.ino === named.ino && mine.dev === named.dev;
  } catch (error) {
    if (isMissingFile(error)) return false;
    throw error;
  }
}

/** Makes of raw records what a person reads. */
class Formatter {
  readonly #options: LogOptions;
  #rest: Buffer = Buffer.alloc(0);
  #isLineStart = true;
  #left: number;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  push(block: Buffer): { bytes: Buffer; isFull: boolean } {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, block]) : block;
    const out: Buffer[] = [];
    let from = 0;
    for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
      this.#record(bytes.subarray(from, at), out);
      from = at + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(from)); // a copy: the block may go
    if (this.#rest.length > MAX_RECORD) this.#rest = Buffer.alloc(0);
    return { bytes: this.#limited(out), isFull: this.#left <= 0 };
  }

  /** A record whose end was never written. */
  end(): Buffer {
    const out: Buffer[] = [];
    if (this.#rest.length > 0) this.#record(this.#rest, out);
    return this.#limited(out);
  }

  #record(line: Buffer, out: Buffer[]): void {
    const record = parseRecord(line);
    if (!record) return;
    const { sinceMs, stream, timestamps } = this.#options;
    if (stream !== undefined && record.stream !== stream) return;
    if (sinceMs !== undefined && Date.parse(record.time) < sinceMs) return;
    if (timestamps && this.#isLineStart) out.push(Buffer.from(`${record.time} `, "latin1"));
    out.push(record.text);
    if (!record.isPartial) out.push(NEWLINE);
    this.#isLineStart = !record.isPartial;
  }

  #limited(out: Buffer[]): Buffer {
    const bytes = out.length === 1 && out[0] ? out[0] : Buffer.concat(out);
    const allowed = bytes.subarray(0, Math.max(0, this.#left));
    this.#left -= bytes.length;
    return allowed;
  }
}

const NEWLINE = Buffer.from("\n");
