import { existsSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { silentLogger, writeFileAtomic } from "@skerry/base";
import type { Command } from "../command.ts";
import { containersOf } from "../daemons/edge.ts";
import { stopInstanceDaemon } from "../instance/control.ts";
import { commandLine } from "../instance/command-line.ts";
import { lockInstance } from "../instance/instance-lock.ts";
import { findInstance, type Instance } from "../instance/instance.ts";
import { layoutOfCall, ownPaths, type Layout } from "../instance/layout.ts";
import { Steps } from "../steps.ts";

/** How long pods may take to end. */
const POD_GRACE_SECONDS = 10;
const STOP_TIMEOUT_MS = 120_000;
/** How long containerd may take to end them; one that hangs, or whose programs are gone, does not keep the user waiting. */
const POLITE_MS = 45_000;

export const down: Command = {
  name: "down",
  summary: "Stop daemons and containers and keep the data: skerry up brings everything back as it was.",
  options: {
    volumes: {
      type: "boolean",
      short: "v",
      summary: "Remove all data, containers, networks, mounts and rules that are this instance's, too",
    },
  },
  run: async (call) => {
    const layout = layoutOfCall(call);
    using _ = lockInstance(layout, "down");
    const steps = new Steps(process.stdout);
    const instance = await findInstance(call);
    const removes = call.flag("volumes");
    if (!instance) {
      steps.note(`There is no instance in ${layout.dataDir}`);
      return;
    }
    const { roles } = instance.settings;
    if (roles.includes("edge")) {
      await steps.step("edge stopped", () => stopInstanceDaemon(instance, "edge"));
      if (existsSync(layout.edgeDir)) await writeFileAtomic(layout.endedMark, "");
      await steps.step(removes ? "containers, network and images removed" : "containers stopped", () =>
        endContainers(instance, removes, steps, AbortSignal.any([call.signal, AbortSignal.timeout(STOP_TIMEOUT_MS)])),
      );
    }
    if (roles.includes("cloud")) await steps.step("cloud stopped", () => stopInstanceDaemon(instance, "cloud"));
    if (removes) await steps.step("data removed", () => removeData(layout));
    else
      steps.note(
        `Data is kept in ${layout.dataDir}; ${commandLine(layout, "up")} brings everything back, ${commandLine(layout, "down -v")} removes it`,
      );
  },
};

/** Ends every pod through containerd, if that runs, and then containerd with what is left. */
async function endContainers(instance: Instance, removes: boolean, steps: Steps, signal: AbortSignal): Promise<void> {
  await using containers = await containersOf(instance, silentLogger);
  if (await containers.supervisor.isRunning()) {
    containers.start();
    const polite = AbortSignal.any([signal, AbortSignal.timeout(POLITE_MS)]);
    try {
      await containers.supervisor.whenServing(polite);
      await containers.removePods(POD_GRACE_SECONDS, polite);
    } catch (error) {
      signal.throwIfAborted();
      // One whose network was never set up after a reboot takes no sandbox down: what is left ends with it all the same.
      const late = containers.supervisor.problem ?? `it took longer than ${POLITE_MS / 1000} s`;
      const why = polite.aborted ? late : (error as Error).message;
      steps.note(`Some containers are killed, because containerd did not end them: ${why}`);
    }
  }
  await containers.remove({ data: removes }, signal);
}

/** Removes what is this instance's; folders that then hold nothing go too. */
async function removeData(layout: Layout): Promise<void> {
  for (const file of ownPaths(layout)) await rm(file, { recursive: true, force: true });
  await removeEmptyFolders(layout);
}

/** Removes an instance's folders where nothing is in them. */
export async function removeEmptyFolders(layout: Layout): Promise<void> {
  for (const folder of [layout.configDir, layout.dataDir]) {
    await rmdir(folder).catch((error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      // A disk may be mounted on it: it stays then, empty.
      if (code !== "ENOENT" && code !== "ENOTEMPTY" && code !== "EBUSY") throw error;
    });
  }
}
