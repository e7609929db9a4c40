import { fileURLToPath } from "node:url";
import type { Instance } from "./instance.ts";
import type { Daemon } from "./layout.ts";

/** Runs the bundle while it is that of the sources, so also when systemd starts the daemon again after an update of them. */
const ENTRY = fileURLToPath(new URL("../../../../bin/launch.js", import.meta.url));

/** Node's own memory is part of the product: a small young generation, and code cached between starts. */
export const nodeArguments = (daemon: Daemon): string[] =>
  daemon === "cloud" ? ["--max-semi-space-size=16"] : ["--max-semi-space-size=2", "--optimize-for-size"];

/** The command line of a daemon. */
export const daemonCommand = ({ layout }: Instance, daemon: Daemon): string[] => [
  process.execPath,
  ...nodeArguments(daemon),
  ENTRY,
  daemon,
  "--data-dir",
  layout.dataDir,
];

/** What a daemon gets of our environment: nothing that could make two starts differ. */
export function daemonEnvironment({ layout }: Instance): NodeJS.ProcessEnv {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    NODE_COMPILE_CACHE: layout.compileCache,
  };
}
