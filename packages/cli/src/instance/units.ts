import { unitWord } from "@skerry/base";
import type { Instance } from "./instance.ts";
import { daemonCommand, daemonEnvironment } from "./daemon-command.ts";
import { DEFAULT_DATA_DIR, type Daemon } from "./layout.ts";

/** `skerry-cloud.service` for the machine's own instance, with the instance's id for others. */
export const unitName = ({ layout, settings }: Instance, daemon: Daemon | "containerd"): string =>
  layout.dataDir === DEFAULT_DATA_DIR ? `skerry-${daemon}.service` : `skerry-${settings.id}-${daemon}.service`;

/**
 * A systemd unit for a daemon. The edge's containers are not in its cgroup, and only its main process is killed, so that pods
 * go on while it restarts (systemd.kill(5), systemd.resource-control(5)). It starts containerd itself, as a unit of its own, and ends before that does.
 */
export function unitText(instance: Instance, daemon: Daemon): string {
  const command = daemonCommand(instance, daemon).map(unitWord).join(" ");
  const environment = Object.entries(daemonEnvironment(instance, daemon)).map(
    ([name, value]) => `Environment=${unitWord(`${name}=${value}`)}`,
  );
  return [
    "[Unit]",
    `Description=Skerry ${daemon} (${instance.layout.dataDir})`,
    // Not network-online.target: an edge whose network is down starts its pods all the same. Firewalls are up at this one.
    `After=${["network.target", ...(daemon === "edge" ? [unitName(instance, "containerd")] : [])].join(" ")}`,
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    `ExecStart=${command}`,
    ...environment,
    "Restart=always",
    "RestartSec=1",
    "TimeoutStopSec=20",
    ...(daemon === "edge" ? ["KillMode=process", "Delegate=yes", "OOMScoreAdjust=-999", "TasksMax=infinity"] : []),
    "LimitNOFILE=1048576",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n");
}
