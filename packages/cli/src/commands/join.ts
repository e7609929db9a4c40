import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { systemClock } from "@skerry/base";
import { hardProblems, refuse } from "../checks/machine.ts";
import { UserError, type Command } from "../command.ts";
import { CONFIG_OPTIONS, requireConfig, withConfig } from "../instance/config-file.ts";
import { startInstanceDaemon } from "../instance/control.ts";
import { commandLine } from "../instance/command-line.ts";
import { waitForEdge } from "../instance/health.ts";
import { lockInstance } from "../instance/instance-lock.ts";
import { type Instance } from "../instance/instance.ts";
import { layoutOfCall } from "../instance/layout.ts";
import { checkToken, joinEdge, parseAddress } from "../instance/joining.ts";
import { keepProxies, proxiesFile, restoreProxies } from "../instance/proxies.ts";
import { settingsRequest } from "../instance/request.ts";
import { ensureSettings, readSettings } from "../instance/settings.ts";
import { installNeeds, missingNeeds } from "../setup/packages.ts";
import { Steps } from "../steps.ts";
import { removeEmptyFolders } from "./down.ts";

export const join: Command = {
  name: "join",
  operands: "HOST:PORT TOKEN",
  summary: "Make this machine an edge of the cloud whose link port is HOST:PORT, and start its agent.",
  options: { "node-name": CONFIG_OPTIONS["node-name"] },
  arity: [2, 2],
  run: async (call) => {
    const [address = "", token = ""] = call.operands;
    const server = parseAddress(address);
    const layout = layoutOfCall(call);
    using _ = lockInstance(layout, "join");
    if (existsSync(layout.identity)) {
      throw new UserError(
        `This machine has joined already (${layout.identity}); to join another cloud, first remove it with ${commandLine(layout, "down -v")}`,
      );
    }
    if ((await readSettings(layout))?.roles.includes("cloud")) {
      throw new UserError(
        `The instance in ${layout.dataDir} runs a cloud of its own; join with another --data-dir, or remove it with ${commandLine(layout, "down -v")}`,
      );
    }
    // Nothing is kept of this instance yet: what a failed attempt may have left does not count.
    const request = settingsRequest(withConfig(call, await requireConfig(layout, undefined)), {
      roles: ["edge"],
      sample: false,
      hub: server,
    });
    // Before anything is installed for it.
    checkToken(token);
    const steps = new Steps(process.stdout);
    await steps.step("machine checked", async () => {
      const nowMs = systemClock.now();
      // The ports are those of a cloud, which an edge has none of.
      const ports = { apiPort: 0, linkPort: 0 };
      refuse(await hardProblems({ layout, instance: undefined, roles: ["edge"], ...ports, env: call.env, nowMs }));
    });
    const missing = missingNeeds();
    if (missing.length > 0) {
      steps.note(`Installing with apt-get, because they are missing: ${missing.map((need) => need.package).join(" ")}`);
      await steps.step("packages installed", () => installNeeds(missing, call.signal));
    }
    // What an attempt that failed may have left, with another cloud's address in it.
    await rm(layout.settings, { force: true });
    const instance: Instance = { layout, settings: await ensureSettings(layout, request) };
    const { nodeName } = instance.settings;
    const proxies = await proxiesFile(layout);
    let hasOthers = false;
    try {
      hasOthers = await keepProxies(layout, call.env);
      await steps.step(`joined ${server.host}:${server.port} as ${nodeName}`, () =>
        joinEdge(instance, server, token, call.signal),
      );
    } catch (error) {
      await rm(layout.settings, { force: true });
      // What a person wrote there is as it was, too.
      if (hasOthers) await restoreProxies(layout, proxies);
      await removeEmptyFolders(layout);
      throw error;
    }
    await steps.step("edge started", async () => {
      await startInstanceDaemon(instance, "edge");
      await waitForEdge(instance, call.signal);
    });
  },
};
