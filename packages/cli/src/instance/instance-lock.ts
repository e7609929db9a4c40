import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { takeFileLock } from "@skerry/base/sqlite";
import { UserError } from "../command.ts";
import type { Layout } from "./layout.ts";

/** Not in the data folder, which `down -v` removes; and gone with a reboot. */
const PLACE = "/run/lock";

/**
 * Held by a command while it changes an instance, so that no two do at once: the kernel lets go of it when the process ends, however it ends.
 * Throws `UserError` when another holds it.
 */
export function lockInstance({ dataDir }: Layout, command: string, place = PLACE): Disposable {
  const id = createHash("sha256").update(dataDir).digest("hex").slice(0, 16);
  const file = path.join(place, `skerry-${id}`);
  mkdirSync(place, { recursive: true });
  const lock = takeFileLock(file);
  if (!lock) {
    throw new UserError(
      `Another command is at work on ${dataDir} (${holderOf(`${file}-holder`)}); wait until it has ended, or end it`,
    );
  }
  writeFileSync(`${file}-holder`, `skerry ${command}, process ${process.pid}`);
  let isHeld = true;
  return {
    [Symbol.dispose]: () => {
      if (!isHeld) return; // what stands there is another's by now
      isHeld = false;
      for (const each of [`${file}-holder`, file]) rmSync(each, { force: true });
      lock[Symbol.dispose]();
    },
  };
}

function holderOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "it has just begun"; // who it is helps, and is not needed to know that there is one
  }
}
