import { open, stat, type FileHandle } from "node:fs/promises";
import { isMissingFile, olderPartsOf } from "@skerry/base";

const BLOCK_BYTES = 64 << 10;

/** A part of a log that rotation has set aside. */
interface Part {
  file: string;
  /** Stays the same when the part gets another name. */
  id: string;
  size: number;
}

/**
 * Reads a daemon's log in order and each line once, while it grows and is rotated: copied to an older part, and emptied (`rotateLogFile`). What a
 * reader had not yet read is then in the parts that it has not seen yet.
 */
export class LogReader {
  readonly #file: string;
  /** How far the oldest part that is not read to its end has been read: of those not seen yet, otherwise the log itself. */
  #position = 0;
  #seen = new Set<string>();

  constructor(file: string) {
    this.#file = file;
  }

  /** The last lines, at most so many bytes of them. Throws ENOENT when there is no log. */
  async *tail(bytes: number): AsyncGenerator<Buffer> {
    let from = (await stat(this.#file)).size - bytes;
    const parts = await this.#parts();
    // What is shown of older parts counts as not seen yet.
    while (from < 0 && parts.length > 0) from += parts.pop()?.size ?? 0;
    this.#seen = new Set(parts.map(({ id }) => id));
    this.#position = Math.max(0, from);
    let isWhole = from <= 0;
    for await (const block of this.more()) {
      const start = isWhole ? 0 : block.indexOf(10) + 1;
      if (start === 0 && !isWhole) continue;
      isWhole = true;
      yield block.subarray(start);
    }
  }

  /** What has come since, until there is no more now. */
  async *more(): AsyncGenerator<Buffer> {
    for (;;) {
      // The size first: a log that is found shorter was cut, and then the part with what it had is there already.
      await using log = await open(this.#file);
      const { size } = await log.stat();
      const unseen = await this.#unseen();
      const newest = unseen.at(-1);
      // Copied, and not yet emptied. It changes once more when it is, and then somebody asks again.
      if (newest && (await log.stat()).size >= newest.size) return;
      if (unseen[0]) {
        yield* this.#read(unseen[0]);
        continue;
      }
      if (size < this.#position) this.#position = 0;
      const block = await readBlock(log, this.#position);
      // Rotated before it was read: where it was is something else now.
      if ((await this.#unseen()).length > 0) continue;
      if (block.length === 0) return;
      this.#position += block.length;
      yield block;
    }
  }

  /** The rest of a part, which is read to its end then. */
  async *#read({ file, id }: Part): AsyncGenerator<Buffer> {
    await using part = await openOrNone(file);
    // It has another name by now, or is gone.
    if (!part || idOf(await part.stat()) !== id) return;
    for (let block; (block = await readBlock(part, this.#position)).length > 0;) {
      this.#position += block.length;
      yield block;
    }
    this.#seen.add(id);
    this.#position = 0;
  }

  async #unseen(): Promise<Part[]> {
    return (await this.#parts()).filter(({ id }) => !this.#seen.has(id));
  }

  /** The older parts there are, oldest first. */
  async #parts(): Promise<Part[]> {
    const parts = new Map<string, Part>();
    // Looked for from the newest on: parts only get older, so none slips by, and one that is met twice is where it was met last.
    for (const file of olderPartsOf(this.#file).toReversed()) {
      try {
        const stats = await stat(file);
        const id = idOf(stats);
        parts.set(id, { file, id, size: stats.size });
      } catch (error) {
        if (!isMissingFile(error)) throw error;
      }
    }
    return [...parts.values()].toReversed();
  }
}

const idOf = ({ ino, mtimeMs }: { ino: number; mtimeMs: number }): string => `${ino} ${mtimeMs}`;

async function readBlock(handle: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(BLOCK_BYTES), 0, BLOCK_BYTES, position);
  return buffer.subarray(0, bytesRead);
}

async function openOrNone(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file);
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}
