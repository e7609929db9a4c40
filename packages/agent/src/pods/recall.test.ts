import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "@skerry/machinery/types";
import { pod } from "./edge-fixture.ts";
import { newFacts, type ContainerFacts, type Ended, type PodFacts } from "./facts.ts";
import type { ObservedPod } from "./observed.ts";
import { recall } from "./recall.ts";
import { podStatus } from "./status.ts";
import { noTroubles } from "./troubles.ts";

const now = { wallMs: Date.parse("2026-06-01T00:00:00Z"), monotonicMs: 0, bootId: "boot-1" };
const later = { ...now, wallMs: now.wallMs + 86_400_000 };
const nothing: ObservedPod = {
  sandboxes: [],
  containers: [],
  images: new Map(),
  prepared: false,
  resolvConf: false,
  residue: false,
  logs: false,
  oomed: new Set(),
};

const ended = (id: string, exitCode: number, atMs: number): Ended => ({
  id,
  exitCode,
  reason: exitCode === 0 ? "Completed" : "Error",
  message: "last words",
  startedAtMs: now.wallMs + atMs,
  finishedAtMs: now.wallMs + atMs + 5_000,
});

const container = (changes: Partial<ContainerFacts>): ContainerFacts => ({
  attempt: 3,
  id: "c3",
  image: "app:1",
  imageId: "sha256:1",
  version: "",
  startedAtMs: now.wallMs + 60_000,
  intended: false,
  ended: undefined,
  last: ended("c2", 1, 50_000),
  backoffMs: 0,
  ...changes,
});

const statusOf = (of: Pod, facts: PodFacts): NonNullable<Pod["status"]> =>
  podStatus({
    pod: of,
    refused: "",
    observed: nothing,
    facts,
    troubles: noTroubles(),
    hostIps: ["192.0.2.1"],
    runtimeName: "containerd",
    now,
  });

const job = pod({ restartPolicy: "Never" });
const base: PodFacts = { ...newFacts(job, now), sandbox: { id: "", attempt: -1, ips: ["10.42.0.2"] } };

describe("recall()", () => {
  const cases: [name: string, facts: PodFacts][] = [
    [
      "succeeded",
      {
        ...base,
        final: { phase: "Succeeded" },
        containers: { main: container({ id: "c3", startedAtMs: now.wallMs + 60_000, ended: ended("c3", 0, 60_000) }) },
      },
    ],
    [
      "ran past its deadline",
      {
        ...base,
        final: { phase: "Failed", reason: "DeadlineExceeded", message: "Pod was active too long" },
        containers: { main: container({ ended: ended("c3", 137, 60_000) }) },
      },
    ],
    [
      "was never begun before it failed",
      { ...base, sandbox: undefined, final: { phase: "Failed", reason: "DeadlineExceeded", message: "too long" } },
    ],
  ];
  for (const [name, facts] of cases) {
    it(`gives back what was remembered of a pod that ${name}`, () => {
      const status = statusOf(job, facts);
      assert.deepEqual(recall({ ...job, status }, later), { ...facts, status });
    });
  }

  it("knows the newest instance of a container that runs, and of one that waits after a crash", () => {
    const web = pod();
    const running = container({});
    const status = statusOf(web, { ...base, containers: { main: running } });
    const state = { running: { startedAt: "2026-06-01T00:01:00Z" } };
    const [main] = status.containerStatuses ?? [];
    assert.ok(main);
    const runs: Pod = { ...web, status: { ...status, containerStatuses: [{ ...main, state }] } };
    assert.deepEqual(recall(runs, later).containers, { main: running });

    const crashed = container({ ended: ended("c3", 2, 60_000), backoffMs: 10_000 });
    const waits = statusOf(web, { ...base, containers: { main: crashed } });
    assert.equal(waits.containerStatuses?.[0]?.state?.waiting?.reason, "CrashLoopBackOff");
    const recalled = recall({ ...web, status: waits }, later);
    assert.deepEqual(recalled.containers, { main: { ...crashed, last: undefined, backoffMs: 0 } });
    assert.equal(recalled.startTime, "2026-06-01T00:00:00Z");
  });

  it("remembers nothing of a pod that the cloud has no record of", () => {
    assert.deepEqual(recall(job, later), newFacts(job, later));
  });
});
