import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { isMissingFile, runCommand, signalProcess, startTimeOf, waitForExit, type ProcessId } from "@skerry/base";
import { findProcesses, hasOption } from "./find-process.ts";
import type { ContainerdPaths } from "./paths.ts";

const SHIM = "containerd-shim-runc-v2";
const EXIT_TIMEOUT_MS = 10_000;

/**
 * Ends and removes what a private containerd's pods left outside its root: shims with their processes, shim sockets, mounts,
 * network namespaces. For when containerd is ended, and for pods that it did not take down itself.
 */
export async function removeLeftovers(paths: ContainerdPaths): Promise<void> {
  await endShims(paths);
  await removeShimSockets(paths);
  await unmountBelow(path.dirname(paths.stateDir));
  await unmountBelow(paths.rootDir);
}

/**
 * Removes what an earlier boot of the machine left where files survive a reboot though they should not, as below a data
 * folder of the user's choice: addresses of pods that are no more, bundles, sockets.
 */
export async function forgetEarlierBoot(paths: ContainerdPaths, bootId: string): Promise<boolean> {
  let known: string | undefined;
  try {
    known = (await readFile(paths.bootIdFile, "utf8")).trim();
  } catch (error) {
    if (!isMissingFile(error)) throw error;
  }
  if (known === undefined || known === bootId) return false;
  const dir = path.dirname(paths.bootIdFile);
  // Nothing is mounted after a reboot; where something is, this is no reboot, and deleting would reach into it.
  if ((await mountsBelow(dir)).length > 0) return false;
  await rm(dir, { recursive: true, force: true });
  return true;
}

/** The mount points at or below a folder, the last mounted first. */
export async function mountsBelow(dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).split("\n")) {
    // Blanks and backslashes in names are written in octal (proc(5)).
    const point = line
      .split(" ")[4]
      ?.replaceAll(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
    if (point === dir || point?.startsWith(`${dir}/`)) found.push(point);
  }
  return found.toReversed();
}

async function unmountBelow(dir: string): Promise<void> {
  // Detached: a process that is just ending may still hold it.
  for (const point of await mountsBelow(dir)) await runCommand("umount", ["--lazy", point]);
}

async function endShims({ socket }: ContainerdPaths): Promise<void> {
  for (const shim of await findProcesses(SHIM, (argv) => hasOption(argv, "-address", socket))) {
    // A shim that has gone cannot report its children's end, and nobody else would end them.
    const children = await childrenOf(shim.pid);
    await signalProcess(shim, "SIGKILL");
    for (const child of children) await signalProcess(child, "SIGKILL");
    for (const id of [shim, ...children]) await waitForExit(id, { timeoutMs: EXIT_TIMEOUT_MS });
  }
}

async function childrenOf(pid: number): Promise<ProcessId[]> {
  const found: ProcessId[] = [];
  for (const task of await namesIn(`/proc/${pid}/task`)) {
    const list = await readFile(`/proc/${pid}/task/${task}/children`, "utf8").catch(() => ""); // it ended
    for (const child of list.split(" ").filter(Boolean).map(Number)) {
      const startTime = await startTimeOf(child);
      if (startTime !== undefined) found.push({ pid: child, startTime });
    }
  }
  return found;
}

/** A shim's socket lies in a folder of all containerds of the machine; its bundle notes which it is. */
async function removeShimSockets({ stateDir }: ContainerdPaths): Promise<void> {
  const tasks = path.join(stateDir, "io.containerd.runtime.v2.task", "k8s.io");
  for (const id of await namesIn(tasks)) {
    const address = await readFile(path.join(tasks, id, "address"), "utf8").catch(() => ""); // none was made
    const [, file] = /^unix:\/\/(\/run\/containerd\/s\/[0-9a-f]+)$/.exec(address.trim()) ?? [];
    if (file !== undefined) await rm(file, { force: true });
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (isMissingFile(error)) return [];
    throw error;
  }
}
