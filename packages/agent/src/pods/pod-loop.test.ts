import assert from "node:assert/strict";
import { readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import type { Pod } from "@skerry/machinery/types";
import { RuntimeError } from "../runtime/runtime.ts";
import { assertNothingLeft, containerOf, deleted, EdgeFixture, pod } from "./edge-fixture.ts";
import { CRASH_BACKOFF } from "./facts.ts";

const conditionOf = (edge: EdgeFixture, wanted: Pod, type: string) =>
  edge.reported(wanted)?.status.conditions?.find((one) => one.type === type)?.status;

describe("PodLoop", () => {
  it("runs a pod and reports it as a kubelet would", async () => {
    await using edge = await EdgeFixture.create({ registry: ["app:1"] });
    await edge.start();
    const web = pod();
    await edge.put(web);
    await edge.settle();
    const { status } = edge.reported(web) ?? assert.fail("nothing was reported");
    assert.equal(status.phase, "Running");
    assert.equal(status.podIP, "10.42.0.2");
    assert.equal(status.qosClass, "BestEffort");
    assert.equal(conditionOf(edge, web, "Ready"), "True");
    assert.equal(containerOf(edge, web)?.ready, true);
    assert.deepEqual(
      edge.events().map((event) => event.split(":")[0]),
      ["Pulling", "Pulled", "Created", "Started"],
    );
  });

  it("does nothing at all while everything is as wanted, and reports nothing twice", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    await edge.cache.reports.acknowledge(Number.MAX_SAFE_INTEGER);
    await edge.pass(300_000, 30_000);
    await edge.restart();
    await edge.pass(60_000, 30_000);
    assert.equal(edge.reported(web), undefined);
    assert.deepEqual(Object.values(edge.machine.starts), [1]);
  });

  it("restarts what crashes, with a growing wait that its status tells of", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    edge.runtime.exit("web", "main", 1);
    await edge.settle();
    assert.equal(containerOf(edge, web)?.restartCount, 1);
    assert.equal(containerOf(edge, web)?.state?.running !== undefined, true);
    edge.runtime.exit("web", "main", 3);
    await edge.settle();
    assert.equal(containerOf(edge, web)?.state?.waiting?.reason, "CrashLoopBackOff");
    assert.equal(containerOf(edge, web)?.lastState?.terminated?.exitCode, 3);
    assert.equal(edge.reported(web)?.status.phase, "Running");
    await edge.pass(9_500);
    assert.equal(edge.runtime.isRunning("web", "main"), false);
    await edge.pass(1_000);
    assert.equal(edge.runtime.isRunning("web", "main"), true);
    assert.equal(containerOf(edge, web)?.restartCount, 2);
    assert.ok(
      edge
        .events()
        .some((event) => event.startsWith("BackOff: Back-off restarting failed container main in pod web_default(")),
    );
  });

  it("says that a container was killed for its memory where the kernel does and the runtime does not", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    const kill = async (): Promise<string | undefined> => {
      edge.runtime.exit("web", "main", 137, "Error");
      await edge.settle();
      await edge.pass(CRASH_BACKOFF.maxMs);
      return containerOf(edge, web)?.lastState?.terminated?.reason;
    };
    edge.oomKills.set(web.metadata.uid ?? "", 1);
    assert.equal(await kill(), "OOMKilled");
    assert.equal(await kill(), "Error", "one kill is told once");
    edge.oomKills.set(web.metadata.uid ?? "", 2);
    assert.equal(await kill(), "OOMKilled");
    edge.oomKills.set(web.metadata.uid ?? "", 3);
    await edge.settle();
    edge.lookAtAll();
    await edge.settle();
    await edge.pass(61_000, 5_000);
    assert.equal(await kill(), "Error", "it went on without the process that was killed, and ended by something else");
    await edge.restart();
    await edge.settle();
    assert.equal(await kill(), "Error", "what was killed before the agent started is no news");
  });

  it("keeps the wait after a crash across its own restart", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    await edge.put(pod());
    await edge.settle();
    for (let crash = 0; crash < 2; crash++) {
      edge.runtime.exit("web", "main", 1);
      await edge.settle();
    }
    await edge.restart();
    await edge.settle();
    assert.equal(edge.runtime.isRunning("web", "main"), false);
    await edge.pass(11_000);
    assert.equal(edge.runtime.isRunning("web", "main"), true);
  });

  it("ends a Never pod with its exit code and last words, and keeps saying so after a reboot", async () => {
    await using edge = await EdgeFixture.create({ writesFiles: true });
    await edge.start((runtime) => runtime.addImage("app:1"));
    const job = pod({ restartPolicy: "Never" }, { args: ["exit:0", "after:5000", "last-words:all done"] }, "job");
    await edge.put(job);
    await edge.settle();
    await edge.pass(6_000);
    assert.equal(edge.reported(job)?.status.phase, "Succeeded");
    assert.equal(containerOf(edge, job)?.state?.terminated?.message, "all done");
    assert.equal(containerOf(edge, job)?.state?.terminated?.reason, "Completed");
    assert.deepEqual(Object.keys(edge.machine.sandboxes), []);
    await edge.cutPower("kept");
    await edge.start();
    await edge.settle();
    assert.equal(edge.reported(job)?.status.phase, "Succeeded");
    assert.deepEqual(Object.values(edge.machine.starts), [1]);
  });

  it("tells why an image cannot be had, waits, and tries again", async () => {
    await using edge = await EdgeFixture.create({ registry: [] });
    await edge.start();
    const web = pod();
    await edge.put(web);
    await edge.settle();
    assert.equal(containerOf(edge, web)?.state?.waiting?.reason, "ErrImagePull");
    await edge.pass(2_000);
    assert.equal(containerOf(edge, web)?.state?.waiting?.reason, "ImagePullBackOff");
    assert.equal(edge.reported(web)?.status.phase, "Pending");
    edge.runtime.publish("app:1");
    await edge.pass(10_000);
    assert.equal(edge.reported(web)?.status.phase, "Running");
    const events = edge.events();
    for (const reason of ["Pulling", "Failed", "BackOff"])
      assert.ok(
        events.some((event) => event.startsWith(reason)),
        reason,
      );
  });

  it("says of a pod that ended at its deadline nothing that a container of it still waited for", async () => {
    await using edge = await EdgeFixture.create({ registry: [] });
    await edge.start();
    const web = pod({ activeDeadlineSeconds: 20 });
    await edge.put(web);
    await edge.settle();
    assert.equal(containerOf(edge, web)?.state?.waiting?.reason, "ErrImagePull");
    await edge.pass(25_000);
    const { status } = edge.reported(web) ?? assert.fail("nothing was reported");
    assert.deepEqual([status.phase, status.reason], ["Failed", "DeadlineExceeded"]);
    assert.deepEqual(containerOf(edge, web)?.state, { waiting: {} });
  });

  it("never pulls for the policy Never", async () => {
    await using edge = await EdgeFixture.create({ registry: true });
    await edge.start();
    const web = pod({}, { imagePullPolicy: "Never" });
    await edge.put(web);
    await edge.settle();
    assert.equal(containerOf(edge, web)?.state?.waiting?.reason, "ErrImageNeverPull");
    assert.equal(edge.runtime.calls.get("pullImage"), undefined);
  });

  it("waits for a ConfigMap that is missing and goes on when it comes", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod({}, { envFrom: [{ configMapRef: { name: "settings" } }] });
    await edge.put(web);
    await edge.settle();
    const { waiting } = containerOf(edge, web)?.state ?? {};
    assert.deepEqual(waiting, { reason: "CreateContainerConfigError", message: 'configmap "settings" not found' });
    const settings = { metadata: { namespace: "default", name: "settings", uid: "c1" }, data: { COLOUR: "grey" } };
    await edge.putObject("configmaps", settings);
    await edge.settle();
    assert.equal(edge.reported(web)?.status.phase, "Running");
    const [container] = Object.values(edge.machine.containers);
    assert.deepEqual(container?.spec.env, [{ name: "COLOUR", value: "grey" }]);
  });

  it("tries a sandbox that cannot be made again", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => {
      runtime.addImage("app:1");
      runtime.failNext("runSandbox", new RuntimeError("Unknown", "no free address"));
    });
    const web = pod();
    await edge.put(web);
    await edge.settle();
    assert.deepEqual(containerOf(edge, web)?.state?.waiting, {
      reason: "ContainerCreating",
      message: "no free address",
    });
    assert.ok(edge.events().includes("FailedCreatePodSandBox: Failed to create pod sandbox: no free address"));
    await edge.pass(2_000);
    assert.equal(edge.reported(web)?.status.phase, "Running");
  });

  it("tells of the same failure again as of the same, whatever ids the runtime names in it", async () => {
    await using edge = await EdgeFixture.create();
    const digest = `sha256:${"d".repeat(64)}`;
    const failure = (id: string): RuntimeError =>
      new RuntimeError("Unknown", `task ${id.repeat(64)}: mount ${digest} at /tmp/containerd-mount${id}: no such file`);
    await edge.start((runtime) => {
      runtime.addImage("app:1");
      runtime.failNext("startContainer", failure("1"));
      runtime.failNext("startContainer", failure("2"));
    });
    const web = pod();
    await edge.put(web);
    await edge.settle();
    const message = `task <id>: mount ${digest} at /tmp/containerd-mount<id>: no such file`;
    assert.equal(containerOf(edge, web)?.state?.waiting?.message, message);
    await edge.pass(2_000);
    assert.deepEqual(
      edge.events().filter((event) => event.startsWith("Failed")),
      [`Failed: Error: ${message}`],
    );
    await edge.pass(4_000);
    assert.equal(edge.reported(web)?.status.phase, "Running");
  });

  it("makes the next instance of a container where the runtime holds the name of one that it does not show", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => {
      runtime.addImage("app:1");
      runtime.holdName("web", "main", 0);
    });
    const web = pod();
    await edge.put(web);
    await edge.settle();
    assert.equal(containerOf(edge, web)?.state?.waiting?.reason, "CreateContainerError");
    await edge.pass(2_000);
    assert.equal(edge.reported(web)?.status.phase, "Running");
    assert.deepEqual(Object.values(edge.machine.starts), [1]);
  });

  it("takes a deleted pod down and says that it is gone", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    await edge.put(deleted(web));
    await edge.settle();
    const report = edge.reported(web);
    assert.equal(report?.gone, true);
    assert.equal(report?.status.containerStatuses?.[0]?.state?.terminated?.exitCode, 143);
    await edge.drop(web);
    await edge.settle();
    await assertNothingLeft(edge);
  });

  it("waits no longer for a pod that is removed by force than its own time, whatever it was given before", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const stubborn = pod({ terminationGracePeriodSeconds: 2 }, { command: ["ignores:term"] });
    await edge.put(stubborn);
    await edge.settle();
    const began = edge.clock.now();
    await edge.put(deleted(stubborn, 300));
    while (!edge.events().some((event) => event.startsWith("Killing"))) await new Promise(setImmediate);
    await edge.drop(stubborn);
    await eventually(async () => {
      edge.clock.advance(500);
      return Object.keys(edge.machine.containers).length === 0;
    });
    assert.ok(edge.clock.now() - began < 10_000);
    await edge.settle();
    await assertNothingLeft(edge);
  });

  it("gives up a pull that takes long when the pod is deleted", async () => {
    await using edge = await EdgeFixture.create({ registry: ["app:1"] });
    await edge.start((runtime) => runtime.setLatency("pullImage", 600_000));
    const web = pod();
    await edge.put(web);
    while (!edge.events().some((event) => event.startsWith("Pulling"))) await new Promise(setImmediate);
    await edge.put(deleted(web));
    await edge.settle();
    assert.equal(edge.reported(web)?.gone, true);
    await edge.drop(web);
    await edge.settle();
    await assertNothingLeft(edge);
  });

  it("runs a pod of the same name beside the one that it replaces", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const [first, second] = [pod(), pod()];
    await edge.put(first);
    await edge.settle();
    await edge.put(second);
    await edge.settle();
    assert.deepEqual(
      Object.values(edge.machine.sandboxes).map((one) => one.spec.podUid),
      [second.metadata.uid],
    );
    assert.equal(edge.reported(second)?.status.phase, "Running");
  });

  it("does not touch a pod while the runtime is away, and finds it as it was", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    await edge.cache.reports.acknowledge(Number.MAX_SAFE_INTEGER);
    edge.runtime.setAvailable(false);
    await edge.pass(20_000, 5_000);
    edge.runtime.setAvailable(true);
    await edge.pass(5_000);
    assert.deepEqual(Object.values(edge.machine.starts), [1]);
    assert.equal(edge.reported(web), undefined);
  });

  it("leaves unknown pods alone until the cache is complete, and then removes them", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const [kept, stray] = [pod({}, {}, "kept"), pod({}, {}, "stray")];
    await edge.put(kept);
    await edge.put(stray);
    await edge.settle();
    await edge.loseCache();
    await edge.start();
    await edge.pass(300_000, 10_000); // the cloud is away: nothing is wanted, and nothing known to be unwanted
    for (const name of ["kept", "stray"]) assert.equal(edge.runtime.isRunning(name, "main"), true);
    await edge.put(kept);
    await edge.cache.inSync();
    await edge.settle();
    assert.equal(edge.runtime.isRunning("stray", "main"), false);
    assert.deepEqual(
      Object.values(edge.machine.sandboxes).map((one) => one.spec.podName),
      ["kept"],
    );
    assert.deepEqual(Object.values(edge.machine.starts), [1, 1]);
    assert.equal(edge.reported(kept)?.status.phase, "Running");
  });

  for (const restartPolicy of ["Never", "OnFailure"]) {
    it(`does not run a ${restartPolicy} pod again that has ended, though it lost its memory`, async () => {
      await using edge = await EdgeFixture.create({ writesFiles: true });
      await edge.start((runtime) => runtime.addImage("app:1"));
      const job = pod({ restartPolicy }, { args: ["exit:0", "after:5000", "last-words:all done"] }, "job");
      await edge.put(job);
      await edge.settle();
      await edge.pass(6_000);
      const { status } = edge.reported(job) ?? assert.fail("nothing was reported");
      assert.equal(status.phase, "Succeeded");
      await edge.loseCache();
      await edge.start();
      await edge.put({ ...job, status });
      await edge.cache.inSync();
      await edge.pass(60_000, 10_000);
      assert.deepEqual(Object.values(edge.machine.starts), [1]);
      assert.deepEqual(edge.cache.facts(job.metadata.uid ?? "")?.status, status);
      const log = path.join(edge.folder, "logs", "pods", `default_job_${job.metadata.uid}`, "main", "0.log");
      assert.match(await readFile(log, "utf8"), /started/);
      await edge.put(deleted(job));
      await edge.settle();
      assert.equal(edge.reported(job)?.gone, true);
      await edge.drop(job);
      await edge.settle();
      await assertNothingLeft(edge);
    });
  }

  it("counts a Never pod as failed that ran when everything of it was lost", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const job = pod({ restartPolicy: "Never" }, {}, "job");
    await edge.put(job);
    await edge.settle();
    const { status } = edge.reported(job) ?? assert.fail("nothing was reported");
    await edge.loseCache();
    edge.runtime.reboot("removed");
    await edge.start();
    await edge.put({ ...job, status });
    await edge.settle();
    assert.equal(edge.reported(job)?.status.phase, "Failed");
    assert.equal(containerOf(edge, job)?.state?.terminated?.reason, "ContainerStatusUnknown");
    assert.deepEqual(Object.values(edge.machine.starts), [1]);
  });

  it("goes on with a running pod as it is, though it lost its memory, and notices what changed meanwhile", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => ["app:1", "app:2"].forEach((image) => runtime.addImage(image)));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    edge.runtime.exit("web", "main", 1);
    await edge.settle();
    const { status } = edge.reported(web) ?? assert.fail("nothing was reported");
    await edge.loseCache();
    await edge.start();
    await edge.put({ ...web, status });
    await edge.cache.inSync();
    await edge.settle();
    assert.equal(edge.reported(web), undefined, "the cloud knows it all");
    assert.deepEqual(Object.values(edge.machine.starts), [2]);

    await edge.loseCache();
    await edge.start();
    await edge.put({ ...pod({}, { image: "app:2" }), metadata: web.metadata, status });
    await edge.settle();
    assert.equal(containerOf(edge, web)?.restartCount, 2);
    assert.equal(containerOf(edge, web)?.image, "app:2");
    assert.deepEqual(edge.machine.violations, []);
  });

  it("goes on while the disk takes no writes, and tells afterwards what happened meanwhile", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    await edge.cache.reports.acknowledge(Number.MAX_SAFE_INTEGER);
    const save = edge.cache.saveFacts.bind(edge.cache);
    edge.cache.saveFacts = () => Promise.reject(new Error("database or disk is full"));
    edge.runtime.exit("web", "main", 1);
    await edge.settle();
    assert.equal(edge.runtime.isRunning("web", "main"), true);
    assert.equal(edge.reported(web), undefined);
    await edge.put(deleted(web));
    await edge.settle();
    assert.equal(edge.reported(web), undefined);
    edge.cache.saveFacts = save;
    await edge.pass(10_000, 1_000);
    assert.equal(edge.reported(web)?.gone, true);
    assert.equal(edge.reported(web)?.status.containerStatuses?.[0]?.restartCount, 1);
  });

  it("has what vanished sandboxes left reclaimed once the runtime has settled, and never while one is being made", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => {
      runtime.addImage("app:1");
      runtime.setLatency("runSandbox", 15_000);
    });
    /** `settle` would wait for the sandbox. */
    const seconds = async (count: number): Promise<void> => {
      for (let second = 0; second < count; second++) {
        edge.clock.advance(1_000);
        for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      }
    };
    await edge.put(pod());
    while (edge.runtime.calls.get("runSandbox") !== 1) await new Promise(setImmediate);
    await seconds(12);
    assert.equal(edge.reclaimed.length, 0);
    await seconds(15);
    assert.deepEqual(edge.reclaimed, [Object.keys(edge.machine.sandboxes)]);
    assert.equal(Object.keys(edge.machine.sandboxes).length, 1);
  });

  it("removes the cgroup that a runtime made once more after its pod was taken down, and no other", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    edge.cgroups.add("of-a-pod-that-is-no-more");
    await edge.restart();
    await edge.pass(12_000, 1_000);
    assert.equal(edge.cgroups.size, 2, "which pods there are is not known before the first sync");
    await edge.cache.inSync();
    await edge.restart();
    await edge.pass(12_000, 1_000);
    assert.deepEqual([...edge.cgroups], [web.metadata.uid]);
  });

  it("starts a pod where the node has no name server that it can reach, and says so", async () => {
    await using edge = await EdgeFixture.create();
    edge.dns = { servers: [], ownServers: ["127.0.0.53"], searches: [], options: [] };
    await edge.start((runtime) => runtime.addImage("app:1"));
    const own = pod({}, {}, "own");
    const shared = pod({ hostNetwork: true }, {}, "shared");
    const named = pod({ dnsConfig: { nameservers: ["192.0.2.1"] } }, {}, "named");
    for (const one of [own, shared, named]) await edge.put(one);
    await edge.settle();
    for (const one of [own, shared, named]) assert.equal(edge.reported(one)?.status.phase, "Running");
    const servers = Object.values(edge.machine.sandboxes).map(({ spec }) => [spec.podName, spec.dns?.servers]);
    assert.deepEqual(Object.fromEntries(servers), { own: ["127.0.0.1"], shared: ["127.0.0.53"], named: ["192.0.2.1"] });
    const warnings = edge.events().filter((event) => event.startsWith("DNSConfigForming: No name is resolved"));
    assert.equal(warnings.length, 1);
  });

  it("has the resolv.conf of its pods follow the node, in the very file that containers have mounted", async () => {
    await using edge = await EdgeFixture.create();
    edge.dns = { servers: [], ownServers: [], searches: [], options: [] };
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod({}, {}, "web");
    const dnsConfig = { nameservers: ["192.0.2.1"], searches: ["own.example"] };
    const named = pod({ dnsPolicy: "None", dnsConfig }, {}, "named");
    const shared = pod({ hostNetwork: true }, {}, "shared");
    const volumeMounts = [{ name: "own", mountPath: "/etc/resolv.conf", subPath: "resolv.conf" }];
    const volumes = [{ name: "own", hostPath: { path: edge.folder } }];
    const brought = pod({ volumes }, { volumeMounts }, "brought");
    for (const one of [web, named, shared, brought]) await edge.put(one);
    await edge.settle();
    const file = (one: Pod): string => path.join(edge.folder, "pods", one.metadata.uid ?? "", "resolv.conf");
    const mountsOf = (one: Pod) =>
      Object.values(edge.machine.containers)
        .filter(({ sandboxId }) => edge.machine.sandboxes[sandboxId]?.spec.podUid === one.metadata.uid)
        .flatMap(({ spec }) => spec.mounts.filter(({ containerPath }) => containerPath === "/etc/resolv.conf"));
    for (const one of [web, named, shared]) {
      const mount = { containerPath: "/etc/resolv.conf", hostPath: file(one), readonly: true, propagation: "private" };
      assert.deepEqual(mountsOf(one), [mount]);
    }
    assert.deepEqual(
      mountsOf(brought).map(({ hostPath }) => hostPath === file(brought)),
      [false],
      "the author's own mount wins",
    );
    assert.equal(await readFile(file(web), "utf8"), "nameserver 127.0.0.1\n");
    const before = { web: await stat(file(web)), named: await stat(file(named)) };

    edge.dns = { servers: ["192.0.2.53"], ownServers: [], searches: ["a-long-one.example"], options: [] };
    edge.lookAtAll();
    await edge.settle();
    assert.equal(await readFile(file(web), "utf8"), "nameserver 192.0.2.53\nsearch a-long-one.example\n");
    edge.dns = { servers: ["192.0.2.9"], ownServers: [], searches: [], options: [] };
    edge.lookAtAll();
    await edge.settle();
    assert.equal(await readFile(file(web), "utf8"), "nameserver 192.0.2.9\n", "nothing is left of what was longer");
    assert.equal(await readFile(file(shared), "utf8"), "nameserver 192.0.2.9\n");
    const written = await stat(file(web));
    assert.equal(written.ino, before.web.ino);

    edge.lookAtAll();
    await edge.settle();
    assert.equal((await stat(file(web))).ctimeMs, written.ctimeMs, "nothing is written when nothing changed");
    assert.equal(await readFile(file(named), "utf8"), "nameserver 192.0.2.1\nsearch own.example\n");
    assert.equal((await stat(file(named))).ctimeMs, before.named.ctimeMs);
    assert.deepEqual(Object.values(edge.machine.starts), [1, 1, 1, 1]);
    const warnings = edge.events().filter((event) => event.startsWith("DNSConfigForming"));
    assert.equal(warnings.length, 3, "each was told once that had no server at its start");
  });

  it("has a pod's resolv.conf current when it comes back, and leaves containers alone that an agent without one made", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const [web, old] = [pod({}, {}, "web"), pod({}, {}, "old")];
    for (const one of [web, old]) await edge.put(one);
    await edge.settle();
    const file = (one: Pod): string => path.join(edge.folder, "pods", one.metadata.uid ?? "", "resolv.conf");
    await edge.stop();
    await rm(file(old));
    for (const { spec, sandboxId } of Object.values(edge.machine.containers)) {
      if (edge.machine.sandboxes[sandboxId]?.spec.podName !== "old") continue;
      spec.mounts = spec.mounts.filter(({ containerPath }) => containerPath !== "/etc/resolv.conf");
    }
    edge.dns = { servers: ["192.0.2.9"], ownServers: [], searches: [], options: [] };
    await edge.start();
    await edge.settle();
    for (const one of [web, old]) assert.equal(await readFile(file(one), "utf8"), "nameserver 192.0.2.9\n");
    assert.deepEqual(Object.values(edge.machine.starts), [1, 1]);
  });

  it("says once of a pod which of its fields have no effect", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    await edge.put(pod({}, { livenessProbe: { tcpSocket: { port: 80 } } }));
    await edge.settle();
    await edge.restart();
    await edge.settle();
    assert.equal(edge.events().filter((event) => event.startsWith("Unsupported: Not honoured")).length, 1);
  });

  it("says what it cannot do instead of doing it wrong", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod({ initContainers: [{ name: "first", image: "app:1" }] });
    await edge.put(web);
    await edge.settle();
    assert.equal(conditionOf(edge, web, "Initialized"), "False");
    assert.equal(edge.reported(web)?.status.phase, "Pending");
    assert.deepEqual(Object.keys(edge.machine.sandboxes), []);
    assert.ok(edge.events().some((event) => event.includes("initContainers")));
  });
});
