import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import {
  hasSystemd,
  readPidFile,
  signalProcess,
  startDaemon,
  startTimeOf,
  stopDaemon,
  waitForExit,
  writeFileAtomic,
  writePidFile,
  type ProcessId,
} from "@skerry/base";
import { UserError } from "../command.ts";
import { refreshBundle } from "../program/bundle.ts";
import { daemonCommand, daemonEnvironment } from "./daemon-command.ts";
import type { Instance } from "./instance.ts";
import { logFileOf, pidFileOf, type Daemon } from "./layout.ts";
import { keepProxies } from "./proxies.ts";
import { unitName, unitText } from "./units.ts";

const run = promisify(execFile);

/** The daemon's process, when it runs. */
export const runningDaemon = ({ layout }: Instance, daemon: Daemon): Promise<ProcessId | undefined> =>
  readPidFile(pidFileOf(layout, daemon));

/** Starts a daemon unless it runs. It stays when we end: as a systemd unit where there is systemd, else in a session of its own. */
export async function startInstanceDaemon(instance: Instance, daemon: Daemon): Promise<void> {
  if (await runningDaemon(instance, daemon)) return;
  await refreshBundle();
  const { layout } = instance;
  if (hasSystemd()) {
    const unit = unitName(instance, daemon);
    await writeFileAtomic(path.join("/etc/systemd/system", unit), unitText(instance, daemon));
    // Reloads the units, too (systemctl(1), "enable").
    await systemctl("enable", "--now", unit);
    const pid = Number(await systemctl("show", "--property=MainPID", "--value", unit));
    await noteProcess(instance, daemon, pid);
    return;
  }
  const [command = "", ...args] = daemonCommand(instance, daemon);
  await startDaemon({
    command,
    args,
    logFile: logFileOf(layout, daemon),
    pidFile: pidFileOf(layout, daemon),
    env: daemonEnvironment(instance, daemon),
  });
}

/**
 * Writes which process a daemon is. It does so itself, but late: whoever waits for it must not take it for ended. One that has ended already is
 * not noted.
 */
export async function noteProcess({ layout }: Instance, daemon: Daemon, pid: number): Promise<void> {
  if ((await startTimeOf(pid)) === undefined) return;
  await mkdir(layout.runDir, { recursive: true });
  await writePidFile(pidFileOf(layout, daemon), pid);
}

/** Stops a daemon and resolves when it has ended; containers are not touched. */
export async function stopInstanceDaemon(instance: Instance, daemon: Daemon): Promise<void> {
  const unit = unitName(instance, daemon);
  if (hasSystemd() && existsSync(path.join("/etc/systemd/system", unit))) {
    await systemctl("disable", "--now", unit);
    await rm(path.join("/etc/systemd/system", unit), { force: true });
    await systemctl("daemon-reload");
  }
  await stopDaemon(pidFileOf(instance.layout, daemon));
}

/**
 * Keeps the proxies that an environment names, and stops an edge that runs with others, so that it is started again with these. Resolves with whether
 * it did.
 */
export async function stopForProxies(instance: Instance, env: NodeJS.ProcessEnv): Promise<boolean> {
  if (!(await keepProxies(instance.layout, env)) || !(await runningDaemon(instance, "edge"))) return false;
  await stopInstanceDaemon(instance, "edge");
  return true;
}

/** SIGKILL to that one process: what a crash does. */
export async function killInstanceDaemon(instance: Instance, daemon: Daemon): Promise<void> {
  const id = await runningDaemon(instance, daemon);
  if (!id) throw new UserError(`The ${daemon} does not run`);
  await signalProcess(id, "SIGKILL");
  await waitForExit(id, { timeoutMs: 5_000 });
}

async function systemctl(...args: string[]): Promise<string> {
  try {
    return (await run("systemctl", args)).stdout;
  } catch (error) {
    const text = String((error as { stderr?: string }).stderr ?? (error as Error).message).trim();
    throw new UserError(`systemctl ${args.join(" ")} failed: ${text}`, { cause: error });
  }
}
