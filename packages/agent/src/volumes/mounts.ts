import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** The mounts that volumes need. Linux has them; where an agent only plays, plain folders do. */
export interface Mounts {
  /** Mounts a memory file system at an existing folder. `sizeBytes` 0 leaves the kernel's bound, half of the memory. */
  tmpfs(folder: string, options: { sizeBytes: number; mode: number }, signal: AbortSignal): Promise<void>;
  /** Makes what `source` is appear at `target` too, which exists and is a folder or file as it is. */
  bind(source: string, target: string, signal: AbortSignal): Promise<void>;
  unmount(target: string, signal: AbortSignal): Promise<void>;
  /** The mount points at and below a folder, deepest first. */
  below(folder: string): Promise<string[]>;
}

const run = promisify(execFile);

export const linuxMounts: Mounts = {
  async tmpfs(folder, { sizeBytes, mode }, signal) {
    const size = sizeBytes > 0 ? [`size=${sizeBytes}`] : [];
    const options = [...size, `mode=${mode.toString(8).padStart(4, "0")}`, "nosuid", "nodev"].join(",");
    await run("mount", ["-t", "tmpfs", "-o", options, "skerry", folder], { signal });
  },
  async bind(source, target, signal) {
    await run("mount", ["--no-canonicalize", "--bind", source, target], { signal });
  },
  async unmount(target, signal) {
    await run("umount", ["--no-canonicalize", "--lazy", target], { signal });
  },
  async below(folder) {
    const points = mountPoints(await readFile("/proc/self/mountinfo", "utf8"));
    return points.filter((point) => point === folder || point.startsWith(`${folder}/`)).reverse();
  },
};

/** Plain folders instead of mounts, for agents that have no right to mount, or no wish, such as a thousand in one process. */
export const noMounts: Mounts = {
  tmpfs: async () => {},
  bind: async () => {},
  unmount: async () => {},
  below: async () => [],
};

/** The mount points of a mountinfo file, in order of mounting; proc(5): the fifth field, with spaces and the like in octal. */
export function mountPoints(mountinfo: string): string[] {
  return mountinfo.split("\n").flatMap((line) => {
    const field = line.split(" ", 5)[4];
    if (field === undefined) return [];
    return [field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))];
  });
}
