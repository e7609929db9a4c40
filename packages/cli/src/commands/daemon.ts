import type { Command } from "../command.ts";
import {
  killInstanceDaemon,
  runningDaemon,
  startInstanceDaemon,
  stopForProxies,
  stopInstanceDaemon,
} from "../instance/control.ts";
import { requireConfig } from "../instance/config-file.ts";
import { lockInstance } from "../instance/instance-lock.ts";
import { requireInstance } from "../instance/instance.ts";
import { layoutOfCall, type Daemon } from "../instance/layout.ts";
import { waitForCloud, waitForEdge } from "../instance/health.ts";

/** What is said of an edge that was stopped for them. */
export const OTHER_PROXIES = "The proxies are others than before, so the edge is started again with them; pods go on";

export const daemonStart = (daemon: Daemon): Command => ({
  name: `${daemon} start`,
  summary:
    daemon === "edge"
      ? "Start the edge of this instance. One that runs is let be, unless the environment names other proxies: it is started again with them."
      : "Start the cloud of this instance; nothing happens when it runs.",
  run: async (call) => {
    using _ = lockInstance(layoutOfCall(call), `${daemon} start`);
    const instance = await requireInstance(call, daemon);
    await requireConfig(instance.layout, instance.settings);
    if (daemon === "edge" && (await stopForProxies(instance, call.env))) console.log(OTHER_PROXIES);
    await startInstanceDaemon(instance, daemon);
    await (daemon === "cloud" ? waitForCloud(instance, call.signal) : waitForEdge(instance, call.signal));
    console.log(`${daemon} runs as process ${(await runningDaemon(instance, daemon))?.pid}`);
  },
});

export const daemonStop = (daemon: Daemon): Command => ({
  name: `${daemon} stop`,
  summary: `Stop the ${daemon} of this instance alone. Pods go on.`,
  run: async (call) => {
    using _ = lockInstance(layoutOfCall(call), `${daemon} stop`);
    const instance = await requireInstance(call, daemon);
    await stopInstanceDaemon(instance, daemon);
    console.log(`${daemon} is stopped`);
  },
});

export const edgeKill: Command = {
  name: "edge kill",
  summary: "Kill the edge's agent alone with SIGKILL, as a crash would. Pods go on.",
  run: async (call) => {
    const instance = await requireInstance(call, "edge");
    await killInstanceDaemon(instance, "edge");
    console.log("edge is killed");
  },
};
