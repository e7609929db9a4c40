import { monitorEventLoopDelay } from "node:perf_hooks";
import { Durations, MetricsPage } from "@skerry/base";

/** Upper bounds of the latency buckets, in seconds. */
const BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];
/** What is asked often is known to us; a bound keeps strange paths from growing this without end. */
const MAX_SERIES = 2_000;

/** What the API server counts, in the text format of Prometheus (exposition format 0.0.4). */
export class ApiMetrics implements Disposable {
  /** By verb, resource and code, one a line. */
  readonly #requests = new Map<string, number>();
  readonly #durations = new Durations({ label: "verb", bounds: BUCKETS });
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
    this.#durations.observe(verb, seconds);
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
    const page = new MetricsPage();
    page.counter(
      "apiserver_request_total",
      "Requests by verb, resource and HTTP code",
      Array.from(this.#requests, ([key, count]) => {
        const [verb = "", resource = "", code = ""] = key.split("\n");
        return [{ verb, resource, code }, count];
      }),
    );
    page.histogram("apiserver_request_duration_seconds", "How long requests took, watches left out", this.#durations);
    page.gauge(
      "apiserver_longrunning_requests",
      "Open watches by resource",
      Array.from(this.#watchers, ([resource, count]) => [{ verb: "WATCH", resource }, count]),
    );
    page.gauge(
      "apiserver_current_inflight_requests",
      "Requests being answered",
      Object.entries(this.#inFlight).map(([kind, count]) => [{ request_kind: kind }, count]),
    );
    const rejected = "Requests refused because too many were being answered";
    page.counter("apiserver_rejected_requests_total", rejected, this.#rejected);
    page.gauge("nodejs_eventloop_lag_p99_seconds", "How late the event loop was, since the last scrape", this.#lag());
    page.process();
    return page.text;
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
