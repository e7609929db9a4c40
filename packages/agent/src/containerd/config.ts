import type { CgroupDriver } from "./cgroups.ts";
import type { ContainerdPaths } from "./paths.ts";

export interface ContainerdConfigOptions {
  paths: Pick<ContainerdPaths, "rootDir" | "stateDir" | "runcRoot" | "socket" | "cniConfDir">;
  /** Where the CNI plugins are. */
  cniBinDir: string;
  /** What holds a pod's namespaces; must be on the machine, for there may be no registry. */
  sandboxImage: string;
  cgroupDriver: CgroupDriver;
  /** False without CAP_SYS_RESOURCE, where lowering an OOM score is refused and a container would not start. */
  mayLowerOomScore: boolean;
  snapshotter: "overlayfs" | "native";
  /** A folder of `<host>/hosts.toml` files that say how a registry is reached (containerd, docs/hosts.md). */
  registriesDir: string | undefined;
}

/** Longer lines are split in the log file, marked P(artial) (CRI log format). */
const MAX_LOG_LINE_BYTES = 16 * 1024;

/**
 * How long containerd waits for a shim. Its own few seconds are short of what a busy device takes, and what it cannot reach
 * when it starts it takes for dead: it then kills the containers of a healthy pod.
 */
const SHIM_TIMEOUT = "30s";

/** What pods over CRI on overlayfs or native never use: each costs memory, a folder, or a line of complaint at each start. */
const UNUSED_PLUGINS = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.monitor.v1.cgroups",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
];

/**
 * The configuration of a private containerd: nothing in it is shared with another containerd on the machine. Version 2 of
 * the format serves containerd 1.6, 1.7 and 2.x.
 */
export function containerdConfig(options: ContainerdConfigOptions): string {
  const { paths } = options;
  const text = (value: string): string => JSON.stringify(value);
  const cri = `plugins."io.containerd.grpc.v1.cri"`;
  return `# Written by skerry at each start: changes are lost.
version = 2
root = ${text(paths.rootDir)}
state = ${text(paths.stateDir)}
oom_score = ${options.mayLowerOomScore ? -999 : 0}
disabled_plugins = [${UNUSED_PLUGINS.map((plugin) => `\n  ${text(plugin)},`).join("")}
]

[grpc]
  address = ${text(paths.socket)}

[timeouts]
  "io.containerd.timeout.shim.load" = "${SHIM_TIMEOUT}"
  "io.containerd.timeout.shim.cleanup" = "${SHIM_TIMEOUT}"
  "io.containerd.timeout.task.state" = "${SHIM_TIMEOUT}"

[${cri}]
  sandbox_image = ${text(options.sandboxImage)}
  restrict_oom_score_adj = ${!options.mayLowerOomScore}
  netns_mounts_under_state_dir = true
  max_container_log_line_size = ${MAX_LOG_LINE_BYTES}
  max_concurrent_downloads = 2
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  device_ownership_from_security_context = true

  [${cri}.cni]
    bin_dir = ${text(options.cniBinDir)}
    conf_dir = ${text(paths.cniConfDir)}
    max_conf_num = 1

  [${cri}.containerd]
    snapshotter = ${text(options.snapshotter)}
    default_runtime_name = "runc"

    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [${cri}.containerd.runtimes.runc.options]
        Root = ${text(paths.runcRoot)}
        SystemdCgroup = ${options.cgroupDriver === "systemd"}
${
  options.registriesDir === undefined
    ? ""
    : `
  [${cri}.registry]
    config_path = ${text(options.registriesDir)}
`
}`;
}
