import { chmod, lchown, mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { parseQuantity, quantityUnits } from "@skerry/machinery";
import type { Pod, Volume } from "@skerry/machinery/types";
import { mountPaths, pathBelow } from "../pods/container-spec.ts";
import type { DownwardFacts } from "../pods/downward.ts";
import type { ConfigSource } from "../pods/env.ts";
import { podDir, volumeDir, type PodPaths } from "../pods/paths.ts";
import { volumeContents, volumeKind } from "./contents.ts";
import { checkHostPath } from "./host-path.ts";
import type { Mounts } from "./mounts.ts";
import { writeProjection } from "./projection.ts";

/** A volume could not be made; shown as a FailedMount event. */
export class VolumeError extends Error {
  override name = "VolumeError";
}

export interface VolumeContext {
  paths: PodPaths;
  source: ConfigSource;
  facts: DownwardFacts;
  mounts: Mounts;
}

/** Makes the pod's volumes, or brings them up to date; what is as wanted is not touched. Throws `VolumeError`. */
export async function setUpVolumes(pod: Pod, context: VolumeContext, signal: AbortSignal): Promise<void> {
  for (const volume of pod.spec?.volumes ?? []) {
    signal.throwIfAborted();
    try {
      await setUpVolume(pod, volume, context, signal);
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      throw new VolumeError(`MountVolume.SetUp failed for volume "${volume.name}" : ${reason}`, { cause: error });
    }
  }
}

/** Unmounts and removes everything in the pod's folder, and the folder last: while it exists, there may be something to clean. */
export async function tearDownVolumes(
  uid: string,
  paths: PodPaths,
  mounts: Mounts,
  signal: AbortSignal,
): Promise<void> {
  const folder = podDir(paths, uid);
  for (const point of await mounts.below(folder)) await mounts.unmount(point, signal);
  const left = await mounts.below(folder);
  if (left.length > 0) throw new VolumeError(`Cannot remove the pod's volumes: ${left.join(", ")} is still mounted`);
  await rm(folder, { recursive: true, force: true, maxRetries: 2 });
}

async function setUpVolume(pod: Pod, volume: Volume, context: VolumeContext, signal: AbortSignal): Promise<void> {
  if (volume.hostPath) return checkHostPath(volume.hostPath.path, volume.hostPath.type ?? "");
  const kind = volumeKind(volume);
  const folder = volumeDir(context.paths, pod.metadata.uid ?? "", kind, volume.name);
  const gid = pod.spec?.securityContext?.fsGroup;
  if (kind === "emptyDir") return setUpEmptyDir(folder, volume, gid, context, signal);

  const isNew = await makeFolder(folder, 0o755);
  // Secrets stay off the disk.
  if (kind === "secret" || volume.projected?.sources?.some((part) => part.secret)) {
    await mountMemory(folder, { sizeBytes: 0, mode: 0o755 }, context.mounts, signal);
  }
  if (isNew && gid !== undefined) await lchown(folder, -1, gid);
  const files = volumeContents(pod, volume, context.source, context.facts);
  // fsGroup: its members can read what only the owner could.
  if (gid !== undefined) for (const file of files.values()) file.mode |= (file.mode & 0o500) >> 3;
  await writeProjection(folder, files, { gid, mounted: namesMountedOver(pod, volume.name) });
}

/** The names in a volume at or below which containers mount something else, and so what that is mounted on. */
function namesMountedOver(pod: Pod, volume: string): Set<string> {
  const names = new Set<string>();
  for (const container of pod.spec?.containers ?? []) {
    for (const { name, mountPath } of container.volumeMounts ?? []) {
      if (name !== volume) continue;
      for (const other of mountPaths(container)) {
        const below = pathBelow(mountPath, other);
        if (below !== undefined) names.add(below.split("/", 1)[0] ?? below);
      }
    }
  }
  return names;
}

async function setUpEmptyDir(
  folder: string,
  volume: Volume,
  gid: number | undefined,
  { mounts }: VolumeContext,
  signal: AbortSignal,
): Promise<void> {
  const isNew = await makeFolder(folder, 0o777);
  const limit = volume.emptyDir?.sizeLimit;
  let isMounted = false;
  if (volume.emptyDir?.medium === "Memory") {
    const sizeBytes = limit === undefined ? 0 : quantityUnits(parseQuantity(limit));
    isMounted = await mountMemory(folder, { sizeBytes, mode: 0o777 }, mounts, signal);
  }
  if (!isNew && !isMounted) return; // the containers' own by now
  if (gid !== undefined) await lchown(folder, -1, gid);
  await chmod(folder, gid === undefined ? 0o777 : 0o2777);
}

/** Mounts a memory file system unless there is one; says whether it did. */
async function mountMemory(
  folder: string,
  options: { sizeBytes: number; mode: number },
  mounts: Mounts,
  signal: AbortSignal,
): Promise<boolean> {
  if ((await mounts.below(folder)).includes(folder)) return false;
  await mounts.tmpfs(folder, options, signal);
  return true;
}

async function makeFolder(folder: string, mode: number): Promise<boolean> {
  await mkdir(path.dirname(folder), { recursive: true, mode: 0o750 });
  try {
    await mkdir(folder, { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  }
}
