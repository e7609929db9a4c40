import { execFile } from "node:child_process";
import { existsSync, type Dirent } from "node:fs";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { isMissingFile, systemClock, type Clock } from "@skerry/base";
import { podsSlice, removeSlice } from "../containerd/cgroups.ts";
import type { PodResources } from "./resources.ts";

/** The control groups of pods: one each, below one of this instance alone. */
export interface PodCgroups {
  /** What the runtime is told to put the pod below, in the form that its cgroup driver wants. */
  parentOf(uid: string): string;
  /** Makes the pod's cgroup and sets its limits. */
  ensure(uid: string, resources: PodResources, signal: AbortSignal): Promise<void>;
  /**
   * Removes it and what the runtime left below, and ends the processes that it left there: to be called once the runtime has no sandbox of the
   * pod. One that is not there is removed already.
   */
  remove(uid: string, signal: AbortSignal): Promise<void>;
  /** The pods that have one, whether they still exist or not. */
  uids(signal: AbortSignal): Promise<Set<string>>;
  /**
   * How many of the pod's processes the kernel has killed so far because they had too much memory, in containers that are gone too.
   * Always 0 with version 1, which counts them for each container alone.
   */
  oomKills(uid: string): Promise<number>;
}

export interface CgroupOptions {
  /** Tells instances on one machine apart: lower-case letters and digits. */
  instance: string;
  /** Must be the one that the runtime uses. */
  driver: "cgroupfs" | "systemd";
  /** Where cgroups are mounted. */
  root?: string;
  clock?: Clock;
}

/** How long a process that was killed has to be gone; one that waits for a disk takes longer, and is waited for by whoever asks again. */
const END_WAIT_MS = 20;
const END_WAITS = 25;

/** The hierarchies of version 1 that limits of a pod are set in. */
const V1_CONTROLLERS = ["cpu", "memory"];

/** The cgroups of this machine, of version 1 or 2 as it has them. */
export function linuxCgroups(options: CgroupOptions): PodCgroups {
  const { instance, driver, root = "/sys/fs/cgroup", clock = systemClock } = options;
  if (driver === "systemd") return systemdCgroups(instance, root);
  const isV2 = existsSync(path.join(root, "cgroup.controllers"));
  const parentOf = (uid: string): string => `/skerry-${instance}/pod${checkUid(uid)}`;
  const hierarchies = async (): Promise<string[]> =>
    isV2 ? [root] : (await readdir(root)).map((name) => path.join(root, name));
  return {
    parentOf,
    ensure: (uid, resources) =>
      isV2 ? ensureV2(root, parentOf(uid), resources) : ensureV1(root, parentOf(uid), resources),
    async remove(uid, signal) {
      for (const hierarchy of await hierarchies()) await removeTree(path.join(hierarchy, parentOf(uid)), clock, signal);
    },
    async uids() {
      const found = new Set<string>();
      for (const hierarchy of await hierarchies())
        for (const { name } of await foldersIn(path.join(hierarchy, `skerry-${instance}`)))
          if (name.startsWith("pod")) found.add(name.slice("pod".length));
      return found;
    },
    oomKills: async (uid) => (isV2 ? oomKillsIn(path.join(root, parentOf(uid))) : 0),
  };
}

/** No cgroups: for a fake runtime. */
export const noCgroups: PodCgroups = {
  parentOf: (uid) => `/fake/pod${uid}`,
  ensure: async () => {},
  remove: async () => {},
  uids: async () => new Set(),
  oomKills: async () => 0,
};

async function ensureV1(root: string, parent: string, resources: PodResources): Promise<void> {
  for (const controller of V1_CONTROLLERS) {
    if (!existsSync(path.join(root, controller))) continue; // Raspberry Pi OS has the memory cgroup off
    await mkdir(path.join(root, controller, parent), { recursive: true });
  }
  const cpu = path.join(root, "cpu", parent);
  await set(path.join(cpu, "cpu.shares"), String(resources.cpuShares));
  await set(path.join(cpu, "cpu.cfs_period_us"), String(resources.cpuPeriodUs));
  await set(path.join(cpu, "cpu.cfs_quota_us"), String(resources.cpuQuotaUs === 0 ? -1 : resources.cpuQuotaUs));
  const memory = resources.memoryLimitBytes === 0 ? "-1" : String(resources.memoryLimitBytes);
  await set(path.join(root, "memory", parent, "memory.limit_in_bytes"), memory);
}

async function ensureV2(root: string, parent: string, resources: PodResources): Promise<void> {
  const folder = path.join(root, parent);
  await mkdir(folder, { recursive: true });
  // Controllers are handed down level by level.
  for (const level of [root, path.dirname(folder), folder]) {
    for (const controller of ["cpu", "memory", "pids"]) {
      await set(path.join(level, "cgroup.subtree_control"), `+${controller}`);
    }
  }
  // The weight that the shares amount to, as runtimes convert them: 2…262144 to 1…10000.
  const weight = 1 + Math.floor(((Math.min(262_144, resources.cpuShares) - 2) * 9_999) / 262_142);
  await set(path.join(folder, "cpu.weight"), String(weight));
  const quota = resources.cpuQuotaUs === 0 ? "max" : String(resources.cpuQuotaUs);
  await set(path.join(folder, "cpu.max"), `${quota} ${resources.cpuPeriodUs}`);
  await set(
    path.join(folder, "memory.max"),
    resources.memoryLimitBytes === 0 ? "max" : String(resources.memoryLimitBytes),
  );
}

/** Slices by name, each with the limits of its pod; systemd makes the cgroups of containers below. */
function systemdCgroups(instance: string, root: string): PodCgroups {
  const run = promisify(execFile);
  const sliceOf = (uid: string): string => `${podsSlice(instance)}-pod${checkUid(uid).replaceAll("-", "_")}`;
  const parentOf = (uid: string): string => `${sliceOf(uid)}.slice`;
  return {
    parentOf,
    async ensure(uid, { memoryLimitBytes, cpuQuotaUs, cpuPeriodUs, cpuShares }, signal) {
      const percent = Math.ceil((cpuQuotaUs * 100) / cpuPeriodUs);
      const weight = 1 + Math.floor(((Math.min(262_144, cpuShares) - 2) * 9_999) / 262_142);
      const properties = [
        `CPUWeight=${weight}`,
        `MemoryMax=${memoryLimitBytes === 0 ? "infinity" : memoryLimitBytes}`,
        `CPUQuota=${cpuQuotaUs === 0 ? "" : `${percent}%`}`,
      ];
      await run("systemctl", ["start", parentOf(uid)], { signal });
      await run("systemctl", ["set-property", "--runtime", parentOf(uid), ...properties], { signal });
    },
    async remove(uid, signal) {
      await removeSlice(sliceOf(uid), { signal });
    },
    async uids(signal) {
      const pattern = `${podsSlice(instance)}-pod*.slice`;
      const { stdout } = await run("systemctl", ["list-units", "--plain", "--no-legend", pattern], { signal });
      const names = stdout.matchAll(/-pod([a-zA-Z0-9_]+)\.slice/g);
      return new Set(Array.from(names, ([, uid = ""]) => uid.replaceAll("_", "-")));
    },
    oomKills: (uid) => oomKillsIn(path.join(root, `${podsSlice(instance)}.slice`, parentOf(uid))),
  };
}

/** Sets a limit where the kernel has it: a controller that is off cannot be set, and the pod runs without it. */
async function set(file: string, value: string): Promise<void> {
  try {
    await writeFile(file, value, { flag: "r+" });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTSUP" && code !== "EOPNOTSUPP") {
      throw new Error(`Cannot set ${file} to ${value}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** What a cgroup of version 2 counts for itself and all below it, removed ones included. */
async function oomKillsIn(folder: string): Promise<number> {
  try {
    const events = await readFile(path.join(folder, "memory.events"), "utf8");
    return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0);
  } catch (error) {
    if (isMissingFile(error)) return 0; // the pod has none yet, or the controller is off
    throw error;
  }
}

/**
 * cgroups have files that cannot be removed and folders that can, the deepest first. A runtime whose call was cut off may have left a process
 * behind that it does not know of; nobody else would ever end it.
 */
async function removeTree(folder: string, clock: Clock, signal: AbortSignal): Promise<void> {
  for (const { name } of await foldersIn(folder)) await removeTree(path.join(folder, name), clock, signal);
  for (let waits = 0; ; waits++) {
    try {
      return await rmdir(folder);
    } catch (error) {
      if (isMissingFile(error) || (error as NodeJS.ErrnoException).code === "ENOTDIR") return;
      const processes = await processesIn(folder);
      if (waits === END_WAITS) {
        const message = `Cannot remove cgroup ${folder}: processes ${processes.join(", ")} are in it`;
        throw new Error(message, { cause: error });
      }
      for (const pid of processes) kill(pid);
      await clock.sleep(END_WAIT_MS, signal);
    }
  }
}

async function processesIn(folder: string): Promise<number[]> {
  const text = await readFile(path.join(folder, "cgroup.procs"), "utf8").catch(() => ""); // it has just gone
  // A process of a namespace that we do not see has the number 0, which would mean our own group (cgroups(7), kill(2)).
  return text
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 1);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it has ended
  }
}

async function foldersIn(folder: string): Promise<Dirent[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  } catch (error) {
    if (isMissingFile(error) || (error as NodeJS.ErrnoException).code === "ENOTDIR") return [];
    throw error;
  }
}

function checkUid(uid: string): string {
  if (!/^[-a-zA-Z0-9]+$/.test(uid)) throw new RangeError(`Cannot name a cgroup after uid ${JSON.stringify(uid)}`);
  return uid;
}
