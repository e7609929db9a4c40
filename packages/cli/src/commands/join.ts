import { existsSync } from "node:fs";
import { UserError, type Command } from "../command.ts";
import { startInstanceDaemon } from "../instance/control.ts";
import { waitForEdge } from "../instance/health.ts";
import { layoutOfCall, type Instance } from "../instance/instance.ts";
import { joinEdge, parseAddress } from "../instance/joining.ts";
import { settingsRequest } from "../instance/request.ts";
import { ensureSettings } from "../instance/settings.ts";
import { installNeeds, missingNeeds } from "../setup/packages.ts";
import { Steps } from "../steps.ts";

export const join: Command = {
  name: "join",
  operands: "HOST:PORT TOKEN",
  summary: "Make this machine an edge of the cloud whose link port is HOST:PORT, and start its agent.",
  options: { "node-name": { type: "string", value: "NAME", summary: "Of this machine as a node (its host name)" } },
  arity: [2, 2],
  run: async (call) => {
    const [address = "", token = ""] = call.operands;
    const server = parseAddress(address);
    const layout = layoutOfCall(call);
    if (existsSync(layout.identity)) {
      throw new UserError(
        `This machine has joined already (${layout.identity}); to join another cloud, first remove it with skerry down -v`,
      );
    }
    const steps = new Steps(process.stdout);
    const missing = missingNeeds();
    if (missing.length > 0) {
      steps.note(`Installing with apt-get, because they are missing: ${missing.map((need) => need.package).join(" ")}`);
      await steps.step("packages installed", () => installNeeds(missing, call.signal));
    }
    const settings = await ensureSettings(
      layout,
      settingsRequest(call, { roles: ["edge"], sample: false, hub: server }),
    );
    const instance: Instance = { layout, settings };
    await steps.step(`joined ${server.host}:${server.port} as ${settings.nodeName}`, () =>
      joinEdge(instance, server, token, call.signal),
    );
    await steps.step("edge started", async () => {
      await startInstanceDaemon(instance, "edge");
      await waitForEdge(instance, call.signal);
    });
  },
};
