import { monitorEventLoopDelay } from "node:perf_hooks";

/** Upper bounds of the latency buckets, in seconds. */
const BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];
/** What is asked often is known to us; a bound keeps strange paths from growing this without end. */
const MAX_SERIES = 2_000;

interface Latency {
  counts: number[];
  sum: number;
  total: number;
}

/** What the API server counts, in the text format of Prometheus (exposition format 0.0.4). */
export class ApiMetrics implements Disposable {
  /** By verb, resource and code, one a line. */
  readonly #requests = new Map<string, number>();
  readonly #latencies = new Map<string, Latency>();
  readonly #watchers = new Map<string, number>();
  readonly #inFlight = { read: 0, mutating: 0 };
  #rejected = 0;
  #loopDelay: ReturnType<typeof monitorEventLoopDelay> | undefined;

  start(): void {
    // Ten looks a second: enough to see a stall, too few to be seen themselves.
    this.#loopDelay = monitorEventLoopDelay({ resolution: 100 });
    this.#loopDelay.enable();
  }

  [Symbol.dispose](): void {
    this.#loopDelay?.disable();
  }

  /** A request is over. `resource` is empty for other paths. */
  observe(verb: string, resource: string, code: number, seconds: number): void {
    const key = `${verb}\n${resource}\n${code}`;
    const known = this.#requests.get(key);
    if (known !== undefined || this.#requests.size < MAX_SERIES) this.#requests.set(key, (known ?? 0) + 1);
    let latency = this.#latencies.get(verb);
    if (latency === undefined) {
      latency = { counts: BUCKETS.map(() => 0), sum: 0, total: 0 };
      this.#latencies.set(verb, latency);
    }
    latency.sum += seconds;
    latency.total++;
    const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
    if (bucket !== -1) latency.counts[bucket] = (latency.counts[bucket] ?? 0) + 1;
  }

  watchers(resource: string, change: 1 | -1): void {
    const count = (this.#watchers.get(resource) ?? 0) + change;
    this.#watchers.set(resource, count);
  }

  inFlight(kind: "read" | "mutating", count: number): void {
    this.#inFlight[kind] = count;
  }

  rejected(): void {
    this.#rejected++;
  }

  /** The text that a scraper reads. */
  text(): string {
    const lines: string[] = [];
    const family = (name: string, type: string, help: string): void => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    };
    family("apiserver_request_total", "counter", "Requests by verb, resource and HTTP code");
    for (const [key, count] of this.#requests) {
      const [verb = "", resource = "", code = ""] = key.split("\n");
      lines.push(`apiserver_request_total{${labels({ verb, resource, code })}} ${count}`);
    }
    family("apiserver_request_duration_seconds", "histogram", "How long requests took, watches left out");
    for (const [verb, latency] of this.#latencies) lines.push(...histogram(verb, latency));
    family("apiserver_longrunning_requests", "gauge", "Open watches by resource");
    for (const [resource, count] of this.#watchers)
      lines.push(`apiserver_longrunning_requests{${labels({ verb: "WATCH", resource })}} ${count}`);
    family("apiserver_current_inflight_requests", "gauge", "Requests being answered");
    for (const [kind, count] of Object.entries(this.#inFlight))
      lines.push(`apiserver_current_inflight_requests{${labels({ request_kind: kind })}} ${count}`);
    family("apiserver_rejected_requests_total", "counter", "Requests refused because too many were being answered");
    lines.push(`apiserver_rejected_requests_total ${this.#rejected}`);
    family("nodejs_eventloop_lag_p99_seconds", "gauge", "How late the event loop was, since the last scrape");
    lines.push(`nodejs_eventloop_lag_p99_seconds ${this.#lag()}`);
    family("process_resident_memory_bytes", "gauge", "Resident memory of the process");
    lines.push(`process_resident_memory_bytes ${process.memoryUsage.rss()}`);
    family("process_cpu_seconds_total", "counter", "Processor time of the process");
    const { user, system } = process.cpuUsage();
    lines.push(`process_cpu_seconds_total ${(user + system) / 1e6}`, "");
    return lines.join("\n");
  }

  #lag(): number {
    const delay = this.#loopDelay;
    if (!delay) return 0;
    // The interval itself is in each sample.
    const seconds = Math.max(0, delay.percentile(99) / 1e9 - 0.1);
    delay.reset();
    return seconds;
  }
}

function histogram(verb: string, { counts, sum, total }: Latency): string[] {
  const name = "apiserver_request_duration_seconds";
  let below = 0;
  const lines = BUCKETS.map((bound, index) => {
    below += counts[index] ?? 0;
    return `${name}_bucket{${labels({ verb, le: String(bound) })}} ${below}`;
  });
  const own = labels({ verb });
  lines.push(`${name}_bucket{${labels({ verb, le: "+Inf" })}} ${total}`);
  lines.push(`${name}_sum{${own}} ${sum}`, `${name}_count{${own}} ${total}`);
  return lines;
}

function labels(values: Readonly<Record<string, string>>): string {
  const escape = (value: string): string =>
    value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return Object.entries(values)
    .map(([name, value]) => `${name}="${escape(value)}"`)
    .join(",");
}
