import type { Stats } from "node:fs";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { isMissingFile } from "@skerry/base";

/** Which kinds of file each hostPath type accepts, and the word for it in an error. */
const CHECKS: Record<string, { is: (stat: Stats) => boolean; what: string }> = {
  Directory: { is: (s) => s.isDirectory(), what: "a directory" },
  DirectoryOrCreate: { is: (s) => s.isDirectory(), what: "a directory" },
  File: { is: (s) => s.isFile(), what: "a file" },
  FileOrCreate: { is: (s) => s.isFile(), what: "a file" },
  Socket: { is: (s) => s.isSocket(), what: "a socket file" },
  CharDevice: { is: (s) => s.isCharacterDevice(), what: "a character device" },
  BlockDevice: { is: (s) => s.isBlockDevice(), what: "a block device" },
};

/** Checks a hostPath volume against its type, and makes what the type says is to be made ("Volumes", hostPath types). */
export async function checkHostPath(file: string, type: string): Promise<void> {
  if (type === "") return;
  const check = CHECKS[type];
  if (!check) throw new Error(`hostPath type check failed: unknown type ${type}`);
  const found = await statOrNone(file);
  if (!found && type === "DirectoryOrCreate") await mkdir(file, { recursive: true, mode: 0o755 });
  else if (!found && type === "FileOrCreate") await writeFile(file, "", { flag: "a", mode: 0o644 });
  else if (!found || !check.is(found)) throw new Error(`hostPath type check failed: ${file} is not ${check.what}`);
}

async function statOrNone(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file);
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}
