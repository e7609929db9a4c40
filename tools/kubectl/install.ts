/**
 * Installs the pinned kubectl and Helm, all versions or those named, and prints kubectl's path for each.
 *
 *   node tools/kubectl/install.ts [--cache-dir DIR] [1.35] [1.32]
 */
import { parseArgs } from "node:util";
import { installKubectl, type KubectlVersion } from "./kubectl.ts";

const { values, positionals } = parseArgs({ options: { "cache-dir": { type: "string" } }, allowPositionals: true });
const cacheDir = values["cache-dir"];
for (const version of positionals.length > 0 ? positionals : ["1.32", "1.35"]) {
  if (version !== "1.32" && version !== "1.35")
    throw new Error(`Cannot install kubectl ${version}: 1.32 and 1.35 are pinned`);
  console.log(await installKubectl(version satisfies KubectlVersion, cacheDir === undefined ? {} : { cacheDir }));
}
