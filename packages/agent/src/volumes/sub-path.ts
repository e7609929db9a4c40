import { constants } from "node:fs";
import { mkdir, open, realpath, writeFile, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { isMissingFile } from "@skerry/base";
import type { Mounts } from "./mounts.ts";

/**
 * Binds a file or folder inside a volume to a place of ours, so that a container can be given it alone.
 *
 * Containers may write to the volume, and swap a folder for a symlink to the node's files while we look. So the path is
 * resolved, checked to lie in the volume, then opened one component at a time without following links, and what was opened is
 * bound through its file descriptor: what is checked is what is mounted.
 */
export async function bindSubPath(
  { volumePath, subPath, target }: { volumePath: string; subPath: string; target: string },
  mounts: Mounts,
  signal: AbortSignal,
): Promise<void> {
  const root = await realpath(volumePath);
  const wanted = path.join(root, subPath);
  let resolved: string;
  try {
    resolved = await realpath(wanted);
  } catch (error) {
    if (!isMissingFile(error)) throw error;
    // Made as the kubelet does. What lies above it exists or is made; a link above it is caught below.
    const parent = await realpath(await nearestExisting(path.dirname(wanted)));
    if (!isInside(root, parent)) throw outside(subPath);
    await mkdir(wanted, { recursive: true, mode: 0o750 });
    resolved = await realpath(wanted);
  }
  if (!isInside(root, resolved)) throw outside(subPath);

  await using handle = await openInside(root, path.relative(root, resolved));
  const isFolder = (await handle.stat()).isDirectory();
  await mkdir(isFolder ? target : path.dirname(target), { recursive: true, mode: 0o750 });
  if (!isFolder) await writeFile(target, "", { flag: "a" });
  for (const point of await mounts.below(target)) await mounts.unmount(point, signal);
  await mounts.bind(`/proc/${process.pid}/fd/${handle.fd}`, target, signal);
}

async function openInside(root: string, relative: string): Promise<FileHandle> {
  let handle = await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
  for (const part of relative.split("/").filter((one) => one !== "")) {
    const parent = handle;
    try {
      handle = await open(
        `/proc/self/fd/${parent.fd}/${part}`,
        constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      );
    } finally {
      await parent.close();
    }
  }
  return handle;
}

async function nearestExisting(folder: string): Promise<string> {
  for (let at = folder; ; at = path.dirname(at)) {
    try {
      return await realpath(at);
    } catch (error) {
      if (!isMissingFile(error) || at === "/") throw error;
    }
  }
}

const isInside = (root: string, file: string): boolean => file === root || file.startsWith(`${root}/`);

const outside = (subPath: string): Error => new Error(`Cannot mount subPath ${subPath}: it leads out of the volume`);
