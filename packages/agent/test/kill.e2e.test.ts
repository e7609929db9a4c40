import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import type { PrivateContainerd } from "../src/containerd/private-containerd.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";
import { openReady, patience, runPod, sandboxSpec } from "./test-pods.ts";

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const seed = Number(process.env["SKERRY_TEST_SEED"] ?? Date.now() % 1_000_000);

/** What a pod leaves that is not taken down; containerd itself and the shared network are not a pod's. */
async function podTraces(place: EdgeSandbox): Promise<string[]> {
  const traces = await place.traces();
  return traces.filter((trace) =>
    /^(mount|shim socket|CNI result|link veth|rule -[AN] CNI-DN)|containerd-shim|rule .*(10\.42\.7\.\d+\/32|dnat name)/.test(
      trace,
    ),
  );
}

async function settled(edge: PrivateContainerd, place: EdgeSandbox): Promise<void> {
  await edge.removePods(0, patience());
  await eventually(async () => {
    // As every agent does in time.
    await edge.clearStrays(0, patience());
    assert.deepEqual(await podTraces(place), []);
    return true;
  });
  assert.deepEqual([...(await edge.network.holders(patience()))], [], "no address is held");
}

describe(`Containers whose making is interrupted (SKERRY_TEST_SEED=${seed})`, { concurrency: 2 }, () => {
  it("leave nothing when whoever makes them is killed", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const random = randomOf(seed);
    for (let round = 0; round < 8; round++) {
      // Closing its connection is what containerd sees of the death of its client.
      const dying = place.open();
      const spec = sandboxSpec(place, `a${round}`, { portMappings: [tcp(18100)] });
      const making = runPod(dying, spec).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, random() * 350));
      await dying[Symbol.asyncDispose]();
      await making;
      await settled(edge, place);
    }
    await edge.remove({ data: true }, patience());
    assert.deepEqual(await place.traces(), []);
  });

  it("leave nothing when containerd is killed", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const random = randomOf(seed + 1);
    for (let round = 0; round < 8; round++) {
      const making = [0, 1].map((n) =>
        runPod(edge, sandboxSpec(place, `c${round}-${n}`, { portMappings: [tcp(18200 + n)] })).catch(() => {}),
      );
      await new Promise((resolve) => setTimeout(resolve, random() * 450));
      const { pid } = edge.supervisor.process ?? assert.fail("containerd does not run");
      process.kill(pid, "SIGKILL");
      await Promise.all(making);
      await eventually(() => edge.supervisor.process?.pid !== pid && edge.supervisor.problem === undefined);
      await settled(edge, place);
    }
    await edge.remove({ data: true }, patience());
    assert.deepEqual(await place.traces(), []);
  });
});

function tcp(port: number): { protocol: "TCP"; containerPort: number; hostPort: number; hostIp: string } {
  return { protocol: "TCP", containerPort: 8080, hostPort: port, hostIp: "" };
}
