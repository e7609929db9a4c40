import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { UserError } from "../command.ts";
import { findProgram } from "./packages.ts";

/** The kubectl that goes with the API we present; where the pinned one cannot be had, the user's own. */
export async function pinnedKubectl(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  if (process.arch !== "x64") {
    const own = findProgram("kubectl", env);
    if (own) return own;
    throw new UserError(
      `There is no pinned kubectl for ${process.arch}; install kubectl 1.34 to 1.36 and run this again, ` +
        "or use it directly with the path that skerry kubeconfig prints",
    );
  }
  const install = fileURLToPath(new URL("../../../../tools/kubectl/install.ts", import.meta.url));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [install, "1.35"], { signal });
    return stdout.trim();
  } catch (error) {
    signal.throwIfAborted();
    const text = String((error as { stderr?: string }).stderr ?? "").trim();
    throw new UserError(`Cannot bring the pinned kubectl: ${text || (error as Error).message}`, { cause: error });
  }
}
