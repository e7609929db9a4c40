import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { conflictOf, freeClusterCidr, hostRoutes, overlaps, parseCidr } from "./cidr.ts";

describe("parseCidr()", () => {
  it("refuses what is no network, and says how to write one", () => {
    for (const text of ["", "10.42", "10.42.0.0", "10.42.0.0/33", "300.1.1.1/8"]) {
      assert.throws(() => parseCidr(text), /is no IPv4 network; write it like/);
    }
    assert.throws(() => parseCidr("10.42.1.0/16"), /address bits beyond its \/16/);
  });
});

describe("overlaps()", () => {
  it("sees one network inside the other, either way", () => {
    assert.equal(overlaps(parseCidr("10.42.0.0/16"), parseCidr("10.42.3.0/24")), true);
    assert.equal(overlaps(parseCidr("10.42.3.0/24"), parseCidr("10.0.0.0/8")), true);
    assert.equal(overlaps(parseCidr("10.42.0.0/16"), parseCidr("10.43.0.0/16")), false);
    assert.equal(overlaps(parseCidr("192.168.0.0/16"), parseCidr("0.0.0.0/0")), true);
  });
});

describe("freeClusterCidr()", () => {
  it("takes the first network that nothing routes, leaving out that of services", async () => {
    assert.equal(await freeClusterCidr([]), "10.42.0.0/16");
    assert.equal(await freeClusterCidr([{ cidr: "10.42.7.0/24", device: "br0" }]), "10.44.0.0/16");
  });

  it("names what takes them all", async () => {
    await assert.rejects(
      freeClusterCidr([{ cidr: "10.0.0.0/8", device: "vpn0" }]),
      /10\.42\.0\.0\/16 by 10\.0\.0\.0\/8 on vpn0/,
    );
  });
});

describe("hostRoutes()", () => {
  it("reads this machine's routes", async () => {
    const routes = await hostRoutes();
    assert.equal(conflictOf("203.0.113.0/24", routes), undefined);
  });
});
