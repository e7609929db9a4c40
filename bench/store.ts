import { execFile } from "node:child_process";
import { mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { SqliteLog, Store } from "@skerry/store";

import { atLeast, atMost, noted, percentile, type Row } from "./row.ts";

const LEASES = "leases.coordination.k8s.io";
const TMPFS = 0x01021994;
const MEMORY = fileURLToPath(new URL("./store-memory.ts", import.meta.url));

/** A pod's worth of JSON, 1.4 KB. */
export const encodePod =
  (name: string) =>
  (revision: number): Uint8Array =>
    Buffer.from(
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, namespace: "bench", resourceVersion: String(revision), labels: { app: "bench" } },
        spec: { containers: [{ name: "main", image: "skerry.local/hello:1", args: ["x".repeat(1150)] }] },
      }),
    );

export const createPod = (store: Store, name: string, resource = "pods"): Promise<unknown> =>
  store.write({ resource, key: { namespace: "bench", name }, expect: 0, encode: encodePod(name) });

export async function openStore(file: string): Promise<Store> {
  const store = new Store({ log: new SqliteLog({ file }), volatile: [LEASES] });
  await store.start();
  return store;
}

/** A folder on a real disk: on one in memory a flush costs nothing, and the figures would say nothing. */
async function diskFolder(): Promise<string> {
  for (const folder of [tmpdir(), "/var/tmp"]) {
    if ((await statfs(folder)).type !== TMPFS) return mkdtemp(path.join(folder, "skerry-bench-"));
  }
  return mkdtemp(path.join(process.cwd(), ".skerry-bench-"));
}

/** Runs `clients` loops of `each` creates; returns what each create took, and all together, in milliseconds. */
async function creates(
  store: Store,
  { clients, each, prefix, resource = "pods" }: { clients: number; each: number; prefix: string; resource?: string },
): Promise<{ times: number[]; totalMs: number }> {
  const times: number[] = [];
  const started = performance.now();
  const client = async (n: number): Promise<void> => {
    for (let turn = 0; turn < each; turn++) {
      const began = performance.now();
      await createPod(store, `${prefix}${n}-${turn}`, resource);
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, n) => client(n)));
  return { times, totalMs: performance.now() - started };
}

/** The store alone, without the API in front of it: durable writes, volatile writes, opening, compaction, memory. */
export async function store(): Promise<Row[]> {
  const folder = await diskFolder();
  const file = path.join(folder, "store.db");
  try {
    const rows: Row[] = [];
    {
      await using opened = await openStore(file);
      await creates(opened, { clients: 1, each: 200, prefix: "warm" });
      const one = await creates(opened, { clients: 1, each: 3000, prefix: "one" });
      rows.push(atMost("store: create, 1 client, durable, p50", percentile(one.times, 0.5), "ms", 1));
      rows.push(atMost("store: create, 1 client, durable, p99", percentile(one.times, 0.99), "ms", 5));
      const many = await creates(opened, { clients: 32, each: 1500, prefix: "many" });
      rows.push(atLeast("store: create, 32 clients, durable", (48_000 / many.totalMs) * 1000, "/s", 20_000));
      rows.push(atMost("store: create, 32 clients, durable, p99", percentile(many.times, 0.99), "ms", 25));
      const leases = await creates(opened, { clients: 1, each: 10_000, prefix: "lease", resource: LEASES });
      rows.push(atLeast("store: create, volatile", (10_000 / leases.totalMs) * 1000, "/s", 15_000));
      rows.push(...(await whileCompacting(opened)));
    }
    rows.push(...(await opening(path.join(folder, "ten-thousand.db"))));
    rows.push(...(await memory(folder)));
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** How long one client's writes take while the log forgets 40,000 changes. */
async function whileCompacting(opened: Store): Promise<Row[]> {
  // The disk still has the burst before to write back; that is not what compaction costs.
  await setTimeout(1000);
  const times: number[] = [];
  let done = false;
  let worstLag = 0;
  let last = performance.now();
  const beat = setInterval(() => {
    worstLag = Math.max(worstLag, performance.now() - last - 1);
    last = performance.now();
  }, 1);
  const started = performance.now();
  const compacted = opened.compact(opened.revision - 10_000).finally(() => (done = true));
  for (let turn = 0; !done; turn++) {
    const began = performance.now();
    await createPod(opened, `compact${turn}`);
    times.push(performance.now() - began);
  }
  await compacted;
  const tookMs = performance.now() - started;
  clearInterval(beat);
  return [
    atMost("store: create while compacting, 1 client, p99", percentile(times, 0.99), "ms", 10),
    atMost("store: event loop's worst pause while compacting", worstLag, "ms", 10),
    noted("store: compacting all but 10,000 revisions", tookMs, "ms"),
  ];
}

async function opening(file: string): Promise<Row[]> {
  {
    await using filled = await openStore(file);
    await creates(filled, { clients: 32, each: 313, prefix: "pod" });
  }
  const started = performance.now();
  await using reopened = await openStore(file);
  const tookMs = performance.now() - started;
  const { objects } = reopened.stats;
  return [atMost(`store: opening with ${objects.toLocaleString("en")} objects`, tookMs, "ms", 1000)];
}

/** What 5,000 pods add to a process that has a store open: just created, and loaded by the next start. */
async function memory(folder: string): Promise<Row[]> {
  const file = path.join(folder, "memory.db");
  const rss = async (name: string, pods: number): Promise<number> =>
    Number((await promisify(execFile)(process.execPath, [MEMORY, name, String(pods)])).stdout);
  const empty = await rss(path.join(folder, "empty.db"), 1);
  const created = await rss(file, 5000);
  const loaded = await rss(file, 0);
  return [
    atMost("store: RSS of 5,000 pods over empty, just created", (created - empty) / 1e6, "MB", 40),
    atMost("store: RSS of 5,000 pods over empty, loaded", (loaded - empty) / 1e6, "MB", 40),
  ];
}
