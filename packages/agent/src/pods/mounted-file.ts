import { constants } from "node:fs";
import { mkdir, open, readFile } from "node:fs/promises";
import path from "node:path";

/** Whether the file's content is this already; not that of one which cannot be read. */
export const saysAlready = async (file: string, content: string): Promise<boolean> =>
  (await readFile(file, "utf8").catch(() => undefined)) === content;

/**
 * Makes a file say `content` that containers have mounted by itself. The exception to files that are written atomically: a mount holds
 * the file, not its name, so another one in its place would never be seen. It is short and written at one go, and cut to its
 * length afterwards, so no reader finds it empty; what a power cut leaves of it is seen by the next look. Not written when it says so already.
 */
export async function rewriteMounted(file: string, content: string): Promise<void> {
  if (await saysAlready(file, content)) return;
  await mkdir(path.dirname(file), { recursive: true, mode: 0o750 });
  await using handle = await open(file, constants.O_RDWR | constants.O_CREAT, 0o644);
  await handle.writeFile(content);
  await handle.truncate(Buffer.byteLength(content));
}
