import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ContainerState, ContainerStatus, Pod, PodStatus } from "@skerry/machinery/types";
import { podColumns } from "./columns.ts";
import { restartsText, summarizePod } from "./status-text.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const minutesAgo = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();
const running: ContainerState = { running: { startedAt: minutesAgo(5) } };
const ended = (exitCode: number, more: object = {}): ContainerState => ({ terminated: { exitCode, ...more } });
const waiting = (reason: string): ContainerState => ({ waiting: { reason } });

const container = (state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name: "c",
  image: "i",
  imageID: "",
  ready: state.running !== undefined,
  restartCount: 0,
  state,
  ...more,
});

const pod = (status: PodStatus, spec: object = {}, metadata: object = {}): Pod => ({
  metadata: { name: "p", ...metadata },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
  status,
});
const READY = { type: "Ready", status: "True" };
const DELETED = { deletionTimestamp: minutesAgo(0) };
const INIT = { initContainers: [{ name: "i0" }, { name: "i1" }] };

const TABLE: readonly [what: string, pod: Pod, text: string, ready: string][] = [
  ["a new one", pod({ phase: "Pending" }), "Pending", "0/1"],
  ["one that runs", pod({ phase: "Running", containerStatuses: [container(running)] }), "Running", "1/1"],
  [
    "one that is being made",
    pod({ phase: "Pending", containerStatuses: [container(waiting("ContainerCreating"))] }),
    "ContainerCreating",
    "0/1",
  ],
  [
    "one that crashes",
    pod({ phase: "Running", containerStatuses: [container(waiting("CrashLoopBackOff"))] }),
    "CrashLoopBackOff",
    "0/1",
  ],
  [
    "one that is done",
    pod({ phase: "Succeeded", containerStatuses: [container(ended(0, { reason: "Completed" }))] }),
    "Completed",
    "0/1",
  ],
  [
    "one that failed",
    pod({ phase: "Failed", containerStatuses: [container(ended(1, { reason: "Error" }))] }),
    "Error",
    "0/1",
  ],
  ["an exit without a reason", pod({ phase: "Failed", containerStatuses: [container(ended(3))] }), "ExitCode:3", "0/1"],
  [
    "a signal without a reason",
    pod({ phase: "Failed", containerStatuses: [container(ended(137, { signal: 9 }))] }),
    "Signal:9",
    "0/1",
  ],
  [
    "one done beside one that runs",
    pod(
      {
        phase: "Running",
        conditions: [READY],
        containerStatuses: [container(ended(0, { reason: "Completed" })), container(running)],
      },
      { containers: [{ name: "a" }, { name: "b" }] },
    ),
    "Running",
    "1/2",
  ],
  [
    "the same, not ready",
    pod(
      {
        phase: "Running",
        containerStatuses: [container(ended(0, { reason: "Completed" })), container(running)],
      },
      { containers: [{ name: "a" }, { name: "b" }] },
    ),
    "NotReady",
    "1/2",
  ],
  [
    "one that is deleted",
    pod({ phase: "Running", containerStatuses: [container(running)] }, {}, DELETED),
    "Terminating",
    "1/1",
  ],
  ["one that ended and is deleted", pod({ phase: "Succeeded" }, {}, DELETED), "Succeeded", "0/1"],
  ["one deleted on a lost node", pod({ phase: "Running", reason: "NodeLost" }, {}, DELETED), "Unknown", "0/1"],
  ["an evicted one", pod({ phase: "Failed", reason: "Evicted" }), "Evicted", "0/1"],
  [
    "one that ended before its container ever ran",
    pod({ phase: "Failed", reason: "DeadlineExceeded", containerStatuses: [container({ waiting: {} })] }),
    "DeadlineExceeded",
    "0/1",
  ],
  [
    "one whose gates are closed",
    pod({ phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }] }),
    "SchedulingGated",
    "0/1",
  ],
  [
    "one that initializes",
    pod(
      {
        phase: "Pending",
        initContainerStatuses: [container(ended(0), { name: "i0" }), container({ running: {} }, { name: "i1" })],
      },
      INIT,
    ),
    "Init:1/2",
    "0/1",
  ],
  [
    "one whose initialization fails",
    pod({ phase: "Pending", initContainerStatuses: [container(ended(2, { reason: "Error" }), { name: "i0" })] }, INIT),
    "Init:Error",
    "0/1",
  ],
  [
    "one whose initialization cannot begin",
    pod({ phase: "Pending", initContainerStatuses: [container(waiting("ImagePullBackOff"), { name: "i0" })] }, INIT),
    "Init:ImagePullBackOff",
    "0/1",
  ],
];

describe("the STATUS of a pod", () => {
  for (const [what, object, text, ready] of TABLE) {
    it(`of ${what} is ${text}, ${ready}`, () => {
      const summary = summarizePod(object);
      assert.equal(summary.text, text);
      assert.equal(`${summary.ready}/${summary.total}`, ready);
    });
  }
});

describe("the RESTARTS of a pod", () => {
  it("say how long ago the last one was", () => {
    const lastState = { terminated: { exitCode: 1, finishedAt: minutesAgo(5) } };
    const twice = pod({ containerStatuses: [container(running, { restartCount: 2, lastState })] });
    assert.equal(restartsText(summarizePod(twice), NOW), "2 (5m ago)");
    assert.equal(restartsText(summarizePod(pod({ containerStatuses: [container(running)] })), NOW), "0");
  });
});

it("podColumns show what `kubectl get pods -o wide` shows", () => {
  const object = pod(
    { phase: "Running", podIPs: [{ ip: "10.42.0.5" }], containerStatuses: [container(running)] },
    { nodeName: "edge-1" },
    { creationTimestamp: minutesAgo(90) },
  );
  assert.deepEqual(
    podColumns.map(({ name, priority }) => [name, priority]),
    [
      ["Ready", 0],
      ["Status", 0],
      ["Restarts", 0],
      ["Age", 0],
      ["IP", 1],
      ["Node", 1],
      ["Nominated Node", 1],
      ["Readiness Gates", 1],
    ],
  );
  assert.deepEqual(
    podColumns.map((column) => column.cell(object, NOW)),
    ["1/1", "Running", "0", "90m", "10.42.0.5", "edge-1", "<none>", "<none>"],
  );
});
