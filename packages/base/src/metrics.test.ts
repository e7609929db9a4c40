import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Durations, MetricsPage } from "./metrics.ts";

describe("MetricsPage", () => {
  it("is Prometheus' text, with labels escaped", () => {
    const page = new MetricsPage();
    page.gauge("a_bytes", "So much", 3);
    page.counter("b_total", "So many", [
      [{ code: "OK" }, 1],
      [{ code: 'a"b\\c\nd' }, 2],
    ]);
    page.gauge("c", "None yet", []);
    assert.equal(
      page.text,
      [
        "# HELP a_bytes So much",
        "# TYPE a_bytes gauge",
        "a_bytes 3",
        "# HELP b_total So many",
        "# TYPE b_total counter",
        'b_total{code="OK"} 1',
        'b_total{code="a\\"b\\\\c\\nd"} 2',
        "# HELP c None yet",
        "# TYPE c gauge",
        "",
      ].join("\n"),
    );
  });

  it("counts durations into every bucket that they fit", () => {
    const durations = new Durations({ label: "verb", bounds: [0.1, 1] });
    for (const seconds of [0.1, 0.5, 0.5, 7]) durations.observe("get", seconds);
    durations.observe("put", 1);
    const page = new MetricsPage();
    page.histogram("d_seconds", "So long", durations);
    assert.equal(
      page.text,
      [
        "# HELP d_seconds So long",
        "# TYPE d_seconds histogram",
        'd_seconds_bucket{verb="get",le="0.1"} 1',
        'd_seconds_bucket{verb="get",le="1"} 3',
        'd_seconds_bucket{verb="get",le="+Inf"} 4',
        'd_seconds_sum{verb="get"} 8.1',
        'd_seconds_count{verb="get"} 4',
        'd_seconds_bucket{verb="put",le="0.1"} 0',
        'd_seconds_bucket{verb="put",le="1"} 1',
        'd_seconds_bucket{verb="put",le="+Inf"} 1',
        'd_seconds_sum{verb="put"} 1',
        'd_seconds_count{verb="put"} 1',
        "",
      ].join("\n"),
    );
  });
});
