import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { takeFileLock } from "@skerry/base/sqlite";
import { UserError } from "../command.ts";
import type { Layout } from "./layout.ts";

/** Not in the data folder, which `down -v` removes; root's alone, as names in a folder of everybody could be another's; and gone with a reboot. */
const PLACE = "/run";

/**
 * Held by a command while it changes an instance, so that no two do at once: the kernel lets go of it when the process ends, however it ends.
 * Throws `UserError` when another holds it.
 */
export function lockInstance({ dataDir }: Layout, command: string, place = PLACE): Disposable {
  const id = createHash("sha256").update(dataDir).digest("hex").slice(0, 16);
  const file = path.join(place, `skerry-${id}.lock`);
  const holderFile = path.join(place, `skerry-${id}.holder`);
  const lock = takeLasting(file);
  if (!lock) {
    throw new UserError(`Another ${holderIn(holderFile)} is at work on ${dataDir}; wait until it has ended, or end it`);
  }
  writeFileSync(holderFile, `skerry ${command} (process ${process.pid})`);
  let isHeld = true;
  return {
    [Symbol.dispose]: () => {
      if (!isHeld) return; // what stands there is another's by now
      isHeld = false;
      for (const each of [holderFile, file]) rmSync(each, { force: true });
      lock[Symbol.dispose]();
    },
  };
}

/** Locks the file of that name: one that its holder removed in between is nobody's, however locked. */
function takeLasting(file: string): Disposable | undefined {
  for (;;) {
    const inode = inodeOf(file);
    const lock = takeFileLock(file);
    if (!lock || (inode !== undefined && inode === statSync(file, { throwIfNoEntry: false })?.ino)) return lock;
    lock[Symbol.dispose]();
  }
}

/** Makes the file where there is none. One that is there is not opened, see `takeFileLock`. */
function inodeOf(file: string): number | undefined {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return statSync(file, { throwIfNoEntry: false })?.ino;
}

function holderIn(file: string): string {
  try {
    return readFileSync(file, "utf8") || "command";
  } catch {
    return "command"; // which one helps, and is not needed to know that there is one
  }
}
