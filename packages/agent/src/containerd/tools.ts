import { access, constants, stat, statfs } from "node:fs/promises";
import path from "node:path";

/** The programs of the machine that run containers. */
export interface ContainerTools {
  containerd: string;
  cniBinDir: string;
}

/** Programs that a machine lacks, and the Debian packages that bring them. */
export class MissingToolsError extends Error {
  override name = "MissingToolsError";
  readonly packages: readonly string[];

  constructor(missing: readonly string[], packages: readonly string[]) {
    super(
      `Cannot run containers: this machine has no ${missing.join(", ")}; ` +
        `install what is missing with "apt-get install ${packages.join(" ")}"`,
    );
    this.packages = packages;
  }
}

/** Where daemons look for programs, whatever the environment of whoever started them says. */
export const SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Debian's place first, then the one that upstream's archives use. */
const CNI_BIN_DIRS = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];
const CNI_PLUGINS = ["bridge", "host-local", "portmap", "firewall", "loopback"];

/** Finds what is needed. Fails with a `MissingToolsError` that names all that is missing. */
export async function findContainerTools({
  searchPath = SEARCH_PATH,
  cniBinDirs = CNI_BIN_DIRS,
}: { searchPath?: string; cniBinDirs?: readonly string[] } = {}): Promise<ContainerTools> {
  const missing: string[] = [];
  const packages = new Set<string>();
  const need = async (program: string, debianPackage: string): Promise<string> => {
    for (const dir of searchPath.split(":")) {
      const file = path.join(dir, program);
      if (await isExecutable(file)) return file;
    }
    missing.push(program);
    packages.add(debianPackage);
    return "";
  };
  const containerd = await need("containerd", "containerd");
  await need("containerd-shim-runc-v2", "containerd");
  await need("runc", "runc");
  await need("iptables", "iptables");

  let cniBinDir: string | undefined;
  for (const dir of cniBinDirs) {
    const all = await Promise.all(CNI_PLUGINS.map((plugin) => isExecutable(path.join(dir, plugin))));
    if (all.every(Boolean)) {
      cniBinDir = dir;
      break;
    }
  }
  if (cniBinDir === undefined) {
    missing.push(`folder with the CNI plugins ${CNI_PLUGINS.join(", ")}`);
    packages.add("containernetworking-plugins");
  }
  if (missing.length > 0 || cniBinDir === undefined) throw new MissingToolsError(missing, [...packages]);
  return { containerd, cniBinDir };
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/** `f_type` of overlayfs (statfs(2)). */
const OVERLAYFS = 0x794c7630;

/** overlayfs does not stack on itself: where the data folder lies on one, as in most containers, layers are copied. */
export async function snapshotterFor(dir: string): Promise<"overlayfs" | "native"> {
  return (await statfs(dir)).type === OVERLAYFS ? "native" : "overlayfs";
}
