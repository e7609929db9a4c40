import { rm } from "node:fs/promises";
import path from "node:path";
import { namesIn, type Clock, type Logger } from "@skerry/base";
import type { EdgeCache } from "../cache/edge-cache.ts";
import type { Means } from "./perform.ts";
import type { RuntimePod } from "./runtime-view.ts";

export interface ReclaimerOptions {
  means: Means;
  cache: EdgeCache;
  clock: Clock;
  log: Logger;
  /** See `PodLoopOptions`. */
  reclaim: ((sandboxes: ReadonlySet<string>, signal: AbortSignal) => Promise<void>) | undefined;
  /** What the runtime listed last. */
  listed: () => ReadonlyMap<string, RuntimePod>;
  /** Has a pod looked at soon, be it known or not. */
  lookAt: (uid: string) => void;
  signal: AbortSignal;
}

/** By then a runtime has given up what a caller that died asked of it. */
const RECLAIM_AFTER_MS = 10_000;

/** Finds what is left of pods that nobody knows any more, and removes what no look at a pod would show. */
export class Reclaimer implements AsyncDisposable {
  readonly #options: ReclaimerOptions;
  /** How many sandboxes are being made; none begins while `#running` is set. */
  #making = 0;
  #running: Promise<void> | undefined;
  #due = 0;
  #cancel: () => void = () => {};

  constructor(options: ReclaimerOptions) {
    this.#options = options;
  }

  /** Set while something is being reclaimed. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  /** Runs `make`, which makes a sandbox, while nothing is being reclaimed. */
  async making(make: () => Promise<void>): Promise<void> {
    while (this.#running) await this.#running;
    this.#making++;
    try {
      await make();
    } catch (error) {
      // Whatever cut it short, the runtime may not have let go of it yet.
      this.later();
      throw error;
    } finally {
      this.#making--;
    }
  }

  /** Reclaims once the runtime has settled and no sandbox is being made. */
  later(): void {
    const { clock, signal } = this.#options;
    const isDue = this.#due++ > 0;
    if (isDue || signal.aborted) return; // not put off either, or one failure after another would do so for ever
    this.#cancel = clock.after(RECLAIM_AFTER_MS, () => {
      const wasAskedAgain = this.#due > 1;
      this.#due = 0;
      if (this.#making === 0) this.#running ??= this.#reclaim().finally(() => (this.#running = undefined));
      if (this.#making > 0 || wasAskedAgain) this.later();
    });
  }

  /** Finds folders and memories of pods that neither the cloud nor the runtime knows. */
  async sweep(): Promise<void> {
    const { cache, means, log, listed, lookAt } = this.#options;
    try {
      for (const uid of await namesIn(means.paths.podsDir)) if (!cache.pod(uid)) lookAt(uid);
      for (const folder of await namesIn(means.paths.logsDir)) {
        const uid = folder.slice(folder.lastIndexOf("_") + 1);
        if (cache.pod(uid) || listed().has(uid)) continue;
        await rm(path.join(means.paths.logsDir, folder), { recursive: true, force: true });
      }
      for (const uid of cache.rememberedUids()) if (!cache.pod(uid)) lookAt(uid);
    } catch (error) {
      log.warn({ err: error }, "cannot look for what pods of former times left");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel();
    await this.#running;
  }

  async #reclaim(): Promise<void> {
    const { means, log, reclaim, cache, signal } = this.#options;
    try {
      const sandboxes = await means.runtime.listSandboxes(signal);
      await reclaim?.(new Set(sandboxes.map(({ id }) => id)), signal);
      if (!cache.complete) return; // which pods there are is not known yet
      await this.sweep();
      await this.#reclaimCgroups(new Set(sandboxes.map(({ podUid }) => podUid)));
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, "cannot reclaim what vanished sandboxes left");
    }
  }

  /** A runtime that was still making a sandbox when its pod was taken down has made the pod's cgroup once more. */
  async #reclaimCgroups(inRuntime: ReadonlySet<string>): Promise<void> {
    const { cache, means, log, signal } = this.#options;
    for (const uid of await means.cgroups.uids(signal)) {
      if (cache.pod(uid) || inRuntime.has(uid)) continue;
      log.info({ uid }, "removing the cgroup of a pod that is no more");
      await means.cgroups.remove(uid, signal);
    }
  }
}
