import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { overlaps, parseCidr } from "./cidr.ts";

describe("overlaps()", () => {
  for (const [a, b, expected] of [
    ["10.42.0.0/16", "10.42.7.0/24", true],
    ["10.42.7.0/24", "10.42.0.0/16", true],
    ["10.42.0.0/24", "10.42.1.0/24", false],
    ["0.0.0.0/0", "192.168.1.1", true],
    ["255.255.255.255", "255.255.255.254/31", true],
    ["128.0.0.0/1", "10.0.0.0/8", false],
  ] as const) {
    it(`says ${expected} of ${a} and ${b}`, () => assert.equal(overlaps(parseCidr(a), parseCidr(b)), expected));
  }
});

describe("parseCidr()", () => {
  it("takes an address within the block for the block", () => {
    assert.deepEqual(parseCidr("10.42.7.9/24"), parseCidr("10.42.7.0/24"));
  });

  for (const text of ["", "10.42.0.0/33", "10.42.0.256/24", "fd00::/64", "10.42.0/24"]) {
    it(`refuses "${text}"`, () => assert.throws(() => parseCidr(text), RangeError));
  }
});
