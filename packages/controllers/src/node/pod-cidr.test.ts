import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PodCidrs } from "./pod-cidr.ts";

describe("PodCidrs", () => {
  it("gives each node a /24 of its own, the same again when asked again", () => {
    const cidrs = new PodCidrs("10.42.0.0/16");
    cidrs.occupy("10.42.0.0/24", "a");
    assert.equal(cidrs.allocate("b"), "10.42.1.0/24");
    assert.equal(cidrs.allocate("a"), "10.42.0.0/24");
    assert.equal(cidrs.allocate("b"), "10.42.1.0/24");
    cidrs.release("a");
    assert.equal(cidrs.allocate("c"), "10.42.0.0/24");
  });

  it("takes back what it had chosen for a node that turns out to have another", () => {
    const cidrs = new PodCidrs("10.42.0.0/16");
    assert.equal(cidrs.allocate("a"), "10.42.0.0/24");
    assert.equal(cidrs.occupy("10.42.7.0/24", "a"), true);
    assert.equal(cidrs.allocate("a"), "10.42.7.0/24");
    assert.equal(cidrs.allocate("b"), "10.42.0.0/24");
    assert.equal(cidrs.occupy("10.42.7.0/24", "b"), false);
    cidrs.release("a");
    assert.equal(cidrs.occupy("10.42.7.0/24", "c"), true);
  });

  it("has none left when all are taken", () => {
    const cidrs = new PodCidrs("192.168.254.0/23");
    assert.equal(cidrs.allocate("a"), "192.168.254.0/24");
    assert.equal(cidrs.allocate("b"), "192.168.255.0/24");
    assert.equal(cidrs.allocate("c"), undefined);
  });

  it("refuses a network smaller than one node's share", () => {
    assert.throws(() => new PodCidrs("10.0.0.0/25"), /must be between \/8 and \/24/);
  });
});
