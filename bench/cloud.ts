import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import https from "node:https";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { daemonCommand, daemonEnvironment } from "../packages/cli/src/instance/daemon-command.ts";
import { layoutOf } from "../packages/cli/src/instance/layout.ts";
import { ensureSettings } from "../packages/cli/src/instance/settings.ts";

export const API_PORT = 36_443;
export const LINK_PORT = 30_000;

/** A folder for one benchmark, on a real disk if not said otherwise: in memory a flush costs nothing, and the figures would say nothing. */
export async function benchFolder(place = "/var/tmp"): Promise<AsyncDisposable & { path: string }> {
  const folder = await mkdtemp(path.join(place, "skerry-bench-"));
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** `skerry cloud` in a folder, as users run it: a process of its own. */
export class Cloud {
  readonly startMs: number;
  readonly #child: ChildProcess;
  readonly #dir: string;

  private constructor(child: ChildProcess, startMs: number, dir: string) {
    this.#child = child;
    this.startMs = startMs;
    this.#dir = dir;
  }

  static async start(dir: string, { clusterCidr = "10.42.0.0/16" } = {}): Promise<Cloud> {
    const layout = layoutOf(dir);
    const request = {
      roles: ["cloud"],
      sample: false,
      apiPort: API_PORT,
      linkPort: LINK_PORT,
      clusterCidr,
    } as const;
    const instance = { layout, settings: await ensureSettings(layout, request) };
    const [command = "", ...args] = daemonCommand(instance, "cloud");
    const started = performance.now();
    const child = spawn(command, args, {
      stdio: ["ignore", "ignore", "inherit"],
      env: daemonEnvironment(instance, "cloud"),
    });
    process.once("exit", () => child.kill("SIGKILL")); // a benchmark that fails leaves nothing behind
    for (;;) {
      if (child.exitCode !== null) throw new Error("The cloud ended as soon as it was started");
      if (await isReady()) return new Cloud(child, performance.now() - started, dir);
      await setTimeout(5);
    }
  }

  /** Resident memory now, in MB of 10^6 bytes. */
  async rssMb(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, "utf8");
    return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
    await rm(path.join(this.#dir, "run"), { recursive: true, force: true });
  }
}

const isReady = (): Promise<boolean> =>
  new Promise((resolve) => {
    const request = https.get(`https://127.0.0.1:${API_PORT}/readyz`, { rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
  });
