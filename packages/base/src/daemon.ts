import { spawn } from "node:child_process";
import { mkdirSync, openSync, closeSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { systemClock, type Clock } from "./clock.ts";
import { isMissingFile, writeFileAtomic } from "./files.ts";

/** One process, told apart from a later one with the same number by when it started. */
export interface ProcessId {
  pid: number;
  /** Clock ticks after boot (proc(5), /proc/pid/stat field 22). */
  startTime: string;
}

export interface DaemonOptions {
  /** An executable and its arguments; no shell reads them. */
  command: string;
  args: readonly string[];
  /** Where standard output and error are appended. */
  logFile: string;
  pidFile: string;
  /** The whole environment. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

/** The start time of a process that lives, or undefined; a zombie does not live. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // gone, whatever the error: ENOENT before the open, ESRCH during the read
  }
  // The command in parentheses may hold spaces and parentheses itself: fields count from behind the last one.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : fields[18];
}

/** The process that a pid file names, when it is still that process. */
export async function readPidFile(file: string): Promise<ProcessId | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
  const [first = "", startTime = ""] = text.trim().split(" ");
  const pid = Number(first);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  return (await startTimeOf(pid)) === startTime ? { pid, startTime } : undefined;
}

export async function writePidFile(file: string, pid: number): Promise<ProcessId> {
  const startTime = await startTimeOf(pid);
  if (startTime === undefined) throw new Error(`Process ${pid} ended as soon as it was started`);
  await writeFileAtomic(file, `${pid} ${startTime}\n`);
  return { pid, startTime };
}

/** Starts a process in a session of its own, so that it outlives us and our terminal, and writes its pid file. */
export async function startDaemon(options: DaemonOptions): Promise<ProcessId> {
  mkdirSync(path.dirname(options.logFile), { recursive: true });
  mkdirSync(path.dirname(options.pidFile), { recursive: true });
  const log = openSync(options.logFile, "a", 0o640);
  try {
    const child = spawn(options.command, options.args, {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: options.cwd ?? "/",
      ...(options.env && { env: options.env }),
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.unref();
    try {
      return await writePidFile(options.pidFile, child.pid ?? 0);
    } catch (error) {
      child.kill("SIGKILL"); // nobody could find it again to end it
      throw error;
    }
  } finally {
    closeSync(log);
  }
}

/** Sends a signal to that very process; false when it is gone. */
export async function signalProcess(id: ProcessId, signal: NodeJS.Signals): Promise<boolean> {
  if ((await startTimeOf(id.pid)) !== id.startTime) return false;
  try {
    process.kill(id.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Waits until a process has ended; false when it still lives after `timeoutMs`. */
export async function waitForExit(
  id: ProcessId,
  { timeoutMs, clock = systemClock, signal }: { timeoutMs: number; clock?: Clock; signal?: AbortSignal },
): Promise<boolean> {
  const deadline = clock.monotonic() + timeoutMs;
  while ((await startTimeOf(id.pid)) === id.startTime) {
    if (clock.monotonic() >= deadline) return false;
    await clock.sleep(20, signal);
  }
  return true;
}

/** Ends a process: SIGTERM, after `graceMs` SIGKILL. */
export async function stopProcess(id: ProcessId, { graceMs = 10_000 }: { graceMs?: number } = {}): Promise<void> {
  await signalProcess(id, "SIGTERM");
  if (await waitForExit(id, { timeoutMs: graceMs })) return;
  await signalProcess(id, "SIGKILL");
  await waitForExit(id, { timeoutMs: 5_000 });
}

/** Ends a daemon as `stopProcess()` does; removes its pid file. Nothing happens when it is not running. */
export async function stopDaemon(pidFile: string, options: { graceMs?: number } = {}): Promise<boolean> {
  const id = await readPidFile(pidFile);
  if (id) await stopProcess(id, options);
  await rm(pidFile, { force: true });
  return id !== undefined;
}
