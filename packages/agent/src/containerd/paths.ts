import { createHash } from "node:crypto";
import path from "node:path";

/** Where one private containerd keeps what is its own. Everything under `runDir` may vanish with a reboot. */
export interface ContainerdPaths {
  readonly configFile: string;
  /** Images, snapshots and metadata: survives a reboot. */
  readonly rootDir: string;
  readonly stateDir: string;
  readonly runcRoot: string;
  readonly socket: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly cniConfDir: string;
  /** Addresses given to pods (host-local): must not outlive the sandboxes that hold them. */
  readonly ipamDir: string;
  /** Which boot of the machine made the files under `runDir`. */
  readonly bootIdFile: string;
}

export interface InstancePlace {
  /** Short name of the instance, of lower-case letters, digits and dashes; unique on the machine. */
  instance: string;
  dataDir: string;
  runDir: string;
  logDir: string;
}

/** `sun_path` holds 108 bytes with its closing zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;
/** containerd puts its ttrpc socket beside the gRPC one. */
const TTRPC_SUFFIX = ".ttrpc";

/** The files of an instance's containerd. A socket that would not fit below `runDir` goes to a short folder in `/run`. */
export function containerdPaths({ instance, dataDir, runDir, logDir }: InstancePlace): ContainerdPaths {
  const run = path.join(runDir, "containerd");
  const wanted = path.join(run, "containerd.sock");
  const fits = Buffer.byteLength(wanted + TTRPC_SUFFIX) <= MAX_SOCKET_PATH_BYTES;
  const short = createHash("sha256").update(path.resolve(runDir)).digest("hex").slice(0, 12);
  return {
    configFile: path.join(dataDir, "containerd", "config.toml"),
    rootDir: path.join(dataDir, "containerd", "root"),
    stateDir: path.join(run, "state"),
    runcRoot: path.join(run, "runc"),
    socket: fits ? wanted : `/run/skerry-${instance.slice(0, 20)}-${short}/containerd.sock`,
    pidFile: path.join(run, "containerd.pid"),
    logFile: path.join(logDir, "containerd.log"),
    cniConfDir: path.join(run, "cni"),
    ipamDir: path.join(run, "ipam"),
    bootIdFile: path.join(run, "boot-id"),
  };
}
