import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { inNetworkNamespace, runCommand, type RunCommand } from "@skerry/base";
import { PrivateContainerd, type PrivateContainerdOptions } from "../src/containerd/private-containerd.ts";
import { mountsBelow } from "../src/containerd/leftovers.ts";
import { containerdPaths, type ContainerdPaths } from "../src/containerd/paths.ts";

/**
 * A place on this machine where one edge can run real containers and disturb nobody: a data folder and a network namespace of
 * its own. Disposing of it ends and removes everything, whatever state it is in.
 */
export class EdgeSandbox implements AsyncDisposable {
  readonly instance: string;
  readonly dir: string;
  /** The network namespace, as a file for `nsenter --net=`. */
  readonly networkNamespace: string;
  /** Runs a command inside the network namespace. */
  readonly run: RunCommand;
  readonly #opened: PrivateContainerd[] = [];
  readonly #socketsSeen = new Set<string>();

  private constructor(dir: string) {
    this.dir = dir;
    this.instance = `t${randomBytes(4).toString("hex")}`;
    this.networkNamespace = path.join(dir, "netns");
    this.run = inNetworkNamespace(this.networkNamespace);
  }

  static async create(): Promise<EdgeSandbox> {
    const sandbox = new EdgeSandbox(await mkdtemp(path.join(tmpdir(), "skerry-e2e-")));
    await writeFile(sandbox.networkNamespace, "");
    await runCommand("unshare", [`--net=${sandbox.networkNamespace}`, "true"]);
    await sandbox.run("ip", ["link", "set", "lo", "up"]);
    return sandbox;
  }

  /** What a `PrivateContainerd` of this place is made with. */
  get options(): PrivateContainerdOptions {
    return {
      instance: this.instance,
      dataDir: path.join(this.dir, "edge"),
      runDir: path.join(this.dir, "run"),
      logDir: path.join(this.dir, "log"),
      networkNamespace: this.networkNamespace,
      run: this.run,
    };
  }

  get #paths(): ContainerdPaths {
    return containerdPaths(this.options);
  }

  /** Put before a command, runs it in this place's network namespace. */
  get prefix(): string[] {
    return ["nsenter", `--net=${this.networkNamespace}`, "--"];
  }

  /** Opens this place's containerd, as an agent does at its start; call `start()` on it. */
  open(): PrivateContainerd {
    const opened = new PrivateContainerd(this.options);
    this.#opened.push(opened);
    return opened;
  }

  /** Opens another place's containerd in this place's network, as two instances on one machine. */
  openBeside(other: EdgeSandbox): PrivateContainerd {
    const opened = new PrivateContainerd({
      ...other.options,
      networkNamespace: this.networkNamespace,
      run: this.run,
    });
    this.#opened.push(opened);
    return opened;
  }

  /**
   * What a power cut leaves: processes, mounts, network and everything under the run folder are gone; images and containerd's
   * own notes are kept.
   */
  async powerCut(): Promise<void> {
    for (const opened of this.#opened.splice(0)) await opened[Symbol.asyncDispose]();
    const dead = new PrivateContainerd(this.options);
    await dead.supervisor.shutdown();
    await dead.remove({ data: false }, AbortSignal.timeout(60_000));
    await dead[Symbol.asyncDispose]();
    await rm(this.options.runDir, { recursive: true, force: true });
    for (const table of ["nat", "filter"]) {
      await this.run("iptables", ["-t", table, "-F"]);
      await this.run("iptables", ["-t", table, "-X"]);
    }
  }

  /** What of this place is outside its folder, or mounted or running, in words; empty when nothing is. */
  async traces(): Promise<string[]> {
    const found: string[] = [];
    for (const point of await mountsBelow(this.dir)) if (point !== this.networkNamespace) found.push(`mount ${point}`);
    const { ino } = await stat(this.networkNamespace);
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      const netns = await readlink(`/proc/${pid}/ns/net`).catch(() => "");
      if (command.includes(this.dir) || netns === `net:[${ino}]`) found.push(`process ${pid} ${command}`);
    }
    const links = JSON.parse(await this.run("ip", ["-json", "link", "show"])) as { ifname: string }[];
    for (const { ifname } of links) if (!LINKS_OF_AN_EMPTY_NAMESPACE.test(ifname)) found.push(`link ${ifname}`);
    for (const table of ["nat", "filter"]) {
      const rules = await this.run("iptables", ["-t", table, "-S"]);
      for (const line of rules.split("\n")) if (!/^(-P |$)/.test(line)) found.push(`rule ${line}`);
    }
    for (const name of await readdir("/var/lib/cni/results").catch(() => [] as string[]))
      if (name.includes(this.instance)) found.push(`CNI result ${name}`);
    for (const hierarchy of await readdir("/sys/fs/cgroup"))
      for (const name of await readdir(`/sys/fs/cgroup/${hierarchy}`).catch(() => [] as string[]))
        if (name.includes(this.instance)) found.push(`cgroup ${hierarchy}/${name}`);
    for (const socket of await this.#shimSockets()) found.push(`shim socket ${socket}`);
    return found;
  }

  /** Sockets of shims lie in one folder for all; ours are those that a bundle of ours has named. */
  async #shimSockets(): Promise<string[]> {
    const tasks = path.join(this.#paths.stateDir, "io.containerd.runtime.v2.task", "k8s.io");
    for (const id of await readdir(tasks).catch(() => [] as string[])) {
      const address = await readFile(path.join(tasks, id, "address"), "utf8").catch(() => "");
      if (address !== "") this.#socketsSeen.add(address.trim().replace("unix://", ""));
    }
    return [...this.#socketsSeen].filter((socket) => existsSync(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(this.dir, { recursive: true, force: true }));
    stack.defer(async () => void (await runCommand("umount", [this.networkNamespace])));
    for (const opened of this.#opened.splice(0)) await opened[Symbol.asyncDispose]();
    const last = new PrivateContainerd(this.options);
    stack.use(last);
    await last.remove({ data: true }, AbortSignal.timeout(60_000));
  }
}

/** Tunnels that some kernels put into every new namespace. */
const LINKS_OF_AN_EMPTY_NAMESPACE = /^(lo|ifb\d+|tunl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|sit0|ip6tnl0|ip6gre0)$/;
