import path from "node:path";
import { createLogger, readPidFile } from "@skerry/base";
import { SqliteLog } from "@skerry/store";
import { UserError, type Command } from "../command.ts";
import { Cloud } from "../daemons/cloud.ts";
import { logLevelOf, untilStopped } from "../daemons/life.ts";
import { layoutOfCall, logFileOf, pidFileOf } from "../instance/layout.ts";
import { settingsRequest } from "../instance/request.ts";
import { ensureSettings } from "../instance/settings.ts";
import { VERSION } from "../version.ts";

export const cloud: Command = {
  name: "cloud",
  summary:
    "The control plane in the foreground: API, controllers and hub. cloud start and cloud stop control it as a daemon.",
  options: {
    "api-port": { type: "string", value: "PORT", summary: "Of the Kubernetes API (6443)" },
    "link-port": { type: "string", value: "PORT", summary: "That edges dial into (10000)" },
    "cluster-cidr": { type: "string", value: "CIDR", summary: "Where pods get addresses from" },
    "log-level": { type: "string", value: "LEVEL", default: "info", summary: "debug, info, warn or error" },
    "print-config": { type: "boolean", summary: "Print what it would run with, and end" },
  },
  run: async (call) => {
    const layout = layoutOfCall(call);
    const running = await readPidFile(pidFileOf(layout, "cloud"));
    if (running && running.pid !== process.pid) {
      throw new UserError(`The cloud of ${layout.dataDir} runs already, as process ${running.pid}`);
    }
    const settings = await ensureSettings(layout, settingsRequest(call, { roles: ["cloud"], sample: false }));
    if (call.flag("print-config")) {
      console.log(JSON.stringify({ layout, settings }, undefined, 2));
      return;
    }
    const file = logFileOf(layout, "cloud");
    const log = createLogger({ name: "cloud", level: logLevelOf(call.option("log-level")), file });
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
    });
  },
};
