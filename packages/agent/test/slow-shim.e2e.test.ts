import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@skerry/base/testing";
import { shimsOf } from "../src/containerd/leftovers.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";
import { openReady, patience, runPod, sandboxSpec } from "./test-pods.ts";

/** Keeps a process stopped for `ms` at a time, as one that gets no processor on a busy machine, until disposed of. */
function slowed(pid: number, ms: number): AsyncDisposable {
  const stop = new AbortController();
  const turns = (async () => {
    while (!stop.signal.aborted) {
      process.kill(pid, "SIGSTOP");
      await delay(ms, undefined, { signal: stop.signal }).catch(() => {});
      process.kill(pid, "SIGCONT");
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
});
