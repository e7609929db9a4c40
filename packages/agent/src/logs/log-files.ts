import { open, rename, rm, stat } from "node:fs/promises";
import { createReadStream, createWriteStream } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { isMissingFile, namesIn } from "@skerry/base";

/** How much log a container may keep. */
export interface RotationLimits {
  /** A file that has grown past this is rotated. */
  maxBytes: number;
  /** Of one instance, the current one included. */
  maxFiles: number;
}

/** The kubelet's defaults (`containerLogMaxSize`, `containerLogMaxFiles`). */
export const ROTATION_LIMITS: RotationLimits = { maxBytes: 10 * 1024 * 1024, maxFiles: 5 };

/** The files that hold one instance's log, oldest first; the last is the one that is written to, and always named. */
export async function logFilesOf(current: string): Promise<string[]> {
  const prefix = `${path.basename(current)}.`;
  const names = await namesIn(path.dirname(current));
  const rotated = names.filter((name) => name.startsWith(prefix) && !name.endsWith(".tmp"));
  // While one is being compressed it is there twice: the compressed one is whole, for it was renamed to its name.
  const whole = rotated.filter((name) => !rotated.includes(`${name}.gz`));
  return [...whole.toSorted().map((name) => path.join(path.dirname(current), name)), current];
}

/**
 * Rotates a log that has grown past its bound: moves it aside, lets the runtime open a new one, compresses what was moved aside
 * before, and removes what is too much. Resolves with whether it did. Cut off anywhere, the next call goes on.
 */
export async function rotateLog(
  current: string,
  limits: RotationLimits,
  { reopen, nowMs }: { reopen: () => Promise<void>; nowMs: number },
): Promise<boolean> {
  const size = await sizeOf(current);
  const isRotated = size > limits.maxBytes;
  if (isRotated) {
    const aside = `${current}.${timestamp(nowMs)}`;
    await rename(current, aside);
    try {
      await reopen();
    } catch (error) {
      await rename(aside, current); // it is still what is written to
      throw error;
    }
  }
  await tidy(current, limits);
  return isRotated;
}

async function tidy(current: string, { maxFiles }: RotationLimits): Promise<void> {
  const files = await logFilesOf(current);
  const rotated = files.slice(0, -1);
  const extra = rotated.splice(0, Math.max(0, rotated.length - (maxFiles - 1)));
  for (const file of extra) await rm(file, { force: true });
  // The newest stays as it is: readers that follow are still in it.
  for (const file of rotated.slice(0, -1)) if (!file.endsWith(".gz")) await compress(file);
}

async function compress(file: string): Promise<void> {
  const temporary = `${file}.tmp`;
  await pipeline(createReadStream(file), createGzip(), createWriteStream(temporary, { mode: 0o640 }));
  const handle = await open(temporary, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, `${file}.gz`);
  await rm(file, { force: true });
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isMissingFile(error)) return 0;
    throw error;
  }
}

/** `20260102-030405.678`: sorts by time. */
const timestamp = (ms: number): string => {
  const digits = new Date(ms).toISOString().replace(/[-:TZ]/g, "");
  return `${digits.slice(0, 8)}-${digits.slice(8)}`;
};
