import { access, mkdir, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { isMissingFile, namesIn, runCommand, type RunCommand } from "@skerry/base";

/** Who makes cgroups: systemd, asked over D-Bus, or whoever needs one, as a folder. */
export type CgroupDriver = "systemd" | "cgroupfs";

export interface CgroupSetup {
  /** 1 also for the hybrid form, where controllers are mounted one by one. */
  version: 1 | 2;
  driver: CgroupDriver;
}

export const CGROUP_ROOT = "/sys/fs/cgroup";

/** How this machine's cgroups are to be used: systemd owns the tree where it runs and the tree is one (cgroup v2). */
export async function cgroupSetup(root = CGROUP_ROOT, systemdDir = "/run/systemd/system"): Promise<CgroupSetup> {
  const unified = await exists(path.join(root, "cgroup.controllers"));
  if (!unified) return { version: 1, driver: "cgroupfs" };
  return { version: 2, driver: (await exists(systemdDir)) ? "systemd" : "cgroupfs" };
}

/** The top-level cgroup of an instance's containerd, and of the shims that it starts. */
export const containerdCgroup = (instance: string): string => `skerry-${instance}-containerd`;

/** The top-level cgroup below which the pods of an instance have theirs. */
export const podsCgroup = (instance: string): string => `skerry-${instance}`;

/** The same where systemd makes cgroups: a slice's name, in which a dash would be a level. */
export const podsSlice = (instance: string): string => `skerry${instance}`;

/** The v1 hierarchies by which a service is stopped, or killed for its memory. */
const V1_HIERARCHIES = ["memory", "pids", "systemd", "unified"];

/**
 * Moves a process to the top-level cgroup `name`, so that neither the end nor the limits of ours reach it. What a machine
 * does not allow is left undone: the process then shares our cgroup, which costs robustness and nothing else.
 *
 * @returns the hierarchies where it worked.
 */
export async function moveToOwnCgroup(pid: number, name: string, root = CGROUP_ROOT): Promise<string[]> {
  const moved: string[] = [];
  for (const folder of await foldersOf(name, root)) {
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, "cgroup.procs"), String(pid));
      moved.push(folder);
    } catch {
      await rmdir(folder).catch(() => {}); // not made, or in use: either is as well
    }
  }
  return moved;
}

/** Removes a cgroup that `moveToOwnCgroup` made, unless somebody is in it: the shims of pods that go on. */
export async function removeOwnCgroup(name: string, root = CGROUP_ROOT): Promise<void> {
  for (const folder of await foldersOf(name, root)) {
    try {
      await rmdir(folder);
    } catch (error) {
      if (!isMissingFile(error) && (error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
    }
  }
}

/** Removes the top-level cgroup `name` with all below it, in every hierarchy; fails with EBUSY while a process is in it. */
export async function removeCgroupTree(name: string, root = CGROUP_ROOT): Promise<void> {
  if ((await cgroupSetup(root)).version === 2) return await removeTree(path.join(root, name));
  for (const hierarchy of await readdir(root)) await removeTree(path.join(root, hierarchy, name));
}

/** The processes in a cgroup that `moveToOwnCgroup` made; none where it could not. */
export async function processesOf(name: string, root = CGROUP_ROOT): Promise<number[]> {
  const pids = new Set<number>();
  for (const folder of await foldersOf(name, root)) {
    try {
      for (const line of (await readFile(path.join(folder, "cgroup.procs"), "utf8")).split("\n"))
        if (line !== "") pids.add(Number(line));
    } catch (error) {
      if (!isMissingFile(error)) throw error;
    }
  }
  return [...pids];
}

/** Where systemd keeps properties that were set until the next boot (systemd.unit(5)). */
const SYSTEMD_CONTROL = "/run/systemd/system.control";

/** Ends a systemd slice with all that is in it and below, and forgets the limits that were set on them. */
export async function removeSlice(
  name: string,
  {
    signal,
    run = runCommand,
    controlDir = SYSTEMD_CONTROL,
  }: { signal: AbortSignal; run?: RunCommand; controlDir?: string },
): Promise<void> {
  await run("systemctl", ["stop", `${name}.slice`], { signal });
  for (const folder of await namesIn(controlDir)) {
    if (folder === `${name}.slice.d` || (folder.startsWith(`${name}-`) && folder.endsWith(".slice.d")))
      await rm(path.join(controlDir, folder), { recursive: true, force: true });
  }
}

async function removeTree(folder: string): Promise<void> {
  try {
    for (const entry of await readdir(folder, { withFileTypes: true }))
      if (entry.isDirectory()) await removeTree(path.join(folder, entry.name));
    await rmdir(folder);
  } catch (error) {
    if (!isMissingFile(error)) throw error;
  }
}

async function foldersOf(name: string, root: string): Promise<string[]> {
  if ((await cgroupSetup(root)).version === 2) return [path.join(root, name)];
  const folders: string[] = [];
  for (const hierarchy of V1_HIERARCHIES) {
    const mount = path.join(root, hierarchy);
    if (await exists(path.join(mount, "cgroup.procs"))) folders.push(path.join(mount, name));
  }
  return folders;
}

const exists = async (file: string): Promise<boolean> => {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
};

/** Bit 24 of a capability set (capabilities(7)). */
const CAP_SYS_RESOURCE = 1n << 24n;

/** Whether this process, and so what it starts, may lower OOM scores. */
export async function mayLowerOomScore(): Promise<boolean> {
  const status = await readFile("/proc/self/status", "utf8");
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (BigInt(`0x${effective}`) & CAP_SYS_RESOURCE) !== 0n;
}
