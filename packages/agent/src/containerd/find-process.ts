import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { startTimeOf, type ProcessId } from "@skerry/base";

export interface FoundProcess extends ProcessId {
  argv: string[];
}

/** The living processes whose program has this name and whose arguments satisfy `matches`, from one look at `/proc`. */
export async function findProcesses(
  program: string,
  matches: (argv: readonly string[]) => boolean,
): Promise<FoundProcess[]> {
  const found: FoundProcess[] = [];
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isSafeInteger(pid)) continue;
    let argv: string[];
    try {
      argv = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0").slice(0, -1);
    } catch {
      continue; // it ended while we looked
    }
    if (path.basename(argv[0] ?? "") !== program || !matches(argv)) continue;
    const startTime = await startTimeOf(pid);
    if (startTime !== undefined) found.push({ pid, startTime, argv });
  }
  return found;
}

/** Whether an argument is followed by that value. */
export const hasOption = (argv: readonly string[], option: string, value: string): boolean =>
  argv.some((argument, at) => argument === option && argv[at + 1] === value);
