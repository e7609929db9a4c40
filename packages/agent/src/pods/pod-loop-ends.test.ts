import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "@skerry/machinery/types";
import type { FakeCall } from "../runtime/fake/fake-runtime.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { containerOf, deleted, EdgeFixture, pod } from "./edge-fixture.ts";

describe("PodLoop, when the runtime does not end a pod in its time,", () => {
  const late = new RuntimeError("TimedOut", "StopContainer took longer than 120000 ms");

  for (const call of ["stopContainer", "stopSandbox", "removeSandbox"] as const) {
    it(`ends a deleted one by force after ${call}, and says so`, async () => {
      await using edge = await EdgeFixture.create();
      await edge.start((runtime) => runtime.addImage("app:1"));
      const web = pod();
      await edge.put(web);
      await edge.settle();
      const [sandbox] = Object.keys(edge.machine.sandboxes);
      edge.runtime.failNext(call, late);
      await edge.put(deleted(web));
      await edge.pass(2_000);
      assert.deepEqual(edge.endedByForce, [sandbox]);
      assert.equal(edge.reported(web)?.gone, true);
      assert.deepEqual(edge.machine.sandboxes, {});
      const events = edge.events();
      assert.ok(events.includes(`FailedKillPod: error killing pod: ${late.message}`), events.join());
      const forced = "Killing: The container runtime cannot end the pod: its processes are ended by force";
      assert.ok(events.includes(forced), events.join());
    });
  }

  const unseen = new RuntimeError("StillRunning", "cannot delete running task");

  it("ends a sandbox by force in which something runs that the runtime has lost sight of", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    const [sandbox] = Object.keys(edge.machine.sandboxes);
    edge.runtime.failNext("removeSandbox", unseen);
    await edge.put(deleted(web));
    await edge.pass(2_000);
    assert.deepEqual(edge.endedByForce, [sandbox]);
    assert.equal(edge.reported(web)?.gone, true);
  });

  it("ends a container by force that the runtime has lost sight of, before the next one is made", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    const [lost] = Object.keys(edge.machine.containers);
    edge.runtime.exit("web", "main", 128, "StartError");
    edge.runtime.failNext("removeContainer", unseen);
    const made: string[] = [];
    edge.runtime.setHook((call, when) => {
      if (when === "before" && (call === "removeContainer" || call === "createContainer")) made.push(call);
    });
    await edge.pass(12_000);
    assert.deepEqual(edge.endedByForce, [lost]);
    assert.deepEqual(made, ["removeContainer", "removeContainer", "createContainer"]);
    assert.equal(containerOf(edge, web)?.restartCount, 1);
    assert.ok(edge.events().some((text) => text.includes("has lost sight of container main")));
  });

  it("leaves one alone that is to go on", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => {
      runtime.addImage("app:1");
      runtime.addImage("app:2");
    });
    const web = pod();
    await edge.put(web);
    await edge.settle();
    edge.runtime.failNext("stopContainer", late);
    const [main] = web.spec?.containers ?? [];
    await edge.put({ ...web, spec: { ...web.spec, containers: [{ ...main, name: "main", image: "app:2" }] } });
    await edge.pass(2_000);
    assert.deepEqual(edge.endedByForce, []);
    assert.equal(containerOf(edge, web)?.image, "app:2");
  });

  it("does not take one for stuck that the runtime fails to end for another reason", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    edge.runtime.failNext("stopContainer", new RuntimeError("Unknown", "oops"));
    await edge.put(deleted(web));
    await edge.pass(2_000);
    assert.deepEqual(edge.endedByForce, []);
    assert.equal(edge.reported(web)?.gone, true);
  });
});

describe("PodLoop, when a container ran out of memory,", () => {
  const terminated = (edge: EdgeFixture, wanted: Pod) => containerOf(edge, wanted)?.state?.terminated;
  const idOf = (edge: EdgeFixture): string => Object.keys(edge.machine.containers).at(-1) ?? assert.fail();

  for (const when of ["before", "after"] as const) {
    it(`says so, told ${when} its end`, async () => {
      await using edge = await EdgeFixture.create();
      await edge.start((runtime) => runtime.addImage("app:1"));
      const job = pod({ restartPolicy: "Never" }, {}, "job");
      await edge.put(job);
      await edge.settle();
      const id = idOf(edge);
      if (when === "before") edge.runtime.runOutOfMemory(id);
      edge.runtime.exit("job", "main", 137);
      await edge.settle();
      if (when === "after") {
        assert.equal(terminated(edge, job)?.reason, "Error");
        edge.runtime.runOutOfMemory(id);
        await edge.settle();
      }
      assert.deepEqual([terminated(edge, job)?.reason, terminated(edge, job)?.exitCode], ["OOMKilled", 137]);
      await edge.restart();
      await edge.settle();
      assert.equal(terminated(edge, job)?.reason, "OOMKilled");
    });
  }

  it("says so of the instance before, told when the next one runs and the record of it is removed", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    const id = idOf(edge);
    edge.runtime.exit("web", "main", 137);
    await edge.settle();
    assert.equal(edge.machine.containers[id], undefined);
    edge.runtime.runOutOfMemory(id);
    await edge.settle();
    assert.equal(containerOf(edge, web)?.lastState?.terminated?.reason, "OOMKilled");
    assert.ok(containerOf(edge, web)?.state?.running);
  });

  it("says so, told only to the runtime while the agent was away", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    // The second crash in a row waits for its next instance, so its record is still there.
    for (const _ of [1, 2]) {
      edge.runtime.exit("web", "main", 137);
      await edge.settle();
    }
    assert.equal(containerOf(edge, web)?.lastState?.terminated?.reason, "Error");
    await edge.stop();
    edge.runtime.runOutOfMemory(idOf(edge));
    await edge.start();
    await edge.settle();
    assert.equal(containerOf(edge, web)?.lastState?.terminated?.reason, "OOMKilled");
  });

  it("says nothing of it when a process of it was ended, and it went on and ended well", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const job = pod({ restartPolicy: "Never" }, {}, "job");
    await edge.put(job);
    await edge.settle();
    edge.runtime.runOutOfMemory(idOf(edge));
    await edge.settle();
    assert.ok(containerOf(edge, job)?.state?.running);
    edge.runtime.exit("job", "main", 0);
    await edge.settle();
    assert.deepEqual([terminated(edge, job)?.reason, edge.reported(job)?.status.phase], ["Completed", "Succeeded"]);
  });
});

describe("PodLoop after a reboot", () => {
  for (const records of ["kept", "removed"] as const) {
    it(`with the runtime's records ${records} runs again what its policy says, at once, and ends what it does not`, async () => {
      await using edge = await EdgeFixture.create();
      await edge.start((runtime) => runtime.addImage("app:1"));
      const ports = [{ containerPort: 80, hostPort: 8080 }];
      const pods = {
        always: pod({}, { ports }, "always"),
        onFailure: pod({ restartPolicy: "OnFailure" }, {}, "on-failure"),
        never: pod({ restartPolicy: "Never" }, {}, "never"),
      };
      for (const one of Object.values(pods)) await edge.put(one);
      await edge.settle();
      // A crash loop does not make the reboot wait.
      for (let crash = 0; crash < 2; crash++) {
        edge.runtime.exit("always", "main", 1);
        await edge.settle();
      }
      await edge.cutPower(records);
      await edge.start();
      await edge.settle();
      assert.equal(edge.reported(pods.always)?.status.phase, "Running");
      const sandbox = Object.values(edge.machine.sandboxes).find((one) => one.spec.podName === "always");
      assert.equal(edge.reported(pods.always)?.status.podIP, sandbox?.ip);
      assert.equal(edge.reported(pods.onFailure)?.status.phase, "Running");
      assert.equal(containerOf(edge, pods.onFailure)?.restartCount, 1);
      assert.equal(edge.reported(pods.never)?.status.phase, "Failed");
      const ended = containerOf(edge, pods.never)?.state?.terminated;
      assert.equal(ended?.exitCode, records === "kept" ? 255 : 137);
      assert.deepEqual(edge.machine.violations, []);
      assert.equal(Object.keys(edge.machine.sandboxes).length, 2);
    });
  }
});

describe("PodLoop after the instance was taken down", () => {
  it("runs again at once what was restarted before, for it did not crash", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const web = pod();
    await edge.put(web);
    await edge.settle();
    edge.runtime.exit("web", "main", 1);
    await edge.settle();
    for (const restarts of [2, 3]) {
      await edge.takeDown();
      await edge.start();
      await edge.settle();
      assert.deepEqual([containerOf(edge, web)?.restartCount, containerOf(edge, web)?.ready], [restarts, true]);
    }
    edge.runtime.exit("web", "main", 1);
    await edge.settle();
    assert.equal(containerOf(edge, web)?.state?.waiting?.reason, "CrashLoopBackOff", "a crash is still one");
  });
});

describe("PodLoop with a pod that has a deadline", () => {
  const YEARS_MS = 50 * 365 * 86_400_000;

  async function running(edge: EdgeFixture, wanted: Pod): Promise<void> {
    await edge.start((runtime) => runtime.addImage("app:1"));
    await edge.put(wanted);
    await edge.settle();
  }

  for (const [where, jumpMs] of [
    ["ahead", YEARS_MS],
    ["back", -YEARS_MS],
  ] as const) {
    it(`ends it after that time of running though the wall clock jumps ${where}, also while the agent is away`, async () => {
      await using edge = await EdgeFixture.create();
      const wanted = pod({ activeDeadlineSeconds: 60 });
      await running(edge, wanted);
      await edge.pass(20_000, 5_000);
      edge.clock.jump(jumpMs);
      await edge.stop();
      edge.clock.advance(20_000);
      edge.clock.jump(jumpMs);
      await edge.start();
      await edge.pass(19_000, 1_000);
      assert.equal(edge.runtime.isRunning("web", "main"), true);
      await edge.pass(2_000, 1_000);
      assert.equal(edge.runtime.isRunning("web", "main"), false);
      const { phase, reason } = edge.reported(wanted)?.status ?? {};
      assert.deepEqual([phase, reason], ["Failed", "DeadlineExceeded"]);
    });
  }

  it("goes on after a reboot with what had been counted at most a minute before, whatever the clock says and however long it was off", async () => {
    await using edge = await EdgeFixture.create();
    await running(edge, pod({ activeDeadlineSeconds: 600 }));
    for (const [wallMs, runs] of [
      [0, true],
      [YEARS_MS * 2, false],
    ] as const) {
      await edge.pass(290_000, 10_000);
      assert.equal(edge.runtime.isRunning("web", "main"), true);
      await edge.cutPower("removed", wallMs);
      await edge.start();
      await edge.settle();
      if (!runs) await edge.pass(150_000, 10_000); // 20 s are left, and what the two reboots took
      assert.equal(edge.runtime.isRunning("web", "main"), runs);
    }
  });

  it("writes for that at most twenty times, and for a pod without one never", async () => {
    await using edge = await EdgeFixture.create();
    await running(edge, pod({ activeDeadlineSeconds: 7_200 }, {}, "late"));
    await edge.put(pod({}, {}, "endless"));
    await edge.settle();
    const saved: string[] = [];
    const save = edge.cache.saveFacts.bind(edge.cache);
    edge.cache.saveFacts = (facts, report) => {
      saved.push(facts.name);
      return save(facts, report);
    };
    await edge.pass(7_100_000, 50_000);
    assert.equal(edge.runtime.isRunning("late", "main"), true);
    assert.deepEqual(new Set(saved), new Set(["late"]));
    assert.ok(saved.length > 10 && saved.length <= 20, `${saved.length} writes`);
  });
});

describe("PodLoop when the power fails as a Never pod starts", () => {
  const job = (): Pod => pod({ restartPolicy: "Never" }, {}, "job");

  /** Cuts the power at a call of the runtime, and boots again. */
  async function cutPower(
    edge: EdgeFixture,
    wanted: Pod,
    [call, when]: [call: FakeCall, when: "before" | "after"],
    records: "kept" | "removed",
  ): Promise<void> {
    await edge.start((runtime) => runtime.addImage("app:1"));
    const failed = Promise.withResolvers<void>();
    edge.runtime.setHook((...at) => {
      if (at[0] !== call || at[1] !== when) return;
      failed.resolve();
      throw new RuntimeError("Unavailable", "the power is cut");
    });
    await edge.put(wanted);
    await failed.promise;
    await edge.cutPower(records);
  }

  const assertLost = (edge: EdgeFixture, wanted: Pod, starts: number): void => {
    assert.equal(edge.reported(wanted)?.status.phase, "Failed");
    const { reason, exitCode } = containerOf(edge, wanted)?.state?.terminated ?? {};
    assert.deepEqual([reason, exitCode], ["ContainerStatusUnknown", 137]);
    assert.equal(edge.machine.starts[`${wanted.metadata.uid}/main`] ?? 0, starts);
    assert.deepEqual(edge.machine.sandboxes, {});
  };

  for (const records of ["kept", "removed"] as const) {
    it(`before that is on record, runs it after the boot, with the runtime's records ${records}`, async () => {
      await using edge = await EdgeFixture.create();
      const wanted = job();
      await cutPower(edge, wanted, ["createContainer", "after"], records);
      await edge.start();
      await edge.settle();
      assert.equal(edge.reported(wanted)?.status.phase, "Running");
      assert.deepEqual(Object.values(edge.machine.starts), [1]);
    });

    it(`once that is on record, takes it to have run, with the runtime's records ${records}`, async () => {
      await using edge = await EdgeFixture.create();
      const wanted = job();
      await cutPower(edge, wanted, ["startContainer", "before"], records);
      await edge.start();
      await edge.settle();
      assertLost(edge, wanted, 0);
    });
  }

  it("and it ran, does not run it again though the runtime lost its records", async () => {
    await using edge = await EdgeFixture.create();
    const wanted = job();
    await cutPower(edge, wanted, ["startContainer", "after"], "removed");
    await edge.start();
    await edge.settle();
    assertLost(edge, wanted, 1);
  });

  it("and it ran, does not run it again though the runtime remembers it only as made", async () => {
    await using edge = await EdgeFixture.create();
    const wanted = job();
    await cutPower(edge, wanted, ["startContainer", "after"], "kept");
    for (const one of Object.values(edge.machine.containers)) Object.assign(one, { state: "created", startedAtMs: 0 });
    await edge.start();
    await edge.settle();
    assertLost(edge, wanted, 1);
  });

  it("starts it if only the agent died once that was on record", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const died = Promise.withResolvers<void>();
    edge.runtime.setHook((call) => {
      if (call !== "startContainer") return;
      died.resolve();
      throw new RuntimeError("Unavailable", "the agent is dead");
    });
    const wanted = job();
    await edge.put(wanted);
    await died.promise;
    await edge.restart();
    await edge.settle();
    assert.equal(edge.reported(wanted)?.status.phase, "Running");
    assert.deepEqual(Object.values(edge.machine.starts), [1]);
  });

  it("does not start it before the disk takes the record, and writes no more for others than their status", async () => {
    await using edge = await EdgeFixture.create();
    await edge.start((runtime) => runtime.addImage("app:1"));
    const saved: string[] = [];
    const save = edge.cache.saveFacts.bind(edge.cache);
    edge.cache.saveFacts = (facts, report) => {
      saved.push(facts.name);
      return facts.name === "job" ? Promise.reject(new Error("database or disk is full")) : save(facts, report);
    };
    const [once, web] = [job(), pod()];
    await edge.put(once);
    await edge.put(web);
    await edge.settle();
    assert.equal(edge.reported(web)?.status.phase, "Running");
    assert.equal(saved.filter((name) => name === "web").length, 1);
    assert.equal(edge.runtime.isRunning("job", "main"), false);
    assert.ok(
      edge.events().some((event) => /^Failed: Error: Cannot start container main, .*disk is full$/.test(event)),
    );
    edge.cache.saveFacts = save;
    await edge.pass(10_000, 1_000);
    assert.equal(edge.reported(once)?.status.phase, "Running");
    assert.equal(containerOf(edge, once)?.restartCount, 0);
  });
});
