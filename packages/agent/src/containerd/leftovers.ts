import { createHash } from "node:crypto";
import { readFile, readlink, rm, stat } from "node:fs/promises";
import path from "node:path";
import {
  isMissingFile,
  namesIn,
  runCommand,
  signalProcess,
  waitForExit,
  type Clock,
  type ProcessId,
} from "@skerry/base";
import { processesOf } from "./cgroups.ts";
import { findProcesses, hasOption } from "./find-process.ts";
import type { ContainerdPaths } from "./paths.ts";

const SHIM = "containerd-shim-runc-v2";
const EXIT_TIMEOUT_MS = 10_000;

/**
 * Ends and removes what a private containerd's pods left outside its root: shims with their processes, shim sockets, mounts,
 * network namespaces. For when containerd is ended, and for pods that it did not take down itself.
 */
export async function removeLeftovers(paths: ContainerdPaths): Promise<void> {
  for (const shim of await shimsOf(paths)) await endShim(paths, shim);
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

/** The files of network namespaces that CRI made for sandboxes, whether they still exist or not. */
export const namespacesOf = (paths: ContainerdPaths): Promise<string[]> =>
  mountsBelow(path.join(paths.stateDir, "io.containerd.grpc.v1.cri", "netns"));

/** Whether a process lives in a network namespace. */
export async function isInhabited(file: string): Promise<boolean> {
  const { ino } = await stat(file);
  for (const pid of await processIds("/proc")) {
    if ((await readlink(`/proc/${pid}/ns/net`).catch(() => "")) === `net:[${ino}]`) return true; // or it ended
  }
  return false;
}

/** Ends a network namespace that no sandbox has, with the interfaces in it. */
export async function removeNamespace(file: string): Promise<void> {
  await runCommand("umount", ["--lazy", file]);
  await rm(file, { force: true });
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

/** What containerd starts while it makes a sandbox, and what outlives it by moments when it is killed. */
const HELPERS = new Set(["bridge", "host-local", "portmap", "firewall", "loopback", "iptables", "ip6tables"]);
const HELPERS_TIMEOUT_MS = 3_000;

/**
 * Waits until what a killed containerd had started to make sandboxes with has run to its end: only then does what it makes
 * stand still. Helpers are found by the cgroup that they share with it.
 */
export async function helpersEnded(paths: ContainerdPaths, cgroup: string, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + HELPERS_TIMEOUT_MS;
  while (clock.monotonic() < deadline) {
    const starting = await findProcesses(
      SHIM,
      (argv) => hasOption(argv, "-address", paths.socket) && argv.includes("start"),
    );
    const names = await Promise.all((await processesOf(cgroup)).map(commandName));
    if (starting.length === 0 && !names.some((name) => HELPERS.has(name))) return;
    await clock.sleep(10);
  }
}

const commandName = async (pid: number): Promise<string> =>
  (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim(); // it ended

/** The process that holds a sandbox's containers, whatever becomes of containerd. */
export interface Shim extends ProcessId {
  sandboxId: string;
}

export async function shimsOf({ socket }: ContainerdPaths): Promise<Shim[]> {
  const found = await findProcesses(SHIM, (argv) => hasOption(argv, "-address", socket));
  return found.map(({ pid, startTime, argv }) => ({ pid, startTime, sandboxId: argv[argv.indexOf("-id") + 1] ?? "" }));
}

/** `USER_HZ`, in which the kernel tells when a process started: 100 on every architecture (proc(5)). */
const TICKS_PER_SECOND = 100;

/** How long a process has lived. */
export async function ageMs({ startTime }: ProcessId): Promise<number> {
  const [uptime = "0"] = (await readFile("/proc/uptime", "utf8")).split(" ");
  return (Number(uptime) - Number(startTime) / TICKS_PER_SECOND) * 1000;
}

/** Whether a shim holds no process at all. */
export const isIdle = async (shim: Shim): Promise<boolean> => (await childrenOf(shim.pid)).length === 0;

/** Ends a shim with the containers that it holds, and removes its socket. */
export async function endShim(paths: ContainerdPaths, shim: Shim): Promise<void> {
  // A shim that has gone cannot report its children's end, and nobody else would end them.
  const children = await childrenOf(shim.pid);
  await signalProcess(shim, "SIGKILL");
  for (const child of children) await signalProcess(child, "SIGKILL");
  for (const id of [shim, ...children]) await waitForExit(id, { timeoutMs: EXIT_TIMEOUT_MS });
  await rm(shimSocket(paths, shim.sandboxId), { force: true });
}

/** Shims of all containerds of the machine have their sockets in one folder, under a hash that tells them apart. */
function shimSocket({ socket }: ContainerdPaths, sandboxId: string): string {
  const hash = createHash("sha256")
    .update(path.join(socket, "k8s.io", sandboxId))
    .digest("hex");
  return `/run/containerd/s/${hash}`;
}

/**
 * The processes that a process started and that have not ended. From their own account of their parent: not every kernel
 * lists children.
 */
export async function childrenOf(parent: number, procDir = "/proc"): Promise<ProcessId[]> {
  const found: ProcessId[] = [];
  for (const pid of await processIds(procDir)) {
    const text = await readFile(path.join(procDir, String(pid), "stat"), "utf8").catch(() => ""); // it ended
    // After the name, which may hold anything: state, parent, …, and as the 20th the start time (proc(5)).
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const hasEnded = fields[0] === "Z" || fields[0] === "X";
    if (fields[1] === String(parent) && !hasEnded) found.push({ pid, startTime: fields[19] ?? "" });
  }
  return found;
}

const processIds = async (procDir: string): Promise<number[]> =>
  (await namesIn(procDir)).map(Number).filter((pid) => Number.isSafeInteger(pid));

/** The sandboxes and containers whose first process is a living child of a shim. */
export async function livingTasks(paths: ContainerdPaths): Promise<string[]> {
  const children = new Set<number>();
  for (const { pid } of await shimsOf(paths)) for (const child of await childrenOf(pid)) children.add(child.pid);
  const living: string[] = [];
  for (const id of await namesIn(bundlesOf(paths))) {
    const pid = await readFile(path.join(bundlesOf(paths), id, "init.pid"), "utf8").catch(() => ""); // it has ended, or not begun
    if (children.has(Number(pid))) living.push(id);
  }
  return living;
}

/** containerd keeps a folder for each task, from before its shim is started until after it was ended. */
const bundlesOf = ({ stateDir }: ContainerdPaths): string =>
  path.join(stateDir, "io.containerd.runtime.v2.task", "k8s.io");

/** Of shims that have ended already: their bundles, which only the end of their containers removes, name them. */
async function removeShimSockets(paths: ContainerdPaths): Promise<void> {
  for (const id of await namesIn(bundlesOf(paths))) await rm(shimSocket(paths, id), { force: true });
}
