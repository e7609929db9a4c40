import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Node, Pod } from "@skerry/machinery/types";
import { ClusterView } from "./cluster-view.ts";
import { allocatableOf, place, refusalText, tolerates, type Candidate } from "./fit.ts";

const node = (name: string, extra: object = {}, labels: Record<string, string> = {}): Node =>
  ({
    metadata: { name, labels },
    spec: extra,
    status: { allocatable: { cpu: "2", memory: "1Gi", pods: "10" } },
  }) as unknown as Node;

const candidate = (each: Node, used: Partial<Candidate["used"]> = {}, hostPorts: string[] = []): Candidate => ({
  node: each,
  room: allocatableOf(each),
  used: { milliCpu: 0, memory: 0, pods: 0, ...used },
  hostPorts: new Map(hostPorts.map((port) => [port, 1])),
});

const pod = (spec: object = {}, name = "p"): Pod =>
  ({ metadata: { name, namespace: "default" }, spec: { containers: [{ name: "c" }], ...spec } }) as unknown as Pod;

const asking = (cpu: string, memory = "1Mi"): Pod =>
  pod({ containers: [{ name: "c", resources: { requests: { cpu, memory } } }] });

const refusal = (wanted: Pod, ...candidates: Candidate[]): string => {
  const placement = place(wanted, candidates);
  assert.ok(!("node" in placement), "it was placed");
  return refusalText(placement.reasons, placement.nodes);
};

describe("place()", () => {
  it("chooses the emptier node, and by name among equals", () => {
    assert.deepEqual(place(pod(), [candidate(node("b")), candidate(node("a"))]), { node: "a" });
    assert.deepEqual(place(pod(), [candidate(node("a"), { pods: 5 }), candidate(node("b"))]), { node: "b" });
  });

  it("says for each reason how many nodes it refused", () => {
    const taints = [{ key: "dedicated", value: "db", effect: "NoSchedule" }];
    assert.equal(
      refusal(asking("1900m"), candidate(node("a"), { milliCpu: 200 }), candidate(node("b", { taints }))),
      "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: db}.",
    );
    assert.equal(refusal(pod()), "no nodes available to schedule pods");
    assert.match(refusal(asking("1", "2Gi"), candidate(node("a"))), /1 Insufficient memory/);
    assert.match(refusal(pod(), candidate(node("a"), { pods: 10 })), /1 Too many pods/);
    assert.match(refusal(pod(), candidate(node("a", { unschedulable: true }))), /1 node\(s\) were unschedulable/);
    assert.match(refusal(pod({ nodeSelector: { disk: "ssd" } }), candidate(node("a"))), /affinity\/selector/);
  });

  it("refuses a resource that a node has none of", () => {
    const wanted = pod({ containers: [{ name: "c", resources: { requests: { "example.com/gpu": "1" } } }] });
    assert.match(refusal(wanted, candidate(node("a"))), /1 Insufficient example\.com\/gpu/);
  });

  it("refuses a host port that is taken on any address that overlaps", () => {
    const wanted = pod({ containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 8080 }] }] });
    assert.match(refusal(wanted, candidate(node("a"), {}, ["TCP/127.0.0.1/8080"])), /free ports/);
    assert.deepEqual(place(wanted, [candidate(node("a"), {}, ["UDP/0.0.0.0/8080"])]), { node: "a" });
  });
});

describe("tolerates()", () => {
  it("matches key, value and effect as they are given", () => {
    const taint = { key: "k", value: "v", effect: "NoSchedule" };
    assert.equal(tolerates([{ key: "k", value: "v" }], taint), true);
    assert.equal(tolerates([{ key: "k", value: "w" }], taint), false);
    assert.equal(tolerates([{ key: "k", operator: "Exists", effect: "NoExecute" }], taint), false);
    assert.equal(tolerates([{ operator: "Exists" }], taint), true);
    assert.equal(tolerates([], taint), false);
  });
});

describe("ClusterView", () => {
  it("counts a placed pod once, before and after the API tells of it, until it ends", () => {
    const view = new ClusterView();
    view.setNode("a", node("a"));
    const key = { namespace: "default", name: "p" };
    const used = (): number | undefined => [...view.candidates()][0]?.used.milliCpu;
    view.place(key, asking("500m"), "a");
    view.setPod(key, asking("500m"));
    assert.equal(used(), 500);
    const bound = asking("500m");
    view.setPod(key, { ...bound, spec: { ...bound.spec, nodeName: "a" } } as Pod);
    assert.equal(used(), 500);
    view.setPod(key, undefined);
    assert.equal(used(), 0);
  });
});
