import { createLogger, readPidFile } from "@skerry/base";
import { UserError, type Command } from "../command.ts";
import { Edge } from "../daemons/edge.ts";
import { logLevelOf, untilStopped } from "../daemons/life.ts";
import { CONFIG_OPTIONS, configText, readConfig, requireConfig, withConfig } from "../instance/config-file.ts";
import { requireInstance } from "../instance/instance.ts";
import { logFileOf, pidFileOf } from "../instance/layout.ts";
import { hubOf } from "../instance/settings.ts";

export const edge: Command = {
  name: "edge",
  summary: "The edge's agent in the foreground. edge start, edge stop and edge kill control it as a daemon.",
  options: {
    "log-level": CONFIG_OPTIONS["log-level"],
    "print-config": { type: "boolean", summary: "Print what it would run with, and end" },
  },
  run: async (asked) => {
    const instance = await requireInstance(asked, "edge");
    const { layout, settings } = instance;
    // Pods come back after a reboot whatever the config file says.
    const goesOn = !asked.flag("print-config");
    const config = await (goesOn ? readConfig : requireConfig)(layout, settings);
    const call = withConfig(asked, config);
    const level = logLevelOf(call);
    const hub = hubOf(settings);
    if (call.flag("print-config")) {
      console.log(`# node ${settings.nodeName}, dials ${hub.host}:${hub.port}`);
      console.log(configText(call, settings, ["log-level"]));
      return;
    }
    const pidFile = pidFileOf(layout, "edge");
    const running = await readPidFile(pidFile);
    if (running && running.pid !== process.pid) {
      throw new UserError(`The edge of ${layout.dataDir} runs already, as process ${running.pid}`);
    }
    const file = logFileOf(layout, "edge");
    const log = createLogger({ name: "edge", level, file });
    const { mistake } = config;
    if (mistake !== undefined)
      log.error({ mistake }, "the config file has a mistake; going on without what it says there");
    await untilStopped(call.signal, pidFile, async (stack) => {
      await stack.use(new Edge({ instance, hub, log })).start();
    });
  },
};
