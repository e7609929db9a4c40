import path from "node:path";
import type { Clock, Logger } from "@skerry/base";
import { containerLog, podLogDir, type PodPaths } from "../pods/paths.ts";
import type { RuntimePod } from "../pods/runtime-view.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { rotateLog, ROTATION_LIMITS, type RotationLimits } from "./log-files.ts";

export interface LogRotationOptions {
  runtime: Runtime;
  /** The pods as they were listed last. */
  pods: () => ReadonlyMap<string, RuntimePod>;
  paths: PodPaths;
  clock: Clock;
  log: Logger;
  limits?: RotationLimits;
}

const INTERVAL_MS = 10_000;

/** Keeps the logs of running containers within their bound. */
export class LogRotation implements AsyncDisposable {
  readonly #options: LogRotationOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: LogRotationOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The agent stops"));
    await this.#running;
  }

  /** Looks at every log once. */
  async rotateAll(): Promise<void> {
    const { runtime, pods, paths, clock, log, limits = ROTATION_LIMITS } = this.#options;
    const { signal } = this.#stop;
    for (const { uid, namespace, name, containers } of pods().values()) {
      for (const { id, state, name: container, attempt } of containers) {
        if (state !== "running" || signal.aborted) continue;
        const folder = podLogDir(paths, { metadata: { uid, namespace, name } });
        const file = path.join(folder, containerLog(container, attempt));
        try {
          await rotateLog(file, limits, { reopen: () => runtime.reopenLog(id, signal), nowMs: clock.now() });
        } catch (error) {
          log.warn({ pod: `${namespace}/${name}`, container, err: error }, "cannot rotate the container's log");
        }
      }
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(INTERVAL_MS, signal).catch(() => {});
      if (!signal.aborted) await this.rotateAll();
    }
  }
}
