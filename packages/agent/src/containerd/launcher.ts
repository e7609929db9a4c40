import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import {
  isMissingFile,
  runCommand,
  startDaemon,
  unitWord,
  writeFileAtomic,
  writePidFile,
  type DaemonOptions,
  type ProcessId,
  type RunCommand,
} from "@skerry/base";
import { moveToOwnCgroup, removeOwnCgroup } from "./cgroups.ts";

/** How containerd becomes a process that outlives the agent, and where it then is. */
export interface Launcher {
  /** The cgroup that it and the shims which it starts share, below the root. */
  readonly cgroup: string;
  launch(options: DaemonOptions): Promise<ProcessId>;
  /** Removes what launching it made. To be called when it has ended. */
  clear(): Promise<void>;
}

/** A session of its own, and a top-level cgroup: where no init system keeps daemons. */
export const sessionLauncher = (cgroup: string): Launcher => ({
  cgroup,
  launch: async (options) => {
    const id = await startDaemon(options);
    await moveToOwnCgroup(id.pid, cgroup);
    return id;
  },
  clear: () => removeOwnCgroup(cgroup),
});

/** Units of this boot alone: the agent makes its own again after the next. */
const UNITS = "/run/systemd/system";

/** A systemd unit of its own, for systemd owns the cgroups where it runs. Starting it again is left to the agent, who tidies up before. */
export function unitLauncher(unit: string, run: RunCommand = runCommand): Launcher {
  const file = path.join(UNITS, unit);
  return {
    cgroup: `system.slice/${unit}`,
    launch: async (options) => {
      for (const each of [options.logFile, options.pidFile]) await mkdir(path.dirname(each), { recursive: true });
      await writeFileAtomic(environmentFileOf(options), environmentText(options.env), { mode: 0o600 });
      const text = containerdUnit(options);
      if ((await textOf(file)) !== text) {
        await writeFileAtomic(file, text);
        await run("systemctl", ["daemon-reload"]);
      }
      // Not start: systemd may not have noticed yet that one has ended.
      await run("systemctl", ["restart", unit]);
      const pid = Number(await run("systemctl", ["show", "--property=MainPID", "--value", unit]));
      return await writePidFile(options.pidFile, pid);
    },
    clear: async () => {
      await rm(file, { force: true });
      await run("systemctl", ["daemon-reload"]);
      // One that was killed would be listed until the next boot. One that was not is no failed unit, and that is all systemctl complains of.
      await run("systemctl", ["reset-failed", unit]).catch(() => {});
    },
  };
}

/** Root's alone: a proxy in it may have a password, and what stands in a unit everybody may read, and ask systemd for. */
const environmentFileOf = ({ pidFile }: Pick<DaemonOptions, "pidFile">): string =>
  path.join(path.dirname(pidFile), "containerd.env");

/** Variables as systemd reads them from a file (systemd.exec(5), "EnvironmentFile"). */
export const environmentText = (env: NodeJS.ProcessEnv = {}): string =>
  Object.entries(env)
    .map(([name, value = ""]) => `${name}="${value.replaceAll(/["\\`$]/g, "\\$&")}"\n`)
    .join("");

/** The text of containerd's unit: pods go on when it ends, for only its main process is ended with it (systemd.kill(5)). */
export function containerdUnit({ command, args, logFile, pidFile }: DaemonOptions): string {
  // A path to the end of the line, quotes and all (systemd.exec(5)).
  const log = `append:${logFile.replaceAll("%", "%%")}`;
  return [
    "[Unit]",
    "Description=Skerry containerd",
    "After=network.target",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${[command, ...args].map(unitWord).join(" ")}`,
    `EnvironmentFile=${environmentFileOf({ pidFile }).replaceAll("%", "%%")}`,
    `StandardOutput=${log}`,
    `StandardError=${log}`,
    "KillMode=process",
    "Delegate=yes",
    "OOMScoreAdjust=-999",
    "TasksMax=infinity",
    "LimitNOFILE=1048576",
    "TimeoutStopSec=20",
    "",
  ].join("\n");
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}
