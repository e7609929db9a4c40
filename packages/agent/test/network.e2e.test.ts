import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { PodNetwork } from "../src/network/pod-network.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";
import { patience } from "./test-pods.ts";

function networkOf(place: EdgeSandbox): PodNetwork {
  return new PodNetwork({
    instance: place.instance,
    confDir: path.join(place.dir, "cni"),
    ipamDir: path.join(place.dir, "ipam"),
    run: place.run,
  });
}

const masquerades = async (place: EdgeSandbox): Promise<string[]> =>
  (await place.run("iptables", ["-t", "nat", "-S", "POSTROUTING"]))
    .split("\n")
    .filter((line) => line.includes("-j MASQ"));

describe("PodNetwork in a network namespace", { concurrency: 2 }, () => {
  it("makes one masquerade rule however often it is set up, and follows a new block", async () => {
    await using place = await EdgeSandbox.create();
    const network = networkOf(place);
    for (let n = 0; n < 3; n++) await network.setUp("10.42.7.0/24", patience());
    assert.deepEqual(await masquerades(place), [
      `-A POSTROUTING -s 10.42.7.0/24 ! -d 10.42.7.0/24 -m comment --comment "skerry ${place.instance}" -j MASQUERADE`,
    ]);
    await network.setUp("10.42.8.0/24", patience());
    assert.match((await masquerades(place)).join("\n"), /^-A POSTROUTING -s 10\.42\.8\.0\/24 [^\n]*$/);
    assert.deepEqual(await readdir(path.join(place.dir, "cni")), ["10-skerry.conflist"]);
    assert.match(await readFile(path.join(place.dir, "cni/10-skerry.conflist"), "utf8"), /10\.42\.8\.0\/24/);
    await network.remove(patience());
    assert.deepEqual(await place.traces(), []);
  });

  it("refuses a block that the machine reaches already, naming route and device", async () => {
    await using place = await EdgeSandbox.create();
    await place.run("ip", ["link", "add", "lan0", "type", "bridge"]);
    await place.run("ip", ["address", "add", "10.42.0.1/20", "dev", "lan0"]);
    await place.run("ip", ["link", "set", "lan0", "up"]);
    await assert.rejects(networkOf(place).setUp("10.42.7.0/24", patience()), {
      name: "NetworkConflictError",
      message:
        "Cannot use 10.42.7.0/24 for pods: this machine reaches 10.42.0.0/20 through lan0; " +
        "choose another network with --cluster-cidr",
    });
    await networkOf(place).setUp("10.44.7.0/24", patience());
  });

  it("removes its own rules, and those of others neither by name nor by address", async () => {
    await using place = await EdgeSandbox.create();
    const network = networkOf(place);
    await network.setUp("10.42.7.0/24", patience());
    const rules = `*nat
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-DN-other - [0:0]
:CNI-DN-ours - [0:0]
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"podman\\" id: \\"1\\"" -m multiport --dports 80 -j CNI-DN-other
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"skerry-${place.instance}\\" id: \\"2\\"" -m multiport --dports 81 -j CNI-DN-ours
-A CNI-DN-ours -p tcp -m tcp --dport 81 -j DNAT --to-destination 10.42.7.2:8080
-A POSTROUTING -s 10.99.0.0/24 -m comment --comment "skerry other" -j MASQUERADE
COMMIT
*filter
:CNI-FORWARD - [0:0]
-A CNI-FORWARD -s 10.42.7.2/32 -j ACCEPT
-A CNI-FORWARD -s 10.42.70.2/32 -j ACCEPT
-A CNI-FORWARD -s 10.42.7.0/25 -j ACCEPT
COMMIT
`;
    await place.run("iptables-restore", ["--noflush"], { input: rules });
    await writeFile(path.join(place.dir, "ipam", "unrelated"), "");
    await network.remove(patience());
    const left = (await place.run("iptables-save", [])).split("\n").filter((line) => line.startsWith("-A"));
    assert.deepEqual(left.toSorted(), [
      "-A CNI-FORWARD -s 10.42.7.0/25 -j ACCEPT",
      "-A CNI-FORWARD -s 10.42.70.2/32 -j ACCEPT",
      '-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"podman\\" id: \\"1\\"" ' +
        "-m multiport --dports 80 -j CNI-DN-other",
      '-A POSTROUTING -s 10.99.0.0/24 -m comment --comment "skerry other" -j MASQUERADE',
    ]);
    await place.run("iptables", ["-t", "nat", "-F"]);
    await place.run("iptables", ["-t", "filter", "-F"]);
  });
});
