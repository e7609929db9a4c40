import { open } from "node:fs/promises";
import { isMissingFile } from "@skerry/base";

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
