/** Values of labels by their names. */
export type Labels = Readonly<Record<string, string>>;

/** Numbers of one metric, each with its labels. */
export type Samples = Iterable<readonly [labels: Labels, value: number]>;

interface Series {
  readonly counts: number[];
  sum: number;
  total: number;
}

/** How long things took, in buckets, apart by the value of one label: a Prometheus histogram. */
export class Durations {
  /** The label's name. */
  readonly label: string;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** `bounds` are the upper ends of the buckets, in seconds, ascending. */
  constructor({ label, bounds }: { label: string; bounds: readonly number[] }) {
    this.label = label;
    this.#bounds = bounds;
  }

  /** `value` is one of few: each has numbers of its own for ever. */
  observe(value: string, seconds: number): void {
    let series = this.#series.get(value);
    if (series === undefined) {
      series = { counts: this.#bounds.map(() => 0), sum: 0, total: 0 };
      this.#series.set(value, series);
    }
    series.sum += seconds;
    series.total++;
    const bucket = this.#bounds.findIndex((bound) => seconds <= bound);
    if (bucket !== -1) series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
  }

  /** Its lines under a metric's name. */
  *lines(name: string): Generator<string> {
    for (const [value, { counts, sum, total }] of this.#series) {
      const own = { [this.label]: value };
      let below = 0;
      for (const [index, bound] of this.#bounds.entries()) {
        below += counts[index] ?? 0;
        yield sampleLine(`${name}_bucket`, { ...own, le: String(bound) }, below);
      }
      yield sampleLine(`${name}_bucket`, { ...own, le: "+Inf" }, total);
      yield sampleLine(`${name}_sum`, own, sum);
      yield sampleLine(`${name}_count`, own, total);
    }
  }
}

/** What a page of metrics is served as. */
export const METRICS_TYPE = "text/plain; version=0.0.4";

/** A page of metrics in the text format of Prometheus (exposition format 0.0.4). */
export class MetricsPage {
  readonly #lines: string[] = [];

  /** What may go up and down. */
  gauge(name: string, help: string, samples: number | Samples): void {
    this.#family(name, "gauge", help, samples);
  }

  /** What only grows while the process lives; the name ends in `_total`. */
  counter(name: string, help: string, samples: number | Samples): void {
    this.#family(name, "counter", help, samples);
  }

  histogram(name: string, help: string, durations: Durations): void {
    this.#lines.push(...head(name, "histogram", help), ...durations.lines(name));
  }

  /** What every process tells of itself. */
  process(): void {
    const { user, system } = process.cpuUsage();
    this.gauge("process_resident_memory_bytes", "Resident memory of the process", process.memoryUsage.rss());
    this.counter("process_cpu_seconds_total", "Processor time of the process", (user + system) / 1e6);
  }

  get text(): string {
    return `${this.#lines.join("\n")}\n`;
  }

  #family(name: string, type: string, help: string, samples: number | Samples): void {
    this.#lines.push(...head(name, type, help));
    const all: Samples = typeof samples === "number" ? [[{}, samples]] : samples;
    for (const [labels, value] of all) this.#lines.push(sampleLine(name, labels, value));
  }
}

const head = (name: string, type: string, help: string): string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
];

function sampleLine(name: string, labels: Labels, value: number): string {
  const escape = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  const words = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
  return `${name}${words.length === 0 ? "" : `{${words.join(",")}}`} ${value}`;
}
