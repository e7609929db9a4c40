import path from "node:path";

const DEFAULT_DATA_DIR = "/var/lib/skerry";

/** Where the files of one instance are. Everything below `runDir` is gone after a reboot of the machine. */
export interface Layout {
  readonly dataDir: string;
  readonly runDir: string;
  readonly configDir: string;
  readonly logDir: string;
  readonly settings: string;
  readonly kubeconfig: string;
  /** The embedded control plane's database and certificates. */
  readonly cloudDir: string;
  /** The agent's cache, identity and pods. */
  readonly edgeDir: string;
  /** Who this edge is: key, certificate and the pinned CA. */
  readonly identity: string;
  readonly compileCache: string;
  /** Says that the sample was made once: one who deletes it does not want it back. */
  readonly sampleMark: string;
}

/** The default data folder keeps to the file-system hierarchy; any other holds all of the instance. */
export function layoutOf(dataDir: string): Layout {
  const dir = path.resolve(dataDir);
  const isDefault = dir === DEFAULT_DATA_DIR;
  const configDir = isDefault ? "/etc/skerry" : path.join(dir, "etc");
  return {
    dataDir: dir,
    runDir: isDefault ? "/run/skerry" : path.join(dir, "run"),
    configDir,
    logDir: isDefault ? "/var/log/skerry" : path.join(dir, "log"),
    settings: path.join(dir, "instance.json"),
    kubeconfig: path.join(configDir, "kubeconfig"),
    cloudDir: path.join(dir, "cloud"),
    edgeDir: path.join(dir, "edge"),
    identity: path.join(dir, "edge", "identity.pem"),
    compileCache: path.join(dir, "compile-cache"),
    sampleMark: path.join(dir, "sample-made"),
  };
}

export type Daemon = "cloud" | "edge";

export const pidFileOf = (layout: Layout, daemon: Daemon): string => path.join(layout.runDir, `${daemon}.pid`);
export const logFileOf = (layout: Layout, daemon: Daemon | "containerd"): string =>
  path.join(layout.logDir, `${daemon}.log`);

/** Everything that an instance makes: what `down -v` removes, and all that may stand in a folder that becomes one. */
export const ownPaths = (layout: Layout): string[] => [
  layout.cloudDir,
  layout.edgeDir,
  layout.compileCache,
  layout.sampleMark,
  layout.kubeconfig,
  layout.logDir,
  layout.runDir,
  layout.settings,
];
