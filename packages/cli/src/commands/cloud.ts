import path from "node:path";
import { createLogger, readPidFile } from "@skerry/base";
import { SqliteLog } from "@skerry/store";
import { UserError, type Command } from "../command.ts";
import { Cloud } from "../daemons/cloud.ts";
import { collectWhenIdle, logLevelOf, untilStopped } from "../daemons/life.ts";
import { CONFIG_OPTIONS, configText, readConfig, requireConfig, withConfig } from "../instance/config-file.ts";
import { layoutOfCall, logFileOf, pidFileOf } from "../instance/layout.ts";
import { settingsRequest } from "../instance/request.ts";
import { ensureSettings, readSettings, requireRole } from "../instance/settings.ts";
import { VERSION } from "../version.ts";

export const cloud: Command = {
  name: "cloud",
  summary:
    "The control plane in the foreground: API, controllers and hub. cloud start and cloud stop control it as a daemon.",
  options: {
    "api-port": CONFIG_OPTIONS["api-port"],
    "link-port": CONFIG_OPTIONS["link-port"],
    "cluster-cidr": CONFIG_OPTIONS["cluster-cidr"],
    "log-level": CONFIG_OPTIONS["log-level"],
    "print-config": { type: "boolean", summary: "Print what it would run with, and end" },
  },
  run: async (asked) => {
    const layout = layoutOfCall(asked);
    const kept = await readSettings(layout);
    if (kept) requireRole(layout, kept, "cloud");
    // One that is made already goes on with what its config file says rightly; what is made of it wrongly would stay.
    const goesOn = kept !== undefined && !asked.flag("print-config");
    const config = await (goesOn ? readConfig : requireConfig)(layout, kept);
    const call = withConfig(asked, config);
    const request = settingsRequest(call, { roles: ["cloud"], sample: false }, kept);
    const level = logLevelOf(call);
    if (call.flag("print-config")) {
      console.log(configText(call, kept, ["api-port", "link-port", "cluster-cidr", "log-level"]));
      return;
    }
    const running = await readPidFile(pidFileOf(layout, "cloud"));
    if (running && running.pid !== process.pid) {
      throw new UserError(`The cloud of ${layout.dataDir} runs already, as process ${running.pid}`);
    }
    const settings = await ensureSettings(layout, request);
    const file = logFileOf(layout, "cloud");
    const log = createLogger({ name: "cloud", level, file });
    const { mistake } = config;
    if (mistake !== undefined)
      log.error({ mistake }, "the config file has a mistake; going on without what it says there");
    await untilStopped(call.signal, pidFileOf(layout, "cloud"), async (stack) => {
      const part = stack.use(
        new Cloud({
          dir: layout.cloudDir,
          commitLog: new SqliteLog({ file: path.join(layout.cloudDir, "store.db") }),
          apiPort: settings.apiPort,
          linkPort: settings.linkPort,
          clusterCidr: settings.clusterCidr,
          log,
          version: VERSION,
        }),
      );
      await part.start();
      await part.writeKubeconfig(layout.kubeconfig);
      collectWhenIdle(stack, log);
    });
  },
};
