import { readlinkSync, realpathSync } from "node:fs";
import path from "node:path";
import { isMissingFile } from "@skerry/base";
import { UsageError, type Call } from "../command.ts";

export const DEFAULT_DATA_DIR = "/var/lib/skerry";
/** What the path of a socket may have at most: sun_path less its end (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/** Where the files of one instance are. Everything below `runDir` is gone after a reboot of the machine. */
export interface Layout {
  readonly dataDir: string;
  readonly runDir: string;
  readonly configDir: string;
  readonly logDir: string;
  readonly settings: string;
  readonly kubeconfig: string;
  /** Written by people; nothing of ours writes or removes it. */
  readonly configFile: string;
  /** The HTTP proxies that lead out; root's alone. */
  readonly proxies: string;
  /** The embedded control plane's database and certificates. */
  readonly cloudDir: string;
  /** The agent's cache, identity and pods. */
  readonly edgeDir: string;
  /** Who this edge is: key, certificate and the pinned CA. */
  readonly identity: string;
  readonly compileCache: string;
  /** Says that the sample was made once: one who deletes it does not want it back. */
  readonly sampleMark: string;
  /** There when `down` ended the containers and no agent has run since. */
  readonly endedMark: string;
}

/** The default data folder keeps to the file-system hierarchy; any other holds all of the instance. */
export function layoutOf(dataDir: string): Layout {
  const real = realPathOf(dataDir);
  const isDefault = real === realPathOf(DEFAULT_DATA_DIR);
  // By whatever name and link it is reached, the default instance goes by the one name that its files elsewhere are found by.
  const dir = isDefault ? DEFAULT_DATA_DIR : real;
  const configDir = isDefault ? "/etc/skerry" : path.join(dir, "etc");
  return {
    dataDir: dir,
    runDir: isDefault ? "/run/skerry" : path.join(dir, "run"),
    configDir,
    logDir: isDefault ? "/var/log/skerry" : path.join(dir, "log"),
    settings: path.join(dir, "instance.json"),
    kubeconfig: path.join(configDir, "kubeconfig"),
    configFile: path.join(configDir, "config.yaml"),
    proxies: path.join(configDir, "proxy.env"),
    cloudDir: path.join(dir, "cloud"),
    edgeDir: path.join(dir, "edge"),
    identity: path.join(dir, "edge", "identity.pem"),
    compileCache: path.join(dir, "compile-cache"),
    sampleMark: path.join(dir, "sample-made"),
    endedMark: path.join(dir, "edge", "containers-ended"),
  };
}

/**
 * The one name of a folder, however a path leads to it: an instance's lock, units and processes are found by it. Of one that does not exist yet, what
 * exists of its path decides.
 */
function realPathOf(dir: string): string {
  // Not resolved as text: where a link stands before `..`, that leads elsewhere than the kernel goes.
  const absolute = (path.isAbsolute(dir) ? dir : `${process.cwd()}/${dir}`).replace(/(?<!^)\/+$/, "");
  try {
    return realpathSync.native(absolute);
  } catch (error) {
    if (!isMissingFile(error)) throw error;
  }
  const parent = realPathOf(path.dirname(absolute));
  const target = linkTarget(absolute);
  if (target === undefined) return path.join(parent, path.basename(absolute));
  return realPathOf(path.isAbsolute(target) ? target : `${parent}/${target}`);
}

/** Where a link leads that leads nowhere yet; undefined when nothing is there. */
function linkTarget(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}

/** The files of the call's data folder. Throws `UsageError` for a folder that can be none. */
export function layoutOfCall(call: Call): Layout {
  const layout = layoutOf(call.option("data-dir") ?? DEFAULT_DATA_DIR);
  if (layout.dataDir === "/") throw new UsageError("--data-dir takes a folder of its own, not /");
  const excess = Buffer.byteLength(edgeSocketOf(layout)) - MAX_SOCKET_PATH_BYTES;
  if (excess > 0) {
    const length = Buffer.byteLength(layout.dataDir);
    throw new UsageError(
      `--data-dir takes a path of at most ${length - excess} bytes, because a socket below it has room for no more; ` +
        `${layout.dataDir} has ${length}: choose a shorter one`,
    );
  }
  return layout;
}

export type Daemon = "cloud" | "edge";

export const pidFileOf = (layout: Layout, daemon: Daemon): string => path.join(layout.runDir, `${daemon}.pid`);
export const logFileOf = (layout: Layout, daemon: Daemon | "containerd"): string =>
  path.join(layout.logDir, `${daemon}.log`);

/** Where the agent tells how it is. */
export const edgeSocketOf = (layout: Layout): string => path.join(layout.runDir, "agent.sock");

/** Everything that an instance makes: what `down -v` removes, and all that may stand in a folder that becomes one. */
export const ownPaths = (layout: Layout): string[] => [
  layout.cloudDir,
  layout.edgeDir,
  layout.compileCache,
  layout.sampleMark,
  layout.kubeconfig,
  layout.proxies,
  layout.logDir,
  layout.runDir,
  layout.settings,
];
