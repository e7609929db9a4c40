/**
 * An agent in a process of its own, for tests that kill it: over a machine that is kept in a file, told by its parent what the cloud
 * wants. It answers once that is committed, as the link acknowledges.
 */
import path from "node:path";
import { createLogger } from "@skerry/base";
import type { StateChange } from "@skerry/wire";
import {
  Agent,
  linuxCgroups,
  PrivateContainerd,
  type AgentOptions,
  type PrivateContainerdOptions,
} from "../src/index.ts";
import { FakeRuntime, noCgroups, noMounts } from "../src/testing.ts";

interface Order {
  serial: number;
  changes: { op: "put" | "delete"; object: StateChange["object"]; text: string }[];
}

const [dataDir = "", placeJson = "null"] = process.argv.slice(2);
/** Where a real containerd is; without one the machine is a file. */
const place = JSON.parse(placeJson) as PrivateContainerdOptions | null;

function fakeMachine(): AgentOptions {
  const runtime = new FakeRuntime({ stateFile: path.join(dataDir, "machine.json"), registry: true });
  for (const call of ["runSandbox", "createContainer", "startContainer", "stopContainer", "pullImage"] as const) {
    runtime.setLatency(call, 5);
  }
  return { dataDir, nodeName: "n1", runtime, cgroups: noCgroups, mounts: noMounts };
}

function realMachine(options: PrivateContainerdOptions): AgentOptions {
  const containers = new PrivateContainerd(options);
  return {
    dataDir,
    nodeName: "n1",
    runtime: containers.runtime,
    cgroups: linuxCgroups({ instance: options.instance, driver: "cgroupfs" }),
    endByForce: containers.endByForce,
    log: createLogger({ name: "agent" }),
  };
}

const agent = new Agent(place ? realMachine(place) : fakeMachine());
await agent.start();
await agent.cache.inSync();
process.on("disconnect", () => process.exit(0));
process.on("message", (order: Order) => {
  const changes = order.changes.map(({ op, object, text }): StateChange =>
    op === "put" ? { op, object, bytes: Buffer.from(text) } : { op, object },
  );
  agent.cache.commit(changes).then(
    () => process.send?.({ acknowledged: order.serial }),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

/** What the cloud would be told by now. */
const report = (): void => {
  const gone = agent.cache.reports
    .after(0, 1000)
    .filter(({ item }) => item.gone)
    .map(({ item }) => item.uid);
  const running = agent.status().pods.filter((one) => one.phase === "Running" && one.ready);
  process.send?.({ gone, running: running.map((one) => one.uid), pods: agent.status().pods.map((one) => one.uid) });
};
setInterval(report, 20);
process.send?.({ ready: true });
