import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import {
  backoff,
  isMissingFile,
  readPidFile,
  rotateLogFile,
  signalProcess,
  silentLogger,
  startTimeOf,
  stopDaemon,
  stopProcess,
  systemClock,
  waitForExit,
  writeFileAtomic,
  writePidFile,
  type Clock,
  type Logger,
  type ProcessId,
} from "@skerry/base";
import type { GrpcClient } from "../runtime/cri/grpc-client.ts";
import { isGrpcError } from "../runtime/cri/grpc-error.ts";
import { findProcesses, hasOption } from "./find-process.ts";
import { lastComplaint } from "./complaint.ts";
import { childrenOf } from "./leftovers.ts";
import type { Launcher } from "./launcher.ts";
import { withPatience } from "./patience.ts";
import type { ContainerdPaths } from "./paths.ts";
import { SEARCH_PATH } from "./tools.ts";

/** What is to run, worked out anew before each start, so that a machine on which something was mended is noticed. */
export interface ContainerdLaunch {
  binary: string;
  /** The content of its configuration file. */
  config: string;
}

export interface SupervisorOptions {
  paths: ContainerdPaths;
  /** Fails when containerd cannot be started here, in words for the user. */
  launch(): Promise<ContainerdLaunch>;
  /** Called when none runs and one is about to be started. */
  beforeStart?(signal: AbortSignal): Promise<void>;
  /**
   * Asked when one that was started serves: what it should know and does not, such as a pod that it could not reach in time.
   * It is then started again, a few times.
   */
  misses?(signal: AbortSignal): Promise<string[]>;
  /** Called when one that was started serves, before that is told to anybody. A failure is logged, and in nobody's way. */
  afterStart?(signal: AbortSignal): Promise<void>;
  /** Called from time to time while it serves. A failure is logged. */
  whileServing?(signal: AbortSignal): Promise<void>;
  /** A connection to its socket, for asking whether it serves. */
  client: GrpcClient;
  launcher: Launcher;
  /** What the command is put behind: `["nsenter", "--net=…"]` runs it in another network namespace. It must end in an exec. */
  wrapper?: readonly string[];
  /** Added to its environment: proxies for pulling images. One that runs with others is started again. */
  env?: Readonly<Record<string, string>>;
  clock?: Clock;
  log?: Logger;
}

/** How often its life is looked at; its death is to be mended within 2 s. */
const WATCH_MS = 250;
/** How often it is asked whether it serves, how long it may take while we run, and how many failures in a row make it hung. */
const HEALTH_MS = 10_000;
const HEALTH_TIMEOUT_MS = 10_000;
const HEALTH_FAILURES = 3;
const TIDY_MS = 60_000;
/** How long a start may take: its database is on a slow card, with hundreds of containers, and it waits for each late shim. */
const START_TIMEOUT_MS = 5 * 60_000;
/** How often in a row it is started again for what it misses; after that it is taken as it is. */
const MISSES_MAX = 3;
/** One that served so long is started again without a wait. */
const STEADY_MS = 1_000;
const STOP_GRACE_MS = 10_000;

const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

const CRI_PLUGIN = "io.containerd.grpc.v1.cri";

/** Answers as soon as the CRI service has taken stock of its pods; an empty request is a valid one. */
const STATUS_METHOD = "/runtime.v1.RuntimeService/Status";

/**
 * Keeps a private containerd running: as a unit, or in a session and cgroup, of its own, so that it and the pods outlive this process;
 * adopted when it runs already; started again when it dies or hangs. Pods do not notice: their shims hold them.
 */
export class ContainerdSupervisor implements AsyncDisposable {
  readonly #options: SupervisorOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;
  #serving = Promise.withResolvers<void>();
  #isServing = false;
  #problem: string | undefined = "containerd is not started yet";
  #process: ProcessId | undefined;
  #starts = 0;
  #isFresh = false;
  #missedInARow = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
  }

  /** Begins to keep it running. What stands in the way is told by `problem`, and tried again. */
  start(): void {
    this.#loop ??= this.#run();
  }

  /** Why it does not serve, in words for the user; undefined while it does. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Why what was started is not to be asked yet, though it may answer: it may not know all pods. */
  get whyClosed(): string | undefined {
    return this.#isFresh && !this.#isServing ? this.#problem : undefined;
  }

  /** The containerd that is looked after; undefined while there is none. */
  get process(): ProcessId | undefined {
    return this.#process;
  }

  /** How often it was started, an adoption not counted. */
  get starts(): number {
    return this.#starts;
  }

  /** Resolves as soon as it serves. */
  async whenServing(signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    either.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(either.reason as Error);
    either.addEventListener("abort", onAbort, { once: true });
    try {
      while (!this.#isServing) await Promise.race([this.#serving.promise, aborted.promise]);
    } finally {
      either.removeEventListener("abort", onAbort);
    }
  }

  /** Whether a containerd of this configuration runs, whoever started it. */
  async isRunning(): Promise<boolean> {
    return (await this.#findRunning()).length > 0;
  }

  /** Stops looking after it. It goes on: the next agent adopts it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The supervisor of containerd is closed"));
    await this.#loop;
  }

  /** Stops looking after it and ends it. Pods go on until they are stopped, which takes a containerd. */
  async shutdown(): Promise<void> {
    await this[Symbol.asyncDispose]();
    const { paths, launcher } = this.#options;
    // Found as they run, with no pid file written first: a full disk, which is what may be wrong, has no room for one.
    await Promise.all((await this.#findRunning()).map((id) => stopProcess(id, { graceMs: STOP_GRACE_MS })));
    for (const id of await this.#findRunning()) await signalProcess(id, "SIGKILL");
    await rm(paths.pidFile, { force: true });
    await launcher.clear();
    await rm(paths.socket, { force: true });
    await rm(`${paths.socket}.ttrpc`, { force: true });
    this.#process = undefined;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const newWaits = (): Generator<number, never> => backoff({ initialMs: 500, maxMs: 10_000, jitter: "none" });
    let waits = newWaits();
    while (!signal.aborted) {
      let servedMs = 0;
      try {
        this.#process = await this.#ensureRunning();
        await this.#waitUntilServing();
        if (this.#isFresh) await this.#checkMissed();
        if (this.#isFresh) await this.#tidy((signal) => this.#options.afterStart?.(signal));
        this.#nowServing();
        const since = this.#clock.monotonic();
        await this.#watch();
        servedMs = this.#clock.monotonic() - since;
        this.#notServing("containerd ended and is being started again");
        this.#log.warn({ pid: this.#process?.pid }, "containerd ended");
      } catch (error) {
        if (signal.aborted) return;
        this.#notServing((error as Error).message);
        this.#log.error({ err: error }, "containerd does not serve");
      }
      // Whoever served is started again at once; waits grow only for one that cannot be made to serve.
      if (servedMs > 0) waits = newWaits();
      const wait = servedMs >= STEADY_MS ? 0 : waits.next().value;
      await this.#clock.sleep(wait, signal).catch(() => {}); // aborted: the loop ends
    }
  }

  #nowServing(): void {
    this.#problem = undefined;
    this.#isServing = true;
    this.#serving.resolve();
    this.#log.info({ pid: this.#process?.pid, starts: this.#starts }, "containerd serves");
  }

  #notServing(problem: string): void {
    this.#problem = problem;
    if (!this.#isServing) return;
    this.#isServing = false;
    this.#serving = Promise.withResolvers<void>();
  }

  async #ensureRunning(): Promise<ProcessId> {
    const { paths } = this.#options;
    const { binary, config } = await this.#options.launch();
    const running = await this.#adoptable();
    const isCurrent = (await readIfThere(paths.configFile)) === config;
    this.#isFresh = false;
    if (running && isCurrent && (await this.#hasOurEnvironment(running))) {
      this.#log.info({ pid: running.pid }, "adopting containerd");
      return running;
    }
    for (const dir of [paths.configFile, paths.socket].map((file) => path.dirname(file)))
      await mkdir(dir, { recursive: true, mode: 0o711 });
    if (!isCurrent) await writeFileAtomic(paths.configFile, config);
    if (running) {
      this.#log.info({ pid: running.pid }, "starting containerd again for its changed configuration");
      await stopDaemon(paths.pidFile, { graceMs: STOP_GRACE_MS });
    }
    await this.#options.beforeStart?.(this.#stop.signal);
    this.#isFresh = true;
    return await this.#launch(binary);
  }

  /** Whether it was started with the proxies that it should have. */
  async #hasOurEnvironment({ pid }: ProcessId): Promise<boolean> {
    const { env = {} } = this.#options;
    const its = (await readIfThere(`/proc/${pid}/environ`))?.split("\0") ?? [];
    return PROXY_VARIABLES.every(
      (name) => its.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) === env[name],
    );
  }

  /** Ends a containerd that does not know what runs, and fails: whoever believed it would make healthy pods anew. */
  async #checkMissed(): Promise<void> {
    let missed: string[] = [];
    await this.#tidy(async (signal) => void (missed = (await this.#options.misses?.(signal)) ?? []));
    if (missed.length === 0 || this.#missedInARow >= MISSES_MAX) {
      this.#missedInARow = 0;
      return;
    }
    this.#missedInARow++;
    await this.#kill();
    throw new Error(`containerd did not find again what runs, and is being started again: ${missed.join(", ")}`);
  }

  async #tidy(work: (signal: AbortSignal) => Promise<void> | undefined): Promise<void> {
    try {
      await work(this.#stop.signal);
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      this.#log.warn({ err: error }, "what containerd left could not be cleared away");
    }
  }

  async #launch(binary: string): Promise<ProcessId> {
    const { paths, wrapper = [], env = {}, launcher } = this.#options;
    const [command, ...args] = [...wrapper, binary, "--config", paths.configFile];
    const id = await launcher.launch({
      command,
      args,
      logFile: paths.logFile,
      pidFile: paths.pidFile,
      env: {
        PATH: SEARCH_PATH,
        HOME: "/root",
        // A small heap matters more on an edge device than the little processor time that keeping it small costs.
        GOGC: "30",
        GOMEMLIMIT: "48MiB",
        ...env,
      },
    });
    this.#starts++;
    return id;
  }

  /** The containerd that runs with our configuration already: its pid file may be lost, or older than it. */
  async #adoptable(): Promise<ProcessId | undefined> {
    const { pidFile } = this.#options.paths;
    const [running, ...others] = await this.#findRunning();
    if (!running) return undefined;
    // What it starts has its name and arguments until it becomes another program.
    const children = new Set((await childrenOf(running.pid)).map(({ pid }) => pid));
    // Two cannot serve: the second waits for the database's lock, holding nothing.
    for (const other of others) if (!children.has(other.pid)) await signalProcess(other, "SIGKILL");
    const recorded = await readPidFile(pidFile);
    if (recorded?.pid !== running.pid) await writePidFile(pidFile, running.pid);
    return { pid: running.pid, startTime: running.startTime };
  }

  async #findRunning(): Promise<ProcessId[]> {
    const { configFile } = this.#options.paths;
    const found = await findProcesses("containerd", (argv) => hasOption(argv, "--config", configFile));
    return found.toSorted((a, b) => Number(a.startTime) - Number(b.startTime));
  }

  async #waitUntilServing(): Promise<void> {
    const { paths, client } = this.#options;
    const { signal } = this.#stop;
    const deadline = this.#clock.monotonic() + START_TIMEOUT_MS;
    for (const wait of backoff({ initialMs: 20, maxMs: 500, factor: 1.3, jitter: "none" })) {
      try {
        await client.unary(STATUS_METHOD, new Uint8Array(), { signal, timeoutMs: HEALTH_TIMEOUT_MS });
        return;
      } catch (error) {
        signal.throwIfAborted();
        const lives = await this.#lives();
        const isDeaf = isGrpcError(error, "Unimplemented");
        const isLate = this.#clock.monotonic() >= deadline;
        if (lives && !isDeaf && !isLate) {
          await this.#clock.sleep(wait, signal);
          continue;
        }
        await this.#kill();
        const why = isLate
          ? `containerd does not answer at ${paths.socket}`
          : `containerd ${lives ? "has no CRI service" : "ended as soon as it was started"}`;
        const complaint = (await lastComplaint(paths.logFile, isDeaf ? CRI_PLUGIN : "")) || (error as Error).message;
        throw new Error(`${why}: ${complaint} (its log is ${paths.logFile})`, { cause: error });
      }
    }
  }

  /** Resolves when it has ended, or was ended because it hung. */
  async #watch(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#stop;
    let failures = 0;
    let nextHealth = this.#clock.monotonic() + HEALTH_MS;
    let nextTidy = this.#clock.monotonic() + TIDY_MS;
    for (;;) {
      await this.#clock.sleep(WATCH_MS, signal);
      if (!(await this.#lives())) return;
      if (this.#clock.monotonic() < nextHealth) continue;
      try {
        const ask = (signal: AbortSignal): Promise<unknown> =>
          client.unary(STATUS_METHOD, new Uint8Array(), { signal });
        await withPatience(ask, { ms: HEALTH_TIMEOUT_MS, clock: this.#clock, signal });
        failures = 0;
      } catch (error) {
        signal.throwIfAborted();
        if (++failures >= HEALTH_FAILURES) {
          this.#log.error({ err: error, failures }, "containerd hangs");
          await this.#kill();
          return;
        }
      }
      this.#rotateLog();
      if (this.#clock.monotonic() >= nextTidy) {
        await this.#tidy((stop) => this.#options.whileServing?.(stop));
        nextTidy = this.#clock.monotonic() + TIDY_MS;
      }
      nextHealth = this.#clock.monotonic() + HEALTH_MS;
    }
  }

  #rotateLog(): void {
    const { paths } = this.#options;
    try {
      rotateLogFile(paths.logFile);
    } catch (error) {
      this.#log.warn({ err: error, file: paths.logFile }, "the earlier part of containerd's log could not be kept");
    }
  }

  async #lives(): Promise<boolean> {
    const id = this.#process;
    return id !== undefined && (await startTimeOf(id.pid)) === id.startTime;
  }

  async #kill(): Promise<void> {
    const id = this.#process;
    if (!id) return;
    await signalProcess(id, "SIGKILL");
    await waitForExit(id, { timeoutMs: STOP_GRACE_MS, clock: this.#clock });
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}
