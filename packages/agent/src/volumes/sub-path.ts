import { constants } from "node:fs";
import { mkdir, open, realpath, writeFile, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { isMissingFile } from "@skerry/base";
import type { Mounts } from "./mounts.ts";

/**
 * Binds a file or folder inside a volume to a place of ours, so that a container can be given it alone; a folder that is not there is made.
 *
 * Containers may write to the volume, and swap a folder for a symlink to the node's files while we look. So what is there of
 * the path is resolved and checked to lie in the volume; then it is opened one component at a time, from the descriptor of the one before
 * and without following links, and what is missing is made the same way. What was opened is bound through its descriptor: what is
 * checked is what is mounted.
 */
export async function bindSubPath(
  { volumePath, subPath, target }: { volumePath: string; subPath: string; target: string },
  mounts: Mounts,
  signal: AbortSignal,
): Promise<void> {
  const root = await realpath(volumePath);
  const { resolved, missing } = await resolveExisting(path.join(root, subPath));
  if (!isInside(root, resolved)) throw outside(subPath);
  await using handle = await openInside(root, partsOf(path.relative(root, resolved)), missing).catch(
    (error: unknown) => {
      // A component is a link, and was none when the path was resolved, or leads nowhere.
      if (isLinkError(error)) throw outside(subPath, { cause: error });
      throw error;
    },
  );
  const isFolder = (await handle.stat()).isDirectory();
  await mkdir(isFolder ? target : path.dirname(target), { recursive: true, mode: 0o750 });
  if (!isFolder) await writeFile(target, "", { flag: "a" });
  for (const point of await mounts.below(target)) await mounts.unmount(point, signal);
  await mounts.bind(`/proc/${process.pid}/fd/${handle.fd}`, target, signal);
}

/** Where the longest part of a path that is there leads, and the components after it. */
async function resolveExisting(file: string): Promise<{ resolved: string; missing: string[] }> {
  for (let at = file; ; at = path.dirname(at)) {
    try {
      return { resolved: await realpath(at), missing: partsOf(path.relative(at, file)) };
    } catch (error) {
      if (!isMissingFile(error) || at === "/") throw error;
    }
  }
}

/** Opens what is at `existing` below the root, then what is at `missing` below that, whose folders are made. */
async function openInside(root: string, existing: string[], missing: string[]): Promise<FileHandle> {
  let handle = await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
  const enter = async (part: string, { make }: { make: boolean }): Promise<void> => {
    await using parent = handle;
    const file = `/proc/self/fd/${parent.fd}/${part}`;
    // As the kubelet makes it. What somebody else has made meanwhile is opened, if it is no link.
    if (make) await mkdir(file, { mode: 0o750 }).catch(unlessThere);
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  };
  for (const part of existing) await enter(part, { make: false });
  for (const part of missing) await enter(part, { make: true });
  return handle;
}

const partsOf = (relative: string): string[] => relative.split("/").filter((part) => part !== "");

const isInside = (root: string, file: string): boolean => file === root || file.startsWith(`${root}/`);

/** open(2): ELOOP, the last component is a link, or ENOTDIR, the one before it is no folder. */
const isLinkError = (error: unknown): boolean =>
  ["ELOOP", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

const outside = (subPath: string, options?: ErrorOptions): Error =>
  new Error(`Cannot mount subPath ${subPath}: it leads out of the volume`, options);
