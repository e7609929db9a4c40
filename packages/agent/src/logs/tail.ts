import { open, type FileHandle } from "node:fs/promises";
import { isMissingFile } from "@skerry/base";
import { parseRecord } from "./cri-log.ts";

const BLOCK = 16 * 1024;
const LF = 0x0a;

/** The last lines of a log as text, within both bounds; "" when there is no log. */
export async function lastLines(file: string, { lines, bytes }: { lines: number; bytes: number }): Promise<string> {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if (isMissingFile(error)) return "";
    throw error;
  }
  await using _ = handle;
  const start = await tailOffset(handle, lines);
  const { size } = await handle.stat();
  // Each record carries some fifty bytes besides its text.
  const from = Math.max(start, size - bytes - lines * 64);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
  const texts: string[] = [];
  for (const line of splitLines(buffer.subarray(0, bytesRead))) {
    const record = parseRecord(line);
    if (record) texts.push(record.text.toString() + (record.isPartial ? "" : "\n"));
  }
  return Buffer.from(texts.join("")).subarray(-bytes).toString();
}

/** Where the last `lines` lines of a file begin. Reads backwards, so that a large file costs no more than what is shown of it. */
export async function tailOffset(handle: FileHandle, lines: number): Promise<number> {
  const { size } = await handle.stat();
  if (lines === 0) return size;
  const buffer = Buffer.alloc(BLOCK);
  let found = 0;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - BLOCK);
    const { bytesRead } = await handle.read(buffer, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (buffer[at] !== LF || start + at === size - 1) continue;
      if (++found === lines) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

/** The whole lines of a buffer without their ends, and a torn one at its end. */
export function* splitLines(bytes: Buffer): Generator<Buffer> {
  let from = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
    yield bytes.subarray(from, at);
    from = at + 1;
  }
  if (from < bytes.length) yield bytes.subarray(from);
}
