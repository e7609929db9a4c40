import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import {
  runCommand,
  silentLogger,
  systemClock,
  writeFileAtomic,
  type Clock,
  type Logger,
  type RunCommand,
} from "@skerry/base";
import { builtinImages, DEBIAN_STATIC_PROGRAMS, PAUSE_IMAGE, type StaticPrograms } from "../images/builtin-images.ts";
import { ContainerdImages } from "../images/containerd-images.ts";
import { PodNetwork } from "../network/pod-network.ts";
import { CriRuntime } from "../runtime/cri/cri-runtime.ts";
import { GrpcClient } from "../runtime/cri/grpc-client.ts";
import type { EndByForce } from "../runtime/runtime.ts";
import {
  cgroupSetup,
  containerdCgroup,
  mayLowerOomScore,
  podsCgroup,
  podsSlice,
  removeCgroupTree,
  removeSlice,
} from "./cgroups.ts";
import { containerdConfig } from "./config.ts";
import {
  endShim,
  ageMs,
  forgetEarlierBoot,
  helpersEnded,
  isIdle,
  isInhabited,
  livingTasks,
  namespacesOf,
  removeLeftovers,
  removeNamespace,
  shimsOf,
  type Shim,
} from "./leftovers.ts";
import { sessionLauncher, unitLauncher, type Launcher } from "./launcher.ts";
import { containerdPaths, type ContainerdPaths, type InstancePlace } from "./paths.ts";
import { containerdRecords, StrayShims, type HasRecord } from "./stray-shims.ts";
import { ContainerdSupervisor, type ContainerdLaunch } from "./supervisor.ts";
import { endTask } from "./tasks.ts";
import { findContainerTools, snapshotterFor } from "./tools.ts";

export interface PrivateContainerdOptions extends InstancePlace {
  /** The systemd unit that containerd runs as; without, it gets a session of its own. */
  unit?: string | undefined;
  /** A network namespace, as a file, in which containerd and the pods' network live instead of the machine's. */
  networkNamespace?: string;
  /** Added to containerd's environment: proxies for pulling. */
  env?: Readonly<Record<string, string>>;
  /** A folder of `<host>/hosts.toml` files that say how registries are reached. */
  registriesDir?: string;
  programs?: StaticPrograms;
  /** Runs `ip` and `iptables`. */
  run?: RunCommand;
  clock?: Clock;
  log?: Logger;
}

/** What the kernel calls this boot of the machine (random(4)). */
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** How many pods are taken down at once. */
const REMOVALS = 4;
const REMOVAL_TRIES = 5;
/** How old a shim is before it is asked whose it is. */
const STRAY_SHIM_MS = 60_000;

/**
 * The containers of one edge: a containerd that is nobody else's, the `Runtime` and the image store on it, and the network
 * of its pods. It lives on when this object is disposed of.
 */
export class PrivateContainerd implements AsyncDisposable {
  readonly paths: ContainerdPaths;
  readonly runtime: CriRuntime;
  readonly images: ContainerdImages;
  readonly network: PodNetwork;
  readonly supervisor: ContainerdSupervisor;
  readonly endByForce: EndByForce;
  readonly #options: PrivateContainerdOptions;
  readonly #client: GrpcClient;
  readonly #launcher: Launcher;
  /** For ourselves, also while a containerd that was just started is closed to others. */
  readonly #cri: CriRuntime;
  readonly #hasRecord: HasRecord;
  readonly #strayShims: StrayShims;
  #forgotten: Promise<void> | undefined;
  /** What sandboxes held when the last containerd had ended and the next was not yet started. */
  #held: { sandboxes: Set<string>; namespaces: string[]; shims: Shim[] } | undefined;

  constructor(options: PrivateContainerdOptions) {
    const { instance, networkNamespace, unit, env = {}, clock = systemClock, log = silentLogger } = options;
    this.#options = options;
    const paths = (this.paths = containerdPaths(options));
    const client = (this.#client = new GrpcClient({ socketPath: paths.socket, clock }));
    const launcher = (this.#launcher =
      unit === undefined ? sessionLauncher(containerdCgroup(instance)) : unitLauncher(unit));
    this.supervisor = new ContainerdSupervisor({
      paths,
      client,
      launch: async () => {
        await this.#forgetEarlierBoot();
        return await containerdLaunch(paths, options);
      },
      beforeStart: (signal) => this.#noteHolders(signal),
      misses: (signal) => this.#missed(signal),
      afterStart: (signal) => this.#releaseOrphans(signal),
      whileServing: (signal) => this.clearStrays(STRAY_SHIM_MS, signal),
      launcher,
      wrapper: networkNamespace === undefined ? [] : ["nsenter", `--net=${networkNamespace}`, "--"],
      env,
      clock,
      log,
    });
    const whyUnavailable = (): string | undefined => this.supervisor.problem;
    const whyClosed = (): string | undefined => this.supervisor.whyClosed;
    this.runtime = new CriRuntime({ client, instance, whyUnavailable, whyClosed, clock });
    this.#cri = new CriRuntime({ client, instance, clock });
    this.#hasRecord = containerdRecords(client);
    this.#strayShims = new StrayShims({
      server: () => this.supervisor.process,
      shims: () => shimsOf(paths),
      ageMs,
      listed: async (signal) => new Set((await this.#cri.listSandboxes(signal)).map(({ id }) => id)),
      hasRecord: this.#hasRecord,
    });
    const workDir = path.join(path.dirname(paths.rootDir), "import");
    this.endByForce = {
      // Containerd cannot when a sandbox's shim stands still. It takes the shim's end for that of all that was in it.
      sandbox: async (id) => {
        for (const shim of await shimsOf(paths)) if (shim.sandboxId === id) await endShim(paths, shim);
      },
      container: (id, signal) => endTask(client, id, { clock, signal }),
    };
    this.images = new ContainerdImages({ client, workDir, machine: process.arch, clock });
    this.network = new PodNetwork({
      instance,
      confDir: paths.cniConfDir,
      ipamDir: paths.ipamDir,
      run: options.run ?? runCommand,
    });
  }

  /** Begins to keep containerd running. */
  start(): void {
    this.supervisor.start();
  }

  /** Makes the pods' network with the node's block of addresses; see `PodNetwork.setUp`. */
  async setUpNetwork(podCidr: string, signal: AbortSignal): Promise<void> {
    await this.#forgetEarlierBoot();
    await this.network.setUp(podCidr, signal);
  }

  /** Makes and imports the images that every edge has, unless they are there; resolves with the names of those it made. */
  async ensureBuiltinImages(signal: AbortSignal): Promise<string[]> {
    const { programs = DEBIAN_STATIC_PROGRAMS } = this.#options;
    return await this.images.ensure(await builtinImages(process.arch, programs), signal);
  }

  /** Stops and removes every pod, its containers after at most `graceSeconds`. */
  async removePods(graceSeconds: number, signal: AbortSignal): Promise<void> {
    const containers = await this.runtime.listContainers(signal);
    const running = containers.filter(({ state }) => state === "running");
    await Promise.all(running.map(({ id }) => this.runtime.stopContainer(id, graceSeconds, signal)));
    const sandboxes = await this.runtime.listSandboxes(signal);
    const next = sandboxes.values();
    const work = async (): Promise<void> => {
      for (const { id } of next) await this.#removeSandbox(id, signal);
    };
    await Promise.all(Array.from({ length: REMOVALS }, work));
  }

  /**
   * Clears away what containerd forgets when a call is given up, or itself killed, at the wrong moment: shims that are strays
   * and older than `minAgeMs`, with all that they hold; and rules for addresses that nobody holds.
   * Done from time to time while containerd serves.
   */
  async clearStrays(minAgeMs: number, signal: AbortSignal): Promise<void> {
    const { log = silentLogger } = this.#options;
    for (const shim of await this.#strayShims.look(minAgeMs, signal)) {
      log.warn({ sandbox: shim.sandboxId, pid: shim.pid }, "ending a shim that nobody knows");
      await endShim(this.paths, shim);
    }
    await this.network.release({ vanished: new Set() }, signal);
  }

  /** Tries again a few times: containerd refuses what it is just starting. */
  async #removeSandbox(id: string, signal: AbortSignal): Promise<void> {
    const { clock = systemClock } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        await this.runtime.stopSandbox(id, signal);
        return await this.runtime.removeSandbox(id, signal);
      } catch (error) {
        if (signal.aborted || tries === REMOVAL_TRIES) throw error;
      }
      await clock.sleep(tries * 200, signal);
    }
  }

  /**
   * Ends containerd and removes what is left of pods, and their network. Images stay, unless `data` says that they go too.
   * To be called with the pods removed; those that are left are ended all the same.
   */
  async remove({ data }: { data: boolean }, signal: AbortSignal): Promise<void> {
    await this.supervisor.shutdown();
    await removeLeftovers(this.paths);
    await this.network.remove(signal);
    const { instance } = this.#options;
    for (const name of [containerdCgroup(instance), podsCgroup(instance)]) await removeCgroupTree(name);
    if ((await cgroupSetup()).driver === "systemd") await removeSlice(podsSlice(instance), { signal });
    await rm(path.dirname(this.paths.socket), { recursive: true, force: true });
    await rm(path.dirname(this.paths.stateDir), { recursive: true, force: true });
    if (data) await rm(path.dirname(this.paths.rootDir), { recursive: true, force: true });
  }

  /** Ends looking after containerd, and the connection to it. Containerd and the pods go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.supervisor[Symbol.asyncDispose]();
    await this.#client[Symbol.asyncDispose]();
  }

  /** The sandboxes and containers whose first process lives in a shim, and which CRI does not call ready or running. */
  async #missed(signal: AbortSignal): Promise<string[]> {
    const living = await livingTasks(this.paths);
    const sandboxes = await this.#cri.listSandboxes(signal);
    const containers = await this.#cri.listContainers(signal);
    const known = new Set<string>();
    for (const { id, ready } of sandboxes) if (ready) known.add(id);
    for (const { id, state } of containers) if (state === "running") known.add(id);
    if (living.every((id) => known.has(id))) return [];
    // One that has ended meanwhile is not missed.
    return (await livingTasks(this.paths)).filter((id) => living.includes(id) && !known.has(id));
  }

  async #noteHolders(signal: AbortSignal): Promise<void> {
    const { clock = systemClock } = this.#options;
    await helpersEnded(this.paths, this.#launcher.cgroup, clock);
    this.#held = {
      sandboxes: await this.network.holders(signal),
      namespaces: await namespacesOf(this.paths),
      shims: await shimsOf(this.paths),
    };
  }

  /**
   * A containerd that is killed while it makes a sandbox has given it a namespace, an address, host ports or a shim already,
   * and noted nothing. Whatever was held when it ended, and its successor neither lists a sandbox nor has a record for, is freed.
   */
  async #releaseOrphans(signal: AbortSignal): Promise<void> {
    if (!this.#held) return;
    const { sandboxes, namespaces, shims } = this.#held;
    const { log = silentLogger } = this.#options;
    const known = new Set<string>();
    const ready = new Set<string>();
    for (const sandbox of await this.#cri.listSandboxes(signal)) {
      known.add(sandbox.id);
      known.add((await this.#cri.sandboxStatus(sandbox.id, signal)).netns);
      if (sandbox.ready) ready.add(sandbox.id);
    }
    // A sandbox that CRI could not load in time is not listed, and lives: nothing of it is touched.
    const unlisted = sandboxes.union(new Set(shims.map(({ sandboxId }) => sandboxId))).difference(known);
    for (const id of unlisted) {
      if (!(await this.#hasRecord(id, signal))) continue;
      known.add(id);
      ready.add(id);
    }
    for (const shim of shims) {
      // One that was started and then given nothing to hold is not ended with its sandbox either.
      const isOrphan = !known.has(shim.sandboxId) || (!ready.has(shim.sandboxId) && (await isIdle(shim)));
      if (!isOrphan) continue;
      log.warn({ sandbox: shim.sandboxId, pid: shim.pid }, "ending the shim of a sandbox that was never finished");
      await endShim(this.paths, shim);
    }
    const broken = known.difference(ready);
    await this.network.release({ vanished: sandboxes.difference(known), broken }, signal);
    for (const file of namespaces) if (!known.has(file) && !(await isInhabited(file))) await removeNamespace(file);
    this.#held = undefined;
  }

  /** Before containerd starts and before the network is made: once, for both write where an earlier boot's files are. */
  #forgetEarlierBoot(): Promise<void> {
    this.#forgotten ??= rememberBoot(this.paths).catch((error: unknown) => {
      this.#forgotten = undefined;
      throw error;
    });
    return this.#forgotten;
  }
}

async function rememberBoot(paths: ContainerdPaths): Promise<void> {
  const bootId = (await readFile(BOOT_ID, "utf8")).trim();
  await forgetEarlierBoot(paths, bootId);
  await mkdir(path.dirname(paths.bootIdFile), { recursive: true, mode: 0o711 });
  await writeFileAtomic(paths.bootIdFile, `${bootId}\n`);
}

/** Looks at the machine and says what to run. */
async function containerdLaunch(
  paths: ContainerdPaths,
  { registriesDir }: Pick<PrivateContainerdOptions, "registriesDir">,
): Promise<ContainerdLaunch> {
  const tools = await findContainerTools();
  await mkdir(paths.rootDir, { recursive: true, mode: 0o711 });
  const config = containerdConfig({
    paths,
    cniBinDir: tools.cniBinDir,
    sandboxImage: PAUSE_IMAGE,
    cgroupDriver: (await cgroupSetup()).driver,
    mayLowerOomScore: await mayLowerOomScore(),
    snapshotter: await snapshotterFor(paths.rootDir),
    registriesDir,
  });
  return { binary: tools.containerd, config };
}
