import { copyFile, open, rename, rm, stat, truncate } from "node:fs/promises";
import { isMissingFile } from "@skerry/base";

/**
 * Keeps a log file that another process appends to below about `maxBytes`: what is there is copied to `<file>.1`, then the
 * file is emptied. The writer notices nothing (it appends); lines that it writes between the two steps are lost.
 *
 * @returns whether it was too long.
 */
export async function rotateLogFile(file: string, maxBytes: number): Promise<boolean> {
  try {
    if ((await stat(file)).size <= maxBytes) return false;
  } catch (error) {
    if (isMissingFile(error)) return false;
    throw error;
  }
  const copy = `${file}.1.tmp`;
  try {
    await copyFile(file, copy);
    await rename(copy, `${file}.1`);
  } finally {
    await rm(copy, { force: true });
    // Emptied even when there was no room for the copy: a full disk is the last place to let a log grow.
    await truncate(file);
  }
  return true;
}

const TAIL_BYTES = 16 * 1024;

/**
 * What a containerd that does not serve said last: the message of its last complaint, or its last line; empty when it said
 * nothing. With `about`, its last line that mentions that.
 */
export async function lastComplaint(file: string, about = ""): Promise<string> {
  let handle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if (isMissingFile(error)) return "";
    throw error;
  }
  try {
    const { size } = await handle.stat();
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    await handle.read(tail, 0, tail.length, size - tail.length);
    const lines = tail.toString("utf8").split("\n").filter(Boolean);
    const isComplaint = (text: string): boolean =>
      about === ""
        ? /\blevel=(error|fatal|panic)\b|^containerd: /.test(text)
        : /\berror=/.test(text) && text.includes(about);
    const line = lines.findLast(isComplaint) ?? lines.at(-1) ?? "";
    const message = /\bmsg=("(?:[^"\\]|\\.)*"|\S+)/.exec(line)?.[1];
    if (message === undefined) return line;
    const reason = /\berror=("(?:[^"\\]|\\.)*"|\S+)/.exec(line)?.[1];
    return [message, reason]
      .filter((part) => part !== undefined)
      .map(unquote)
      .join(": ");
  } finally {
    await handle.close();
  }
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  try {
    return JSON.parse(text) as string;
  } catch {
    return text;
  }
}
