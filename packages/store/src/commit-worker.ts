import { parentPort, workerData, type MessagePort } from "node:worker_threads";

import { openDatabase, sqliteErrorOf } from "@skerry/base/sqlite";

import { LogWriter } from "./log-writer.ts";
import { unpackBatch, type PackedBatch } from "./packed-batch.ts";

/** What the store's thread is given when it starts. */
export interface WorkerSettings {
  file: string;
  maxBytes: number | undefined;
}

/** What is asked of the thread: done in order, each answered once under its id. */
export type WorkerRequest =
  | { id: number; do: "commit"; batch: PackedBatch }
  | { id: number; do: "compact"; upTo: number; rows: number }
  | { id: number; do: "close" };

export type WorkerAnswer =
  | { id: number; ok: true; compacted: number; tookMs: number }
  | { id: number; ok: false; kind: string; message: string };

/** Pages of the write-ahead log that are moved into the database at once: 4 MiB, a few milliseconds on flash. */
const CHECKPOINT_PAGES = 1000;
const CHECKPOINT_DELAY_MS = 25;

/** The thread that commits: it alone writes to the database, and it alone waits for the disk. */
function serve(port: MessagePort, { file, maxBytes }: WorkerSettings): void {
  const database = openDatabase(file);
  if (maxBytes !== undefined) database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.trunc(maxBytes / 4096))}`);
  const writer = new LogWriter(database);
  let timer: NodeJS.Timeout | undefined;

  const checkpoint = (): void => {
    timer = undefined;
    try {
      writer.checkpoint(CHECKPOINT_PAGES);
    } catch {
      // A checkpoint that fails loses nothing: the log stays as it is, and the next commit brings up the next try.
    }
  };

  port.on("message", (request: WorkerRequest) => {
    const started = performance.now();
    try {
      let compacted = 0;
      switch (request.do) {
        case "commit":
          writer.commit(unpackBatch(request.batch));
          break;
        case "compact":
          compacted = writer.compact(request.upTo, request.rows).compacted;
          break;
        case "close":
          clearTimeout(timer);
          database.close();
          break;
      }
      port.postMessage({
        id: request.id,
        ok: true,
        compacted,
        tookMs: performance.now() - started,
      } satisfies WorkerAnswer);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const kind = sqliteErrorOf(error) ?? "other";
      port.postMessage({ id: request.id, ok: false, kind, message } satisfies WorkerAnswer);
    }
    if (request.do === "close") port.close();
    else timer ??= setTimeout(checkpoint, CHECKPOINT_DELAY_MS);
  });
}

if (parentPort) serve(parentPort, workerData as WorkerSettings);
