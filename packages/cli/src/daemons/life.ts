import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import {
  IdleCollector,
  processCollector,
  readPidFile,
  systemClock,
  writePidFile,
  type Logger,
  type LogLevel,
} from "@skerry/base";
import { UsageError, UserError, type Said } from "../command.ts";

/**
 * The life of a daemon: `start` puts its parts on the stack, then it runs until the signal aborts, and the parts end in reverse order.
 * A failure to start is told in one line to people, who read the end of the log.
 */
export async function untilStopped(
  signal: AbortSignal,
  pidFile: string,
  start: (stack: AsyncDisposableStack) => Promise<void>,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  await mkdir(path.dirname(pidFile), { recursive: true });
  await writePidFile(pidFile, process.pid);
  stack.defer(async () => {
    // Another that was started meanwhile keeps its own.
    if ((await readPidFile(pidFile))?.pid === process.pid) await rm(pidFile, { force: true });
  });
  try {
    await start(stack);
  } catch (error) {
    if (signal.aborted) return;
    throw error instanceof UserError ? error : new UserError((error as Error).message, { cause: error });
  }
  if (!signal.aborted) await once(signal, "abort");
}

/** Gives memory of this process back when it is idle; without `--expose-gc`, as in the foreground by hand, V8 is left alone. */
export function collectWhenIdle(stack: AsyncDisposableStack, log: Logger): void {
  const collector = processCollector();
  if (collector) stack.use(new IdleCollector({ collector, clock: systemClock, log })).start();
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

/** How much a daemon says, from its call. */
export function logLevelOf(call: Said): LogLevel {
  const text = call.option("log-level");
  const level = LEVELS.find((each) => each === text);
  if (!level) throw new UsageError(`${call.source("log-level")} takes debug, info, warn or error, not "${text}"`);
  return level;
}
