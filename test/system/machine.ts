import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { kubectlPath, type KubectlVersion } from "../../tools/kubectl/kubectl.ts";

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, "../..");

/** What a command printed, and how it ended. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  timeoutMs?: number;
  input?: string;
  /** Beside what every command here gets. */
  env?: NodeJS.ProcessEnv;
}

export interface KubectlOptions extends CommandOptions {
  version?: KubectlVersion;
  /** A file; the administrator's when absent. */
  kubeconfig?: string;
}

/**
 * A machine of its own for one test, as far as Skerry can tell: a network namespace, and a data folder that holds everything of the instance.
 * Disposing it removes both, whatever the test left running.
 */
export class Machine implements AsyncDisposable {
  readonly dataDir: string;
  /** The network namespace's name, as `ip netns` knows it. */
  readonly netns: string;
  readonly #mountsBefore: string[];

  protected constructor(dataDir: string, netns: string, mountsBefore: string[]) {
    this.dataDir = dataDir;
    this.netns = netns;
    this.#mountsBefore = mountsBefore;
  }

  /** What a command is put behind to run on this machine. nsenter, not `ip netns exec`: the latter would give each command mounts of its own. */
  protected get enter(): readonly string[] {
    return ["nsenter", `--net=/run/netns/${this.netns}`, "--"];
  }

  static async create(): Promise<Machine> {
    const netns = `skt-${randomBytes(4).toString("hex")}`;
    await run("ip", ["netns", "add", netns]);
    await run("ip", ["-n", netns, "link", "set", "lo", "up"]);
    // Short: sockets below it must fit into a socket address.
    const dataDir = await mkdtemp("/tmp/skt-");
    return new Machine(dataDir, netns, await mounts());
  }

  /** Runs a command on this machine. */
  async exec(
    command: string,
    args: readonly string[],
    { timeoutMs = 180_000, input, env }: CommandOptions = {},
  ): Promise<Outcome> {
    const [first = "", ...rest] = [...this.enter, command, ...args];
    const child = run(first, rest, {
      cwd: ROOT,
      timeout: timeoutMs,
      maxBuffer: 64 << 20,
      env: { ...this.env, ...env },
    });
    child.child.stdin?.end(input);
    try {
      const { stdout, stderr } = await child;
      return { code: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
      if (typeof code !== "number") throw error;
      return { code, stdout, stderr };
    }
  }

  get env(): NodeJS.ProcessEnv {
    const { SKERRY_DATA_DIR: _, KUBECONFIG: __, ...rest } = process.env;
    return { ...rest, SKERRY_DATA_DIR: this.dataDir, HOME: this.dataDir };
  }

  /** `./skerry` on this instance; fails the test when it fails, with what it said. */
  async skerry(...args: string[]): Promise<string> {
    return must(`skerry ${args.join(" ")}`, await this.exec("./skerry", args));
  }

  /** A real kubectl on this instance; fails the test when it fails. */
  async kubectl(...args: string[]): Promise<string> {
    return must(`kubectl ${args.join(" ")}`, await this.kubectlOutcome(args));
  }

  /** A real kubectl, whatever becomes of it. */
  async kubectlOutcome(
    args: readonly string[],
    { version = "1.35", kubeconfig = this.kubeconfig, ...options }: KubectlOptions = {},
  ): Promise<Outcome> {
    return this.exec(kubectlPath(version), ["--kubeconfig", kubeconfig, ...args], options);
  }

  /**
   * Runs a command that has no end of its own until what it printed is enough, and ends it then; rejects when that takes too long, or when it ends by
   * itself before.
   */
  async follow(
    command: string,
    args: readonly string[],
    isEnough: (stdout: string) => boolean,
    { timeoutMs = 30_000 }: { timeoutMs?: number } = {},
  ): Promise<string> {
    const [first = "", ...rest] = [...this.enter, command, ...args];
    const child = spawn(first, rest, { cwd: ROOT, env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    try {
      for await (const chunk of child.stdout) {
        stdout += String(chunk);
        if (isEnough(stdout)) return stdout;
      }
    } finally {
      clearTimeout(timer);
      child.kill("SIGKILL");
    }
    throw new Error(`${command} ${args.join(" ")} did not print what was waited for:\n${stdout}${stderr}`);
  }

  /** The administrator's. */
  get kubeconfig(): string {
    return path.join(this.dataDir, "etc/kubeconfig");
  }

  /** An object as JSON, through kubectl. */
  async get<T = any>(...args: string[]): Promise<T> {
    return JSON.parse(await this.kubectl("get", ...args, "-o", "json")) as T;
  }

  /** What is left of the instance on the machine besides its data: for showing that `down -v` leaves nothing. */
  async leftovers(): Promise<{ mounts: string[]; processes: string[]; links: string[]; rules: string[] }> {
    const links = JSON.parse((await this.exec("ip", ["-json", "link"])).stdout) as { ifname: string }[];
    const rules = (await this.exec("iptables-save", [])).stdout.split("\n").filter((line) => line.startsWith("-A"));
    return {
      mounts: (await mounts()).filter((mount) => mount.includes(this.dataDir) && !this.#mountsBefore.includes(mount)),
      processes: await processesNaming(this.dataDir),
      links: links.map((link) => link.ifname).filter((name) => name !== "lo"),
      rules,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.exec("./skerry", ["down", "-v"]).catch(() => {});
    for (const line of await processesNaming(this.dataDir)) {
      try {
        process.kill(Number(line.split(" ")[0]), "SIGKILL");
      } catch {
        // Ended meanwhile.
      }
    }
    for (const mount of (await mounts()).filter((each) => each.startsWith(this.dataDir)).toReversed()) {
      await run("umount", ["-l", mount]).catch(() => {});
    }
    await run("ip", ["netns", "del", this.netns]).catch(() => {});
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

function must(what: string, { code, stdout, stderr }: Outcome): string {
  if (code !== 0) throw new Error(`${what} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

const mounts = async (): Promise<string[]> =>
  (await readFile("/proc/self/mounts", "utf8")).split("\n").flatMap((line) => line.split(" ")[1] ?? []);

/** Processes whose command line names a folder: `PID command…`. */
async function processesNaming(dir: string): Promise<string[]> {
  const { stdout } = await run("ps", ["-eo", "pid=,args="]);
  return stdout
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.includes(dir) && !line.includes("ps -eo") && Number(line.split(" ")[0]) !== process.pid);
}
