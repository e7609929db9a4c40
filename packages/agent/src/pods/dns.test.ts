import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeDns, podDns, podResolvConf, type NodeDns } from "./dns.ts";
import { pod } from "./edge-fixture.ts";

const STUB = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n";
const BEHIND = "# by systemd-resolved\nnameserver 192.0.2.53\nsearch lan.example\n";

describe("nodeDns()", () => {
  it("reads servers, searches and options, and keeps what no pod can reach apart", () => {
    const text =
      "# x\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver 192.0.2.53\nsearch a.example b.example\noptions ndots:2\n";
    assert.deepEqual(nodeDns(text, BEHIND), {
      servers: ["192.0.2.53"],
      ownServers: ["127.0.0.53", "fe80::1%eth0"],
      searches: ["a.example", "b.example"],
      options: ["ndots:2"],
    });
  });

  it("takes the servers behind systemd-resolved where resolv.conf names only its own, or is not there", () => {
    const behind = { servers: ["192.0.2.53"], searches: ["lan.example"], options: [] };
    assert.deepEqual(nodeDns(STUB, BEHIND), { ...behind, ownServers: ["127.0.0.53"] });
    assert.deepEqual(nodeDns("", BEHIND), { ...behind, ownServers: [] });
  });

  it("takes an address that means the host itself for one that no pod reaches", () => {
    const dns = nodeDns("nameserver 0.0.0.0\nnameserver ::\nnameserver 0.0.0.53\n", "");
    assert.deepEqual([dns.servers, dns.ownServers], [["0.0.0.53"], ["0.0.0.0", "::"]]);
  });

  it("has no server for pods where there is none", () => {
    assert.deepEqual(nodeDns("", ""), { servers: [], ownServers: [], searches: [], options: [] });
    assert.deepEqual(nodeDns(STUB, "search lan.example\n").servers, []);
  });
});

describe("podDns()", () => {
  const node: NodeDns = {
    servers: ["192.0.2.53"],
    ownServers: ["127.0.0.53"],
    searches: ["lan"],
    options: ["ndots:1"],
  };

  it("gives the node's servers, and adds what the pod says", () => {
    const dnsConfig = { nameservers: ["192.0.2.1"], searches: ["own"], options: [{ name: "ndots", value: "5" }] };
    assert.deepEqual(podDns(pod({ dnsConfig }), node), {
      servers: ["192.0.2.53", "192.0.2.1"],
      searches: ["lan", "own"],
      options: ["ndots:5"],
    });
  });

  it("gives only what the pod says for the policy None", () => {
    const dnsConfig = { nameservers: ["192.0.2.1"] };
    const expected = { servers: ["192.0.2.1"], searches: [], options: [] };
    assert.deepEqual(podDns(pod({ dnsPolicy: "None", dnsConfig }), node), expected);
  });

  it("gives the node's own servers to a pod on its network where there is no other", () => {
    const hidden = { ...node, servers: [] };
    assert.deepEqual(podDns(pod({ hostNetwork: true }), hidden).servers, ["127.0.0.53"]);
    assert.deepEqual(podDns(pod({ hostNetwork: true }), node).servers, ["192.0.2.53"]);
    assert.deepEqual(podDns(pod(), hidden).servers, []);
  });
});

describe("podResolvConf()", () => {
  const none: NodeDns = { servers: [], ownServers: ["127.0.0.53"], searches: [], options: [] };

  it("writes what there is, and a server that answers nothing where there is none", () => {
    const node = {
      ...none,
      servers: ["192.0.2.53", "192.0.2.54"],
      searches: ["a", "b"],
      options: ["ndots:1", "edns0"],
    };
    const text = "nameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch a b\noptions ndots:1 edns0\n";
    assert.equal(podResolvConf(pod(), node), text);
    assert.equal(podResolvConf(pod(), none), "nameserver 127.0.0.1\n");
    assert.equal(podResolvConf(pod({ hostNetwork: true }), none), "nameserver 127.0.0.53\n");
  });
});
