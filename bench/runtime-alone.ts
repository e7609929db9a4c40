import path from "node:path";
import { CriRuntime, GrpcClient, HELLO_IMAGE } from "@skerry/agent";
import { containerSpec, sandboxSpec } from "../packages/agent/test/test-pods.ts";
import { layoutOf } from "../packages/cli/src/instance/layout.ts";
import { readSettings } from "../packages/cli/src/instance/settings.ts";
import type { Machine } from "../test/system/machine.ts";

/** What containerd itself takes for a pod, network included, asked by nobody but us: sandbox, container and its start, in milliseconds. */
export async function runtimeAlone(machine: Machine, count: number): Promise<number[]> {
  await using client = new GrpcClient({ socketPath: path.join(machine.dataDir, "run/containerd/containerd.sock") });
  const runtime = new CriRuntime({ client, instance: "bench" });
  // Below the instance's cgroups, which are removed with it.
  const settings = await readSettings(layoutOf(machine.dataDir));
  const place = { dir: machine.dataDir, instance: settings?.id ?? "bench" };
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const signal = AbortSignal.timeout(60_000);
    const image = await runtime.imageStatus(HELLO_IMAGE, signal);
    const sandbox = sandboxSpec(place, `bench-${i}`);
    const began = performance.now();
    const id = await runtime.runSandbox(sandbox, signal);
    try {
      const container = await runtime.createContainer(id, containerSpec(image?.id ?? ""), sandbox, signal);
      await runtime.startContainer(container, signal);
      times.push(performance.now() - began);
    } finally {
      await runtime.stopSandbox(id, signal);
      await runtime.removeSandbox(id, signal);
    }
  }
  return times;
}
