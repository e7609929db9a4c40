import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { silentLogger } from "@skerry/base";
import { FakeClock } from "@skerry/base/testing";
import type { NodeStatus } from "@skerry/machinery/types";
import { EdgeCache } from "../cache/edge-cache.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import { defaultRouteInterface, hostAddresses, readMachine, type MachineFacts } from "./machine-facts.ts";
import { NodeReporter } from "./node-reporter.ts";
import { nodeStatus, withoutHeartbeats, type NodeStatusInput } from "./node-status.ts";

const GIB = 2 ** 30;
const T0 = Date.UTC(2026, 0, 1);

const machine: MachineFacts = {
  hostname: "gate",
  addresses: ["192.0.2.1"],
  cpus: 4,
  memoryBytes: 2 * GIB,
  memoryAvailableBytes: GIB,
  storageBytes: 20 * GIB,
  storageAvailableBytes: 10 * GIB,
  maxPids: 32_768,
  pids: 200,
  architecture: "arm64",
  kernel: "6.12",
  osImage: "Debian GNU/Linux 13",
  machineId: "m",
  bootId: "b",
  dns: { servers: [], ownServers: [], searches: [], options: [] },
  hosts: "",
};

const statusOf = (over: Partial<NodeStatusInput> = {}): NodeStatus =>
  nodeStatus({
    machine,
    runtimeVersion: "containerd://1.6.20",
    version: "v1.35.0+skerry",
    maxPods: 110,
    problems: [],
    before: undefined,
    nowMs: T0,
    ...over,
  });

const conditionOf = (status: NodeStatus, type: string) => status.conditions?.find((one) => one.type === type);

describe("nodeStatus()", () => {
  it("says what the machine has and what pods can have of it", () => {
    const status = statusOf();
    assert.deepEqual(status.capacity, {
      cpu: "4",
      memory: "2097152Ki",
      "ephemeral-storage": "20971520Ki",
      pods: "110",
    });
    assert.equal(status.allocatable?.["memory"], `${2097152 - 102400}Ki`);
    assert.deepEqual(status.addresses, [
      { type: "InternalIP", address: "192.0.2.1" },
      { type: "Hostname", address: "gate" },
    ]);
    assert.equal(status.nodeInfo?.architecture, "arm64");
    assert.equal(conditionOf(status, "Ready")?.status, "True");
    assert.equal(conditionOf(status, "DiskPressure")?.reason, "KubeletHasNoDiskPressure");
  });

  it("is not ready while there are problems, since the first of them", () => {
    const good = statusOf();
    const bad = statusOf({ before: good, problems: ["container runtime is not ready: gone"], nowMs: T0 + 5_000 });
    const ready = conditionOf(bad, "Ready");
    assert.deepEqual([ready?.status, ready?.reason], ["False", "KubeletNotReady"]);
    assert.equal(ready?.lastTransitionTime, "2026-01-01T00:00:05Z");
    const still = statusOf({ before: bad, problems: ["container runtime is not ready: gone"], nowMs: T0 + 9_000 });
    assert.equal(conditionOf(still, "Ready")?.lastTransitionTime, "2026-01-01T00:00:05Z");
    assert.equal(withoutHeartbeats(still), withoutHeartbeats(bad));
  });

  it("is not another for memory that comes and goes", () => {
    const before = statusOf();
    const after = statusOf({ before, machine: { ...machine, memoryAvailableBytes: GIB / 2 }, nowMs: T0 + 60_000 });
    assert.equal(withoutHeartbeats(after), withoutHeartbeats(before));
  });

  it("keeps a pressure for five minutes after it ended", () => {
    const full = statusOf({ machine: { ...machine, storageAvailableBytes: GIB } });
    assert.equal(conditionOf(full, "DiskPressure")?.status, "True");
    assert.equal(conditionOf(statusOf({ before: full, nowMs: T0 + 60_000 }), "DiskPressure")?.status, "True");
    const kept = statusOf({ before: full, nowMs: T0 + 200_000 });
    assert.equal(conditionOf(statusOf({ before: kept, nowMs: T0 + 301_000 }), "DiskPressure")?.status, "False");
  });
});

describe("NodeReporter", () => {
  it("counts the five minutes from the last look that found the pressure, reported or not", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "skerry-node-"));
    const clock = new FakeClock(T0);
    await using cache = EdgeCache.open(path.join(folder, "cache.db"), { clock, log: silentLogger });
    let storageAvailableBytes = GIB;
    const reporter = new NodeReporter({
      nodeName: "gate",
      version: "v1.35.0+skerry",
      runtime: new FakeRuntime({ clock }),
      cache,
      clock,
      log: silentLogger,
      readMachine: async () => ({ ...machine, storageAvailableBytes }),
      problems: () => [],
    });
    const reported = async (): Promise<string | undefined> => {
      await reporter.look();
      const [entry] = cache.reports.after(0, 1);
      const { status } = JSON.parse(Buffer.from(entry?.item.bytes ?? []).toString()) as { status: NodeStatus };
      return conditionOf(status, "DiskPressure")?.status;
    };
    assert.equal(await reported(), "True");
    clock.advance(600_000);
    assert.equal(await reported(), "True");
    storageAvailableBytes = 10 * GIB;
    clock.advance(5_000);
    assert.equal(await reported(), "True", "it ended a moment ago");
    clock.advance(300_000);
    assert.equal(await reported(), "False");
    await rm(folder, { recursive: true });
  });
});

describe("hostAddresses()", () => {
  const entry = (address: string, family: "IPv4" | "IPv6" = "IPv4", internal = false) => {
    const common = { address, netmask: "", mac: "", internal, cidr: null };
    return family === "IPv4" ? { ...common, family } : { ...common, family, scopeid: 0 };
  };

  it("takes the default route's, and neither bridges' nor link-local ones", () => {
    const interfaces = {
      lo: [entry("127.0.0.1", "IPv4", true)],
      docker0: [entry("172.17.0.1")],
      eth0: [entry("192.0.2.1"), entry("fe80::1", "IPv6")],
      wlan0: [entry("198.51.100.7"), entry("2001:db8::7", "IPv6")],
    };
    assert.deepEqual(hostAddresses(interfaces, "wlan0"), ["198.51.100.7", "2001:db8::7"]);
    assert.deepEqual(hostAddresses(interfaces, undefined)[0], "192.0.2.1");
  });

  it("is loopback on a machine that has nothing else", () => {
    assert.deepEqual(hostAddresses({ lo: [entry("127.0.0.1", "IPv4", true)] }, undefined), ["127.0.0.1"]);
  });
});

describe("the machine's own files", () => {
  it("tell the default route's interface", () => {
    const routes =
      "Iface\tDestination\tGateway \tFlags\neth0\t000200C0\t00000000\t0001\nwlan0\t00000000\t010200C0\t0003\n";
    assert.equal(defaultRouteInterface(routes), "wlan0");
    assert.equal(defaultRouteInterface(""), undefined);
  });

  it("can be read here", async () => {
    const facts = await readMachine(tmpdir());
    assert.ok(facts.memoryBytes > 0 && facts.storageBytes > 0 && facts.cpus > 0);
    assert.match(facts.bootId, /^[0-9a-f-]{36}$/);
    assert.ok(facts.addresses.length > 0);
  });
});
