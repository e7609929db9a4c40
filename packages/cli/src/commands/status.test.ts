import assert from "node:assert/strict";
import { it } from "node:test";
import type { AgentStatus } from "@skerry/agent";
import type { Node, Pod } from "@skerry/machinery/types";
import type { Look } from "../checks/health.ts";
import { TEST_SETTINGS as settings } from "../instance/test-settings.ts";
import { screenOf, summaryOf } from "./status.ts";

const node = (name: string, status: string): Node => ({
  metadata: { name },
  status: { conditions: [{ type: "Ready", status }] },
});

const pod: Pod = {
  metadata: { namespace: "default", name: "web" },
  spec: { nodeName: "n1", containers: [{ name: "a" }, { name: "b" }] },
  status: {
    phase: "Running",
    podIP: "10.42.0.2",
    containerStatuses: [
      { name: "a", image: "", imageID: "", ready: true, restartCount: 2 },
      { name: "b", image: "", imageID: "", ready: false, restartCount: 1 },
    ],
  },
};

const status: AgentStatus = {
  node: "n1",
  version: "",
  pid: 2,
  startedAt: "",
  runtime: { version: "", problems: [] },
  cache: { complete: true },
  pods: [
    {
      namespace: "default",
      name: "web",
      uid: "u",
      phase: "Running",
      ip: "10.42.0.2",
      ready: false,
      readyContainers: 1,
      containers: 2,
      restarts: 3,
      reason: "",
    },
  ],
  problems: [],
  rssBytes: 0,
};

const look: Look = {
  cloud: { running: true, pid: 1, answers: true },
  edge: { running: true, pid: 2, status },
  nodes: [node("n1", "True"), node("n2", "False"), node("n3", "Unknown")],
  pods: [pod],
  problems: [],
};

/** The words of each line. */
const rowsOf = (screen: string): string[][] => screen.split("\n").map((line) => line.trim().split(/ {2,}/));

it("screenOf() shows how many containers are ready of how many, whether the cloud tells or the edge alone", () => {
  const header = ["NAMESPACE", "POD", "READY", "PHASE", "RESTARTS", "AGE", "NODE"];
  for (const answers of [true, false]) {
    const rows = rowsOf(screenOf({ ...look, cloud: { ...look.cloud, answers } }, settings, 0));
    const at = rows.findIndex((row) => row.join() === header.join());
    assert.deepEqual(rows[at + 1]?.slice(0, 5), ["default", "web", "1/2", "Running", "3"], `cloud answers: ${answers}`);
  }
});

it("summaryOf() tells of the same pods, whether the cloud tells or the edge alone", () => {
  const ready = { phase: "Running", ready: "1/2", restarts: 3, node: "n1", ip: "10.42.0.2" };
  for (const answers of [true, false]) {
    const summary = summaryOf({ ...look, pods: answers ? [pod] : [], cloud: { ...look.cloud, answers } });
    assert.deepEqual((summary as { pods: unknown }).pods, [{ namespace: "default", name: "web", ...ready }]);
  }
});

it("screenOf() leaves one empty line between what there is to show", () => {
  const stopped = { running: false, pid: undefined };
  const mend = "./skerry up";
  const bare = {
    cloud: { ...stopped, answers: false },
    edge: { ...stopped, status: undefined },
    nodes: [],
    pods: [],
    problems: [{ what: "It does not run", mend }],
  };
  assert.equal(
    screenOf(bare, settings, 0),
    `cloud  is stopped\nedge   is stopped\n\nPROBLEMS\n  It does not run\n    → ${mend}`,
  );
  assert.equal(screenOf({ ...bare, problems: [] }, settings, 0), "cloud  is stopped\nedge   is stopped");
});

it("screenOf() says of nodes what kubectl says", () => {
  const cordoned: Node = { ...node("n4", "True"), spec: { unschedulable: true } };
  const rows = rowsOf(screenOf({ ...look, nodes: [...look.nodes, cordoned] }, settings, 0));
  const at = rows.findIndex(([first]) => first === "NODE");
  assert.equal(rows[at]?.[1], "STATUS");
  assert.deepEqual(
    rows.slice(at + 1, at + 5).map((row) => row.slice(0, 2)),
    [
      ["n1", "Ready"],
      ["n2", "NotReady"],
      ["n3", "Unknown"],
      ["n4", "Ready,SchedulingDisabled"],
    ],
  );
});

it("screenOf() says of an edge alone where its cloud is, and shows no nodes, which only that knows", () => {
  const cloud = { running: false, pid: undefined, answers: false };
  const hub = { host: "cloud.example", port: 10_000 };
  const screen = screenOf({ ...look, cloud, nodes: [], pods: [] }, { ...settings, roles: ["edge"], hub }, 0);
  const [first, second, ...rest] = rowsOf(screen);
  assert.deepEqual(first, ["cloud", "is elsewhere, at cloud.example:10000"]);
  assert.deepEqual(second, ["edge", "runs, process 2"]);
  assert.ok(!rest.some(([word]) => word === "NODE"), screen);
  assert.ok(
    rest.some(([namespace, pod]) => namespace === "default" && pod === "web"),
    screen,
  );
});

it("screenOf() says nothing of an edge where the instance is a cloud alone", () => {
  const edge = { running: false, pid: undefined, status: undefined };
  assert.doesNotMatch(screenOf({ ...look, edge }, { ...settings, roles: ["cloud"] }, 0), /^edge/m);
});
