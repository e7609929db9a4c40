import { stat, statfs } from "node:fs/promises";
import path from "node:path";
import { MetricsPage, type Labels } from "@skerry/base";
import type { PodStatus } from "@skerry/machinery/types";
import type { EdgeCache } from "./cache/edge-cache.ts";
import type { EdgeLink } from "./link/edge-link.ts";
import type { RuntimeCalls } from "./runtime/runtime-calls.ts";
import type { Runtime } from "./runtime/runtime.ts";

export interface EdgeMetricsSources {
  startedAt: number;
  dataDir: string;
  cache: EdgeCache;
  /** Absent without a cloud. */
  link: EdgeLink | undefined;
  runtime: Runtime;
  runtimeCalls: RuntimeCalls | undefined;
}

/** How long the runtime may take to tell its images; a page without them is better than none. */
const IMAGES_MS = 5_000;
const PHASES = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];

/**
 * What an edge tells Prometheus. Nearly all of it is looked up when it is asked for, so that what nobody asks costs no memory; counted are sessions and
 * calls of the runtime.
 */
export async function edgeMetrics(sources: EdgeMetricsSources): Promise<string> {
  const { startedAt, dataDir, cache, link, runtime, runtimeCalls } = sources;
  const page = new MetricsPage();
  page.process();
  page.gauge("process_start_time_seconds", "When the agent was started, since the Unix epoch", startedAt / 1000);
  if (link) linkMetrics(page, link);
  const waiting = cache.waiting();
  const queues = ["reports", "messages"] as const;
  page.gauge(
    "skerry_edge_outbox_items",
    "What the cloud is still to learn: reports of state, messages",
    queues.map((queue) => [{ queue }, waiting[queue].items]),
  );
  page.gauge(
    "skerry_edge_outbox_bytes",
    "How much that is",
    queues.map((queue) => [{ queue }, waiting[queue].bytes]),
  );
  page.gauge("skerry_edge_cache_bytes", "Size of the edge's memory on disk", await cacheBytes(dataDir));
  podMetrics(page, cache);
  if (runtimeCalls) {
    page.counter("skerry_edge_runtime_requests_total", "Calls of the container runtime", runtimeCalls.counts());
    const help = "How long calls of the container runtime took";
    page.histogram("skerry_edge_runtime_request_duration_seconds", help, runtimeCalls.durations);
  }
  const images = await runtime.listImages(AbortSignal.timeout(IMAGES_MS)).catch(() => undefined);
  if (images) {
    page.gauge("skerry_edge_images", "Images on this edge", images.length);
    const bytes = images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    page.gauge("skerry_edge_images_bytes", "What they take, as the container runtime reckons", bytes);
  }
  const disk = await statfs(dataDir);
  page.gauge("skerry_edge_disk_size_bytes", "Size of the file system with the edge's data", disk.blocks * disk.bsize);
  page.gauge("skerry_edge_disk_available_bytes", "What is free of it", disk.bavail * disk.bsize);
  return page.text;
}

/** The database, and what is not yet merged into it. */
async function cacheBytes(dataDir: string): Promise<number> {
  const files = ["cache.db", "cache.db-wal"].map((name) => path.join(dataDir, name));
  const sizes = await Promise.all(
    files.map((file) =>
      stat(file)
        .then(({ size }) => size)
        .catch(() => 0),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function linkMetrics(page: MetricsPage, { status, counts, roundTripMs }: EdgeLink): void {
  page.gauge("skerry_edge_link_up", "Whether the link to the cloud is up", status.state === "connected" ? 1 : 0);
  page.gauge("skerry_edge_link_in_sync", "Whether all that the cloud wants is known here", status.isSynced ? 1 : 0);
  page.counter(
    "skerry_edge_link_sessions_total",
    "How often the link came up; each but the first came again",
    counts.sessions,
  );
  page.counter("skerry_edge_link_failures_total", "Attempts to reach the cloud that came to nothing", counts.failures);
  if (roundTripMs === undefined) return;
  const help = "What the last heartbeat took there and back";
  page.gauge("skerry_edge_link_round_trip_seconds", help, roundTripMs / 1000);
}

function podMetrics(page: MetricsPage, cache: EdgeCache): void {
  const phases = new Map(PHASES.map((phase) => [phase, 0]));
  const restarts: [Labels, number][] = [];
  for (const [uid, { pod }] of cache.pods()) {
    const status: PodStatus | undefined = cache.facts(uid)?.status;
    const phase = status?.phase ?? "Pending";
    phases.set(phase, (phases.get(phase) ?? 0) + 1);
    const { namespace = "", name = "" } = pod.metadata;
    for (const { name: container, restartCount = 0 } of status?.containerStatuses ?? []) {
      restarts.push([{ namespace, pod: name, container }, restartCount]);
    }
  }
  const samples = Array.from(phases, ([phase, count]): [Labels, number] => [{ phase }, count]);
  page.gauge("skerry_edge_pods", "Pods by phase", samples);
  page.counter("skerry_edge_container_restarts_total", "How often each container was started again", restarts);
}
