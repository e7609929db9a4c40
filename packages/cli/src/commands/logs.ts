import { watch } from "node:fs";
import { open } from "node:fs/promises";
import { isMissingFile } from "@skerry/base";
import { UsageError, UserError, type Command } from "../command.ts";
import { requireInstance } from "../instance/instance.ts";
import { logFileOf } from "../instance/layout.ts";

const NAMES = ["cloud", "edge", "containerd"] as const;
/** How much of a log's end is shown first. */
const TAIL_BYTES = 64 << 10;

export const logs: Command = {
  name: "logs",
  operands: "[cloud|edge|containerd]",
  summary: "Show the end of a daemon's log; the edge's when none is named.",
  options: { follow: { type: "boolean", short: "f", summary: "Go on as it grows" } },
  arity: [0, 1],
  run: async (call) => {
    const name = call.operands[0] ?? "edge";
    if (!NAMES.includes(name as (typeof NAMES)[number])) {
      throw new UsageError(`There is no log of "${name}"; it is one of ${NAMES.join(", ")}`);
    }
    const { layout } = await requireInstance(call);
    const file = logFileOf(layout, name as (typeof NAMES)[number]);
    try {
      let position = await show(file, undefined);
      if (!call.flag("follow")) return;
      for await (const _ of changes(file, call.signal)) position = await show(file, position);
    } catch (error) {
      if (isMissingFile(error)) throw new UserError(`There is no log yet at ${file}`, { cause: error });
      throw error;
    }
  },
};

/** Prints a file from a position (its end, when there is none) and returns where it stopped; a shorter file was begun anew. */
async function show(file: string, from: number | undefined): Promise<number> {
  await using handle = await open(file);
  const { size } = await handle.stat();
  let position = from === undefined ? Math.max(0, size - TAIL_BYTES) : from > size ? 0 : from;
  if (from === undefined && position > 0) {
    // Begin with a whole line.
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, position);
    position += buffer.subarray(0, bytesRead).indexOf(10) + 1;
  }
  if (position < size) {
    for await (const chunk of handle.createReadStream({ start: position, end: size - 1, autoClose: false })) {
      process.stdout.write(chunk as Buffer);
    }
  }
  return size;
}

async function* changes(file: string, signal: AbortSignal): AsyncGenerator<void> {
  let wake = Promise.withResolvers<void>();
  using watcher = watch(file, { signal }, () => wake.resolve()) as ReturnType<typeof watch> & Disposable;
  watcher.on("error", () => wake.resolve());
  signal.addEventListener("abort", () => wake.resolve(), { once: true });
  while (!signal.aborted) {
    await wake.promise;
    wake = Promise.withResolvers<void>();
    if (!signal.aborted) yield;
  }
}
