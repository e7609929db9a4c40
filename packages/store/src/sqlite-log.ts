import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";

import { writeFileAtomic } from "@skerry/base";
import { openDatabase, takeFileLock, type Database } from "@skerry/base/sqlite";
import { StorageUnavailableError } from "@skerry/machinery";

import {
  StoreOpenError,
  type Batch,
  type BeforeRow,
  type ChangeRow,
  type ChangesQuery,
  type CommitLog,
  type LoadedRow,
  type LogFacts,
} from "./commit-log.ts";
import type { WorkerAnswer, WorkerRequest, WorkerSettings } from "./commit-worker.ts";
import { LogReader } from "./log-reader.ts";
import { packBatch } from "./packed-batch.ts";
import { checkFormat, createSchema, openError } from "./schema.ts";

export interface SqliteLogOptions {
  /** The database file. Beside it lie SQLite's `-wal` and `-shm`, the lock `-lock` and its holder's name `-owner`. */
  file: string;
  /** The most the database may grow to, in bytes; writes beyond it fail like those on a full disk. Absent: the disk's size. */
  maxBytes?: number;
  /** Where the thread's program is; a bundle that has moved it says so. */
  workerUrl?: URL;
}

type Done = Extract<WorkerAnswer, { ok: true }>;

/** The log in a SQLite file: read on this thread, written and flushed on a thread of its own. */
export class SqliteLog implements CommitLog {
  readonly #file: string;
  readonly #maxBytes: number | undefined;
  readonly #workerUrl: URL;
  readonly #asked = new Map<number, PromiseWithResolvers<Done>>();
  #nextId = 1;
  #lock: Disposable | undefined;
  #database: Database | undefined;
  #reader: LogReader | undefined;
  #worker: Worker | undefined;

  constructor({ file, maxBytes, workerUrl = new URL("./commit-worker.ts", import.meta.url) }: SqliteLogOptions) {
    this.#file = path.resolve(file);
    this.#maxBytes = maxBytes;
    this.#workerUrl = workerUrl;
  }

  async open(): Promise<LogFacts> {
    try {
      mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 });
      this.#lock = await takeLock(this.#file);
      // Objects hold secrets, and SQLite gives its other files the mode of this one. The lock is ours, so no connection to the
      // file is open here whose own locks this close could drop.
      closeSync(openSync(this.#file, "a", 0o600));
      const accept = (database: Database): void => checkFormat(database, this.#file);
      this.#database = openDatabase(this.#file, { cacheKiB: 512, accept });
      createSchema(this.#database);
      this.#database.exec("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0");
      this.#reader = new LogReader(this.#database);
      this.#thread();
      return this.#reader.facts();
    } catch (error) {
      await this.close();
      throw openError(this.#file, error);
    }
  }

  *load(): Generator<LoadedRow> {
    try {
      yield* this.#opened.load();
    } catch (error) {
      throw openError(this.#file, error);
    }
  }

  async commit(batch: Batch): Promise<void> {
    const packed = packBatch(batch);
    await this.#ask((id) => ({ id, do: "commit", batch: packed }), [packed.bytes]);
  }

  async compact(upTo: number, rows: number): Promise<{ compacted: number; tookMs: number }> {
    const { compacted, tookMs } = await this.#ask((id) => ({ id, do: "compact", upTo, rows }));
    return { compacted, tookMs };
  }

  has(revision: number): boolean {
    return this.#opened.has(revision);
  }

  changes(query: ChangesQuery): { rows: ChangeRow[]; upTo: number } {
    return this.#opened.changes(query);
  }

  keysBefore(resource: string, after: number, upTo: number): BeforeRow[] {
    return this.#opened.keysBefore(resource, after, upTo);
  }

  bytes(revision: number): Uint8Array | undefined {
    return this.#opened.bytes(revision);
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    // The last connection to close moves the write-ahead log into the database: the thread's, so that nobody waits here.
    if (this.#database?.isOpen) this.#database.close();
    if (worker) {
      // A thread that died has closed already.
      await this.#ask((id) => ({ id, do: "close" })).catch(() => {});
      this.#worker = undefined;
      await worker.terminate();
    }
    this.#reader = undefined;
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
  }

  get #opened(): LogReader {
    if (!this.#reader) throw new StorageUnavailableError(`Cannot read the store ${this.#file}: it is not open`);
    return this.#reader;
  }

  async #ask(make: (id: number) => WorkerRequest, transfer: ArrayBuffer[] = []): Promise<Done> {
    if (!this.#reader) throw new StorageUnavailableError(`Cannot write to the store ${this.#file}: it is not open`);
    const answer = Promise.withResolvers<Done>();
    const id = this.#nextId++;
    this.#asked.set(id, answer);
    this.#thread().postMessage(make(id), transfer);
    return answer.promise;
  }

  /** The thread, started again when it has died. */
  #thread(): Worker {
    if (this.#worker) return this.#worker;
    const workerData: WorkerSettings = { file: this.#file, maxBytes: this.#maxBytes };
    // A few megabytes do: what it handles at once is one batch, whose bytes lie outside of its heap.
    const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 1 };
    const worker = new Worker(this.#workerUrl, { workerData, resourceLimits, name: "skerry-store" });
    worker.on("message", (answer: WorkerAnswer) => this.#settle(answer));
    worker.on("error", (error) => this.#died(worker, error));
    worker.on("exit", (code) => this.#died(worker, new Error(`The store's thread ended with code ${code}`)));
    this.#worker = worker;
    return worker;
  }

  #settle(answer: WorkerAnswer): void {
    const asked = this.#asked.get(answer.id);
    this.#asked.delete(answer.id);
    if (answer.ok) asked?.resolve(answer);
    else asked?.reject(commitError(this.#file, answer.kind, answer.message));
  }

  #died(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const message = `Cannot write to the store ${this.#file}: its thread died; it is started again with the next write`;
    for (const asked of this.#asked.values()) asked.reject(new StorageUnavailableError(message, { cause }));
    this.#asked.clear();
  }
}

/** What failed a commit and what mends it. Writes are tried anew each time, so nobody needs to restart anything. */
export function commitError(file: string, kind: string, message: string): StorageUnavailableError {
  const advice: Record<string, string> = {
    full: "the disk or the store's quota is full; free space, and writes work again by themselves",
    io: "the disk reports an error; check the disk and the kernel's log",
    readonly: "the file or its disk has become read-only; make it writable, and writes work again by themselves",
    busy: "another program holds the database locked; end it",
    corrupt: "the file is damaged; stop and restore it from a backup",
  };
  return new StorageUnavailableError(
    `Cannot write to the store ${file}: ${advice[kind] ?? "SQLite refused the commit"} (${message})`,
  );
}

async function takeLock(file: string): Promise<Disposable> {
  const ownerFile = `${file}-owner`;
  const lock = takeFileLock(`${file}-lock`);
  if (!lock) {
    let owner = "another process";
    try {
      const { pid, command } = JSON.parse(readFileSync(ownerFile, "utf8")) as { pid: number; command: string };
      owner = `process ${pid} (${command})`;
    } catch {
      // Who it is helps, and is not needed to know that there is one.
    }
    throw new StoreOpenError(
      `Cannot open the store ${file}: ${owner} has it open; stop that first, or use another data directory`,
    );
  }
  try {
    const command = [path.basename(process.execPath), ...process.argv.slice(1, 3)].join(" ");
    await writeFileAtomic(ownerFile, JSON.stringify({ pid: process.pid, command }), { mode: 0o600 });
  } catch {
    // The lock holds without the name of its holder; a full disk must not keep the store from opening to be read.
  }
  return lock;
}
