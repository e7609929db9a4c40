import { spawn } from "node:child_process";
import { once } from "node:events";
import { watch, type FSWatcher } from "node:fs";
import { hasSystemd, isMissingFile } from "@skerry/base";
import { UsageError, UserError, type Call, type Command } from "../command.ts";
import { requireInstance, type Instance } from "../instance/instance.ts";
import { journalOf } from "../instance/journal.ts";
import { logFileOf, type Daemon } from "../instance/layout.ts";
import { LogReader } from "../instance/log-reader.ts";

const NAMES: readonly (Daemon | "containerd")[] = ["cloud", "edge", "containerd"];
const TAIL_LINES = 400;
/** How much of a log's end is shown first. */
const TAIL_BYTES = 64 << 10;

export const logs: Command = {
  name: "logs",
  operands: "[cloud|edge|containerd]",
  summary: "Show the end of a daemon's log; the edge's when none is named, or the cloud's where there is no edge.",
  options: { follow: { type: "boolean", short: "f", summary: "Go on as it grows" } },
  arity: [0, 1],
  run: async (call): Promise<number | void> => {
    const [word] = call.operands;
    const named = NAMES.find((each) => each === word);
    if (word !== undefined && !named) {
      throw new UsageError(`There is no log of "${word}"; it is one of ${NAMES.join(", ")}`);
    }
    const instance = await requireInstance(call, named && roleOf(named));
    const name = named ?? usualLog(instance.settings.roles);
    if (hasSystemd() && name !== "containerd") return showJournal(instance, name, call);
    const file = logFileOf(instance.layout, name);
    const reader = new LogReader(file);
    try {
      // Watched before it is read: what is written in between is a change.
      using log = new Watched(file, call.signal);
      await print(reader.tail(TAIL_BYTES));
      if (!call.flag("follow")) return;
      while (await log.changed()) await print(reader.more());
    } catch (error) {
      if (isMissingFile(error)) throw new UserError(`There is no log yet at ${file}`, { cause: error });
      throw error;
    }
  },
};

/** Which role of an instance has a log. */
const roleOf = (name: Daemon | "containerd"): Daemon => (name === "containerd" ? "edge" : name);

/** Which log is shown when none is named: an instance may be a cloud alone. */
export const usualLog = (roles: readonly Daemon[]): Daemon => (roles.includes("edge") ? "edge" : "cloud");

/** systemd keeps what its units print in its journal. */
async function showJournal(instance: Instance, daemon: Daemon, call: Call): Promise<number> {
  const words = [...journalOf(instance, daemon, TAIL_LINES), ...(call.flag("follow") ? ["--follow"] : [])];
  const child = spawn("journalctl", words, { stdio: "inherit" });
  const stop = (): void => void child.kill();
  call.signal.addEventListener("abort", stop, { once: true });
  const [code] = (await once(child, "close")) as [number | null];
  return code ?? 0;
}

async function print(blocks: AsyncIterable<Buffer>): Promise<void> {
  for await (const block of blocks) process.stdout.write(block);
}

/** A file whose changes are waited for. */
class Watched implements Disposable {
  readonly #signal: AbortSignal;
  readonly #watcher: FSWatcher;
  #next = Promise.withResolvers<void>();
  readonly #wake = (): void => this.#next.resolve();

  constructor(file: string, signal: AbortSignal) {
    this.#signal = signal;
    this.#watcher = watch(file, this.#wake);
    this.#watcher.on("error", this.#wake);
    signal.addEventListener("abort", this.#wake, { once: true });
  }

  /** Resolves with true once it has changed since the last time, with false when the wait is over. */
  async changed(): Promise<boolean> {
    await this.#next.promise;
    this.#next = Promise.withResolvers<void>();
    return !this.#signal.aborted;
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#wake);
    this.#watcher.close();
  }
}
