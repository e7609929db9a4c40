import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { eventually } from "@skerry/base/testing";
import { instanceOf } from "./containers.ts";
import { Machine } from "./machine.ts";

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, "../..");

/** The first process: gives the machine its boot's name, an empty /run and its host name, says so, and reaps orphans from then on. */
const INIT = `
mount --bind "$1" /proc/sys/kernel/random/boot_id
mount -t tmpfs tmpfs /run
hostname "$2"
echo booted
exec catatonit -P
`;

/**
 * A machine that can lose its power: besides a network it has processes, mounts, /run, a host name and a boot id of its own, which all
 * end at once, as nothing but files is left of a machine that is switched off.
 */
export class RebootableMachine extends Machine {
  readonly #hostname: string;
  /** What is the machine's hardware, so to speak: outside its data. */
  readonly #caseDir: string;
  #init: { process: ChildProcess; pid: number } | undefined;

  private constructor(dataDir: string, netns: string, hostname: string, caseDir: string) {
    super(dataDir, netns, []);
    this.#hostname = hostname;
    this.#caseDir = caseDir;
  }

  static override async create(hostname = "edge"): Promise<RebootableMachine> {
    const dataDir = await mkdtemp("/tmp/skt-");
    const netns = `skt-${randomBytes(4).toString("hex")}`;
    const machine = new RebootableMachine(dataDir, netns, hostname, await mkdtemp("/tmp/skb-"));
    await machine.boot();
    return machine;
  }

  protected override get enter(): readonly string[] {
    if (!this.#init) throw new Error("The machine is switched off");
    const namespaces = ["--mount", "--pid", "--net", "--uts", "--ipc"];
    return ["nsenter", "--target", String(this.#init.pid), ...namespaces, "--", "env", `--chdir=${ROOT}`];
  }

  async boot(): Promise<void> {
    const bootId = path.join(this.#caseDir, "boot-id");
    await writeFile(bootId, `${randomUUID()}\n`);
    await run("ip", ["netns", "add", this.netns]);
    await run("ip", ["-n", this.netns, "link", "set", "lo", "up"]);
    const namespaces = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child"];
    const process = spawn(
      "nsenter",
      [
        `--net=/run/netns/${this.netns}`,
        "--",
        "unshare",
        ...namespaces,
        "sh",
        "-euc",
        INIT,
        "sh",
        bootId,
        this.#hostname,
      ],
      // unshare complains when its child is killed, as is meant here.
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    await once(process.stdout, "data");
    const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
    this.#init = { process, pid: Number(children.trim()) };
  }

  /** From one moment to the next: no process hears of it. */
  async powerCut(): Promise<void> {
    const init = this.#init;
    if (!init) return;
    const ended = once(init.process, "exit");
    // With its first process a PID namespace ends, and nothing in it can stand in the way (pid_namespaces(7)).
    globalThis.process.kill(init.pid, "SIGKILL");
    await ended;
    this.#init = undefined;
    await run("ip", ["netns", "del", this.netns]);
    await rm(path.join(this.dataDir, "run"), { recursive: true, force: true });
    await this.#emptyCgroups();
  }

  /** The kernel's memory of groups goes with the power; this kernel's stays. */
  async #emptyCgroups(): Promise<void> {
    const instance = await instanceOf(this).catch(() => undefined);
    if (instance === undefined) return;
    for (const hierarchy of await readdir("/sys/fs/cgroup"))
      for (const name of [`skerry-${instance}`, `skerry-${instance}-containerd`])
        await eventually(() => removeTree(path.join("/sys/fs/cgroup", hierarchy, name)), { what: "cgroups to empty" });
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#init) await this.boot();
    await super[Symbol.asyncDispose]();
    await this.powerCut().catch(() => {}); // its network is gone with its data
    await rm(this.#caseDir, { recursive: true, force: true });
  }
}

async function removeTree(folder: string): Promise<true> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(path.join(folder, entry.name));
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
  });
  return true;
}
