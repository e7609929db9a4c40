import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "@skerry/machinery/types";
import { planReplicas } from "./plan.ts";

interface Traits {
  node?: string;
  phase?: string;
  ready?: boolean;
  cost?: string;
  restarts?: number;
  made?: string;
}

const pod = (
  name: string,
  { node = "n1", phase = "Running", ready = true, cost, restarts = 0, made = "2026-01-01T00:00:00Z" }: Traits = {},
): Pod =>
  ({
    metadata: {
      name,
      creationTimestamp: made,
      ...(cost && { annotations: { "controller.kubernetes.io/pod-deletion-cost": cost } }),
    },
    spec: { nodeName: node },
    status: {
      phase,
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: "2026-01-01T00:00:00Z" }],
      containerStatuses: [{ restartCount: restarts }],
    },
  }) as unknown as Pod;

const removed = (wanted: number, pods: Pod[]): (string | undefined)[] =>
  planReplicas(wanted, pods).remove.map((each) => each.metadata.name);

describe("planReplicas()", () => {
  it("makes what is missing, in bounded bursts", () => {
    assert.deepEqual(planReplicas(3, [pod("a")]), { create: 2, remove: [] });
    assert.equal(planReplicas(10_000, []).create, 500);
    assert.deepEqual(planReplicas(1, [pod("a")]), { create: 0, remove: [] });
  });

  it("deletes first what is worth least", () => {
    assert.deepEqual(removed(1, [pod("placed"), pod("unplaced", { node: "", phase: "Pending", ready: false })]), [
      "unplaced",
    ]);
    assert.deepEqual(removed(1, [pod("ready"), pod("unready", { ready: false })]), ["unready"]);
    assert.deepEqual(removed(1, [pod("dear", { cost: "10" }), pod("cheap", { cost: "-1" })]), ["cheap"]);
    assert.deepEqual(removed(2, [pod("a"), pod("b"), pod("alone", { node: "n2" })]).includes("alone"), false);
    assert.deepEqual(removed(1, [pod("calm"), pod("restless", { restarts: 5 })]), ["restless"]);
    assert.deepEqual(removed(1, [pod("old"), pod("young", { made: "2026-02-01T00:00:00Z" })]), ["young"]);
  });
});
