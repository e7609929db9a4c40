import { readdir, rm } from "node:fs/promises";
import { silentLogger } from "@skerry/base";
import type { Command } from "../command.ts";
import { containersOf } from "../daemons/edge.ts";
import { stopInstanceDaemon } from "../instance/control.ts";
import { findInstance, layoutOfCall, type Instance } from "../instance/instance.ts";
import type { Layout } from "../instance/layout.ts";
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
    const steps = new Steps(process.stdout);
    const instance = await findInstance(call);
    const removes = call.flag("volumes");
    if (!instance) {
      steps.note(`There is no instance in ${layout.dataDir}`);
      if (removes) await removeData(layout);
      return;
    }
    const { roles } = instance.settings;
    if (roles.includes("edge")) {
      await steps.step("edge stopped", () => stopInstanceDaemon(instance, "edge"));
      await steps.step(removes ? "containers, network and images removed" : "containers stopped", () =>
        endContainers(instance, removes, steps, AbortSignal.any([call.signal, AbortSignal.timeout(STOP_TIMEOUT_MS)])),
      );
    }
    if (roles.includes("cloud")) await steps.step("cloud stopped", () => stopInstanceDaemon(instance, "cloud"));
    if (removes) await steps.step("data removed", () => removeData(layout));
    else steps.note(`Data is kept in ${layout.dataDir}; skerry up brings everything back, skerry down -v removes it`);
  },
};

/** Ends every pod through containerd, if that runs, and then containerd with what is left. */
async function endContainers(
  { layout, settings }: Instance,
  removes: boolean,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  await using containers = containersOf(layout, settings.id, silentLogger);
  if (await containers.supervisor.isRunning()) {
    containers.start();
    try {
      const polite = AbortSignal.any([signal, AbortSignal.timeout(POLITE_MS)]);
      await containers.supervisor.whenServing(polite);
      await containers.removePods(POD_GRACE_SECONDS, polite);
    } catch (error) {
      signal.throwIfAborted();
      // One whose network was never set up after a reboot takes no sandbox down: what is left ends with it all the same.
      steps.note(`Some containers are killed, because containerd did not end them: ${(error as Error).message}`);
    }
  }
  await containers.remove({ data: removes }, signal);
}

async function removeData(layout: Layout): Promise<void> {
  const folders = [layout.dataDir, layout.runDir, layout.configDir, layout.logDir];
  for (const folder of folders) await removeFolder(folder);
}

/** Removes a folder with all in it; one that a disk is mounted on stays, empty. */
async function removeFolder(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch (error) {
    const isMountPoint = (error as NodeJS.ErrnoException).code === "EBUSY" && (await readdir(folder)).length === 0;
    if (!isMountPoint) throw error;
  }
}
