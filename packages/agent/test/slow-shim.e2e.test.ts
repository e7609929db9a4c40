import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@skerry/base/testing";
import { livingTasks, shimsOf } from "../src/containerd/leftovers.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";
import { containerSpec, openReady, patience, runPod, sandboxSpec } from "./test-pods.ts";

/** Whether there was a process to send the signal to. */
function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Keeps a process stopped for `ms` at a time, as one that gets no processor on a busy machine, until disposed of. */
function slowed(pid: number, ms: number): AsyncDisposable {
  const stop = new AbortController();
  const turns = (async () => {
    while (!stop.signal.aborted) {
      if (!send(pid, "SIGSTOP")) return;
      await delay(ms, undefined, { signal: stop.signal }).catch(() => {});
      if (!send(pid, "SIGCONT")) return;
      await delay(5);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await turns;
    },
  };
}

describe("A pod whose shim answers late", { concurrency: 2 }, () => {
  for (const ms of [3_000, 7_000]) {
    it(`outlives a SIGKILL of containerd when the shim is slow by ${ms} ms`, async () => {
      await using place = await EdgeSandbox.create();
      const edge = await openReady(place);
      const pod = await runPod(edge, sandboxSpec(place, "healthy"));
      const before = await edge.runtime.containerStatus(pod.containerId, patience());
      const shims = await shimsOf(edge.paths);
      const { pid } = shims[0] ?? assert.fail("the pod has no shim");

      const killed = edge.supervisor.process?.pid ?? assert.fail("containerd does not run");
      {
        await using _ = slowed(pid, ms);
        process.kill(killed, "SIGKILL");
        await eventually(() => edge.supervisor.process?.pid !== killed && edge.supervisor.problem === undefined, {
          timeoutMs: 90_000,
        });
      }

      assert.deepEqual(await shimsOf(edge.paths), shims, "the same shim");
      const after = await edge.runtime.containerStatus(pod.containerId, patience());
      assert.deepEqual([after.state, after.startedAtNs], ["running", before.startedAtNs], "the same process");
      const [sandbox] = await edge.runtime.listSandboxes(patience());
      assert.equal(sandbox?.ready, true);
    });
  }

  it("is found again by the next containerd when one could not reach it in time", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const pod = await runPod(edge, sandboxSpec(place, "healthy"));
    const before = await edge.runtime.containerStatus(pod.containerId, patience());
    const [shim] = await shimsOf(edge.paths);
    const { pid } = edge.supervisor.process ?? assert.fail("containerd does not run");
    const seen = new Set<string>();
    {
      // Longer than the ten seconds that CRI waits when it loads a sandbox.
      await using _ = slowed(shim?.pid ?? assert.fail("the pod has no shim"), 11_000);
      process.kill(pid, "SIGKILL");
      await eventually(
        async () => {
          for (const { ready } of await edge.runtime.listSandboxes(patience()).catch(() => [])) seen.add(String(ready));
          return edge.supervisor.starts === 3;
        },
        { timeoutMs: 80_000 },
      );
    }
    await edge.supervisor.whenServing(patience());
    assert.equal(seen.has("false"), false, "nobody was told that the sandbox is not ready");
    const after = await edge.runtime.containerStatus(pod.containerId, patience());
    assert.deepEqual([after.state, after.startedAtNs], ["running", before.startedAtNs], "the same process");
    const [sandbox] = await edge.runtime.listSandboxes(patience());
    assert.deepEqual([sandbox?.id, sandbox?.ready], [pod.sandboxId, true]);
  });

  it("is ended past the runtime when the shim answers no more", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const { sandboxId, containerId } = await runPod(edge, sandboxSpec(place, "stuck"));
    const healthy = await runPod(edge, sandboxSpec(place, "healthy"));
    const shims = await shimsOf(edge.paths);
    process.kill(
      shims.find((shim) => shim.sandboxId === sandboxId)?.pid ?? assert.fail("the pod has no shim"),
      "SIGSTOP",
    );
    await assert.rejects(edge.runtime.stopContainer(containerId, 0, AbortSignal.timeout(3_000)), {
      name: "TimeoutError",
    });
    const stateOf = async (id: string) => (await edge.runtime.containerStatus(id, patience())).state;
    assert.equal(await stateOf(containerId), "running");

    await edge.endByForce.sandbox(sandboxId);

    await eventually(async () => (await stateOf(containerId)) === "exited", { timeoutMs: 30_000 });
    await edge.runtime.stopSandbox(sandboxId, patience());
    await edge.runtime.removeSandbox(sandboxId, patience());
    assert.deepEqual(
      (await edge.runtime.listSandboxes(patience())).map(({ id }) => id),
      [healthy.sandboxId],
    );
    assert.equal(await stateOf(healthy.containerId), "running");
    assert.ok(!(await place.traces()).some((trace) => trace.includes(sandboxId)));
  });

  it("has one of its containers ended past CRI, and no other", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const pod = await runPod(edge, sandboxSpec(place, "two"), { name: "a" });
    const { imageRef } = await edge.runtime.containerStatus(pod.containerId, patience());
    const command = ["/bin/sh", "-c", "sleep 600"];
    const spec = containerSpec(imageRef, { name: "b", logPath: "b/0.log", command });
    const other = await edge.runtime.createContainer(pod.sandboxId, spec, pod.spec, patience());
    await edge.runtime.startContainer(other, patience());
    const stateOf = async (id: string) => (await edge.runtime.containerStatus(id, patience())).state;
    for (let times = 0; times < 2; times++) await edge.endByForce.container(pod.containerId, patience());
    assert.ok(!(await livingTasks(edge.paths)).includes(pod.containerId));
    await eventually(async () => (await stateOf(pod.containerId)) === "exited", { timeoutMs: 30_000 });
    await edge.runtime.removeContainer(pod.containerId, patience());
    assert.equal(await stateOf(other), "running");
  });

  it("is not taken for a stray while its sandbox is being made", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const making = edge.runtime.runSandbox(sandboxSpec(place, "slow"), patience());
    const [shim] = await eventually(async () => {
      const found = await shimsOf(edge.paths);
      return found.length > 0 && found;
    });
    {
      await using _ = slowed(shim?.pid ?? assert.fail("no shim"), 1_000);
      for (let n = 0; n < 3; n++) await edge.clearStrays(0, patience());
    }
    const id = await making;
    assert.deepEqual(
      (await edge.runtime.listSandboxes(patience())).map((one) => [one.id, one.ready]),
      [[id, true]],
    );
  });
});
