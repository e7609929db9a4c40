import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { UserError, type Call } from "../command.ts";
import { commandLine } from "../instance/command-line.ts";
import { noteProcess, runningDaemon } from "../instance/control.ts";
import { daemonCommand, daemonEnvironment } from "../instance/daemon-command.ts";
import { waitForCloud } from "../instance/health.ts";
import type { Instance } from "../instance/instance.ts";
import type { Daemon } from "../instance/layout.ts";
import { refreshBundle } from "../program/bundle.ts";
import type { Steps } from "../steps.ts";

/** Runs the daemons of an instance as children, their logs on our output, until one ends or we are told to stop; for containers and debugging. */
export async function runForeground(
  instance: Instance,
  call: Call,
  steps: Steps,
  settle: (startEdge: (instance: Instance, daemon: Daemon) => Promise<void>) => Promise<void>,
): Promise<number> {
  const children = new Map<Daemon, ChildProcess>();
  const ended = Promise.withResolvers<Daemon>();
  const start = async (_instance: Instance, daemon: Daemon): Promise<void> => {
    const running = await runningDaemon(instance, daemon);
    if (running) {
      throw new UserError(
        `The ${daemon} of this instance runs already, as process ${running.pid}; stop it first, with ${commandLine(instance.layout, `${daemon} stop`)}`,
      );
    }
    await refreshBundle();
    const [command = "", ...args] = daemonCommand(instance, daemon);
    const child = spawn(command, args, {
      stdio: ["ignore", "inherit", "inherit"],
      env: daemonEnvironment(instance, daemon),
    });
    await once(child, "spawn");
    children.set(daemon, child);
    child.once("exit", () => ended.resolve(daemon));
    await noteProcess(instance, daemon, child.pid ?? 0);
  };
  try {
    if (instance.settings.roles.includes("cloud")) {
      await steps.step("cloud started", async () => {
        await start(instance, "cloud");
        await waitForCloud(instance, call.signal);
      });
    }
    await settle(start);
    const stopped = new Promise<undefined>((resolve) =>
      call.signal.addEventListener("abort", () => resolve(undefined), { once: true }),
    );
    const first = await Promise.race([ended.promise, stopped]);
    if (first) throw new UserError(`The ${first} has ended; see its last lines above`);
    return 0;
  } finally {
    await Promise.all(
      [...children.values()].map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGTERM");
        await once(child, "exit");
      }),
    );
  }
}
