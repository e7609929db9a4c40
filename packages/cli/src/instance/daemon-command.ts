import { fileURLToPath } from "node:url";
import type { Instance } from "./instance.ts";
import type { Daemon } from "./layout.ts";

/** Runs the bundle while it is that of the sources, so also when systemd starts the daemon again after an update of them. */
const ENTRY = fileURLToPath(new URL("../../../../bin/launch.js", import.meta.url));

/**
 * Node's own memory is part of the product: a small young generation, and code cached between starts. The cloud collects when it is idle (`IdleCollector`). The agent waits for others nearly all
 * the time, so it interprets: the machine code of V8's compilers alone is 9 MB that nothing else of it needs.
 */
export const nodeArguments = (daemon: Daemon): string[] =>
  daemon === "cloud"
    ? ["--max-semi-space-size=6", "--expose-gc"]
    : [
        "--max-semi-space-size=1",
        // V8 collects as soon as its heap has grown to a few megabytes, and not only when its usual start size is full.
        "--initial-heap-size=4",
        "--optimize-for-size",
        "--v8-pool-size=1",
        "--no-opt",
        "--no-maglev",
        "--no-sparkplug",
      ];

/** The command line of a daemon. */
export const daemonCommand = ({ layout, settings }: Instance, daemon: Daemon): string[] => [
  process.execPath,
  ...nodeArguments(daemon),
  ENTRY,
  daemon,
  "--data-dir",
  layout.dataDir,
  // What `up` has decided, be it against the config file: that would outrank what is kept.
  ...(daemon === "cloud" ? ["--api-port", String(settings.apiPort), "--link-port", String(settings.linkPort)] : []),
];

/** What a daemon gets of our environment: nothing that could make two starts differ. */
export function daemonEnvironment({ layout }: Instance, daemon: Daemon): NodeJS.ProcessEnv {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    NODE_COMPILE_CACHE: layout.compileCache,
    // glibc keeps what is freed per arena, and makes up to eight arenas a core (mallopt(3)).
    MALLOC_ARENA_MAX: "2",
    // And what is freed at the end of one above a threshold that grows by itself: the agent gives it back at once.
    ...(daemon === "edge" && { MALLOC_TRIM_THRESHOLD_: "65536", MALLOC_MMAP_THRESHOLD_: "65536" }),
  };
}
