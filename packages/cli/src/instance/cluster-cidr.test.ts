import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkClusterCidr, conflictOf, freeClusterCidr, hostRoutes } from "./cluster-cidr.ts";

describe("checkClusterCidr()", () => {
  it("refuses what is no network to give nodes shares of, and says how to write one", () => {
    assert.doesNotThrow(() => checkClusterCidr("10.42.0.0/16", "--cluster-cidr"));
    for (const text of ["", "10.42", "10.42.0.0/33", "300.1.1.1/8"])
      assert.throws(() => checkClusterCidr(text, "f:3: cluster-cidr"), /f:3: cluster-cidr: .*write it like/);
    assert.throws(
      () => checkClusterCidr("10.42.1.0/16", "--cluster-cidr"),
      /--cluster-cidr: .* write 10\.42\.0\.0\/16/,
    );
    assert.throws(
      () => checkClusterCidr("10.42.0.0/25", "--cluster-cidr"),
      /--cluster-cidr takes .* between \/8 and \/24/,
    );
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

  it("says what to install where there is no ip", async () => {
    await assert.rejects(hostRoutes("no-such-ip"), { name: "UserError", message: /apt-get install iproute2$/ });
  });
});
