import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { networkNames } from "./cni-config.ts";

describe("networkNames()", () => {
  it("fits a bridge's name into what the kernel allows, and keeps instances apart", () => {
    assert.equal(networkNames("edge1").bridge, "sk-edge1");
    const long = networkNames("a-rather-long-instance-name-1").bridge;
    assert.ok(long.length <= 15);
    assert.notEqual(long, networkNames("a-rather-long-instance-name-2").bridge);
  });
});
