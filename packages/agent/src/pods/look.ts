import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { isMissingFile, type Clock } from "@skerry/base";
import type { Container as PodContainer, Pod } from "@skerry/machinery/types";
import { lastLines } from "../logs/tail.ts";
import type { Container, ContainerStatus, Runtime } from "../runtime/runtime.ts";
import type { PodCgroups } from "./cgroups.ts";
import { isSameVersion, VERSION_LABEL } from "./container-version.ts";
import { podResolvConf, type NodeDns } from "./dns.ts";
import { saysAlready } from "./mounted-file.ts";
import type { ObservedContainer, ObservedPod, ObservedSandbox } from "./observed.ts";
import { podDir, podLogDir, resolvConfFile, terminationFile, type PodPaths } from "./paths.ts";
import type { RuntimePod } from "./runtime-view.ts";

/** How much of a termination message is kept, and of the log that stands in for one ("Determine the Reason for Pod Failure"). */
const MAX_MESSAGE_BYTES = 4096;
const MAX_FALLBACK = { lines: 80, bytes: 2048 };

const OOM_KILLED = "OOMKilled";
/** 128 and the number of SIGKILL, which is how the kernel frees memory. */
const SIGKILL_EXIT_CODE = 137;
/**
 * A container that ends by SIGKILL later than that after a kill for memory went on without the process that was killed, and ended otherwise.
 * On a slow machine the runtime tells of the end twenty seconds after the kill.
 */
const OOM_TO_END_MS = 60_000;

/** Details of one container that do not change any more until its state does. */
interface Details {
  state: Container["state"];
  status: ContainerStatus;
  message: string;
  endSeenAt: number | undefined;
}

export interface LookerOptions {
  runtime: Runtime;
  clock: Clock;
  paths: PodPaths;
  /** Grows meanwhile; see `OomNotices`. */
  oomed: ReadonlySet<string>;
  cgroups: PodCgroups;
  /** The node's name servers, which may change. */
  nodeDns: () => NodeDns;
}

/** Looks at pods, and remembers what need not be asked twice: it forgets with what the runtime no longer lists. */
export class Looker {
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #paths: PodPaths;
  readonly #oomed: ReadonlySet<string>;
  readonly #cgroups: PodCgroups;
  readonly #nodeDns: () => NodeDns;
  readonly #details = new Map<string, Details>();
  readonly #ips = new Map<string, string[]>();
  /** Of each pod, how many kills for memory were seen, and when there were more than before. */
  readonly #oomKills = new Map<string, { count: number; noticedAt: number }>();

  constructor({ runtime, clock, paths, cgroups, nodeDns, oomed }: LookerOptions) {
    this.#runtime = runtime;
    this.#clock = clock;
    this.#paths = paths;
    this.#cgroups = cgroups;
    this.#nodeDns = nodeDns;
    this.#oomed = oomed;
  }

  /** Completes what the runtime lists of a pod. `prepared` is the caller's own knowledge. */
  async look(pod: Pod, listed: RuntimePod | undefined, prepared: boolean, signal: AbortSignal): Promise<ObservedPod> {
    const uid = pod.metadata.uid ?? "";
    await this.#noticeOomKills(uid);
    const sandboxes: ObservedSandbox[] = [];
    for (const { id, attempt, ready } of listed?.sandboxes ?? []) {
      sandboxes.push({ id, attempt, ready, ips: ready ? await this.#ipsOf(id, signal) : [] });
    }
    const containers: ObservedContainer[] = [];
    for (const container of listed?.containers ?? []) containers.push(await this.#complete(pod, container, signal));
    return {
      sandboxes,
      containers,
      images: await this.#images(pod, containers, signal),
      prepared,
      resolvConf: await saysAlready(resolvConfFile(this.#paths, uid), podResolvConf(pod, this.#nodeDns())),
      residue: existsSync(podDir(this.#paths, uid)),
      logs: existsSync(podLogDir(this.#paths, pod)),
      oomed: this.#oomed,
    };
  }

  /** Forgets what is not in the runtime's lists. */
  forgetAllBut(listed: ReadonlyMap<string, RuntimePod>): void {
    const ids = new Set<string>();
    for (const { sandboxes, containers } of listed.values())
      for (const { id } of [...sandboxes, ...containers]) ids.add(id);
    for (const id of this.#details.keys()) if (!ids.has(id)) this.#details.delete(id);
    for (const id of this.#ips.keys()) if (!ids.has(id)) this.#ips.delete(id);
  }

  /** Forgets a pod that is gone. */
  forgetPod(uid: string): void {
    this.#oomKills.delete(uid);
  }

  async #ipsOf(id: string, signal: AbortSignal): Promise<string[]> {
    const known = this.#ips.get(id);
    if (known) return known;
    const { ips } = await this.#runtime.sandboxStatus(id, signal);
    this.#ips.set(id, ips);
    return ips;
  }

  async #complete(pod: Pod, container: Container, signal: AbortSignal): Promise<ObservedContainer> {
    let details = this.#details.get(container.id);
    if (details?.state !== container.state) {
      details = await this.#detailsOf(pod, container, signal);
      this.#details.set(container.id, details);
    }
    const { status, message, endSeenAt } = details;
    const version = container.labels[VERSION_LABEL] ?? "";
    const spec = specOf(pod, container.name);
    return {
      id: container.id,
      name: container.name,
      attempt: container.attempt,
      sandboxId: container.sandboxId,
      state: status.state,
      version,
      // The runtime may know it by its id alone.
      image: spec && isSameVersion(version, spec) ? (spec.image ?? "") : container.image,
      imageId: container.imageRef,
      startedAtMs: milliseconds(status.startedAtNs),
      finishedAtMs: milliseconds(status.finishedAtNs),
      exitCode: status.exitCode,
      reason: status.reason,
      message,
      endSeenAt,
    };
  }

  async #detailsOf(pod: Pod, container: Container, signal: AbortSignal): Promise<Details> {
    const told = await this.#runtime.containerStatus(container.id, signal);
    if (told.state !== "exited") return { state: told.state, status: told, message: "", endSeenAt: undefined };
    const status = { ...told, reason: await this.#reasonOf(pod, told) };
    const spec = specOf(pod, container.name);
    const message = spec ? await this.#lastWords(pod, spec, status) : status.message;
    return { state: status.state, status, message, endSeenAt: this.#clock.monotonic() };
  }

  /**
   * The runtime's reason, unless the kernel knows better: the runtime learns of a kill for memory from the container's cgroup, which may be
   * gone before it gets to read it.
   */
  async #reasonOf(pod: Pod, { exitCode, reason }: ContainerStatus): Promise<string> {
    if (exitCode !== SIGKILL_EXIT_CODE && reason !== OOM_KILLED) return reason;
    const noticedAt = await this.#noticeOomKills(pod.metadata.uid ?? "");
    return this.#clock.monotonic() - noticedAt <= OOM_TO_END_MS ? OOM_KILLED : reason;
  }

  /** When it was last seen that the kernel had killed processes of the pod for their memory, by the monotonic clock. */
  async #noticeOomKills(uid: string): Promise<number> {
    const count = await this.#cgroups.oomKills(uid);
    const known = this.#oomKills.get(uid);
    // What happened before this life of the agent is no news.
    const isNews = known !== undefined && count > known.count;
    const noticedAt = isNews ? this.#clock.monotonic() : (known?.noticedAt ?? -Infinity);
    this.#oomKills.set(uid, { count, noticedAt });
    return noticedAt;
  }

  async #lastWords(pod: Pod, spec: PodContainer, status: ContainerStatus): Promise<string> {
    const file = terminationFile(this.#paths, pod.metadata.uid ?? "", status.name, status.attempt);
    const written = await head(file, MAX_MESSAGE_BYTES);
    if (written !== "") return written;
    if (spec.terminationMessagePolicy === "FallbackToLogsOnError" && status.exitCode !== 0) {
      return lastLines(status.logPath, MAX_FALLBACK);
    }
    return status.message;
  }

  /** Looks up the images of those containers that may have to be made. */
  async #images(pod: Pod, containers: ObservedContainer[], signal: AbortSignal): Promise<Map<string, boolean>> {
    const images = new Map<string, boolean>();
    for (const spec of pod.spec?.containers ?? []) {
      const { name, image = "" } = spec;
      const runs = containers.some((c) => c.name === name && c.state === "running" && isSameVersion(c.version, spec));
      if (runs || images.has(image)) continue;
      images.set(image, (await this.#runtime.imageStatus(image, signal)) !== undefined);
    }
    return images;
  }
}

const specOf = (pod: Pod, name: string): PodContainer | undefined =>
  pod.spec?.containers.find((container) => container.name === name);

async function head(file: string, bytes: number): Promise<string> {
  try {
    await using handle = await open(file, "r");
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    if (isMissingFile(error)) return "";
    throw error;
  }
}

const milliseconds = (ns: bigint): number => Number(ns / 1_000_000n);
