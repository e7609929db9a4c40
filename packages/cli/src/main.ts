import { COMMANDS, COMMAND_NAMES } from "./commands/table.ts";
import { helpOf, parseCall, UsageError, UserError } from "./command.ts";
import { layoutOfCall } from "./instance/layout.ts";
import { programWord } from "./program/program-word.ts";

/** Runs the command that the words name and resolves with the exit code of the process. */
export async function main(words: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => {
      stop.abort(new UserError("Interrupted", { exitCode: name === "SIGINT" ? 130 : 143 }));
      // What hangs must not keep the process: a second signal, or ten seconds, end it.
      process.once(name, () => process.exit(1));
      setTimeout(() => process.exit(process.exitCode ?? 1), 10_000).unref();
    });
  }
  // A reader that has seen enough, as `head`, is no error, and no reason to leave half done what changes the machine.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (FOLLOWING.has(words[0] ?? "")) process.exit(0);
  });
  try {
    return (await dispatch(words, env, stop.signal)) ?? 0;
  } catch (thrown) {
    const error: unknown = stop.signal.aborted ? stop.signal.reason : thrown;
    if (error instanceof UserError) {
      console.error(`skerry: ${error.message}`);
      return error.exitCode;
    }
    const why = machineFault(error);
    if (why !== undefined) {
      console.error(`skerry: ${why}`);
      return 1;
    }
    console.error("skerry: this is a fault of Skerry itself, please report it:");
    console.error(error);
    return 70; // EX_SOFTWARE of sysexits.h
  }
}

/** What the machine refuses, by the names of errno(3), in words. */
const REFUSALS: Readonly<Record<string, string>> = {
  EACCES: "permission denied; run it as root, or look at the permissions there",
  EPERM: "operation not permitted; run it as root, or look at the permissions there",
  EROFS: "the file system is read-only; choose another place with --data-dir",
  ENOSPC: "the disk is full; free some space there",
  EDQUOT: "the disk quota is used up; free some space there",
  ENOTDIR: "a part of this path is no folder; choose another place with --data-dir",
  ELOOP: "its symbolic links lead in a circle; choose another place with --data-dir",
  ENAMETOOLONG: "the path is too long; choose a shorter place with --data-dir",
  EMFILE: "too many files are open; raise the limit (ulimit -n)",
  EIO: "the disk fails; look at what the kernel says of it (dmesg)",
};

/** What to tell of an error that is neither the caller's mistake nor ours: a file that this machine refuses. */
function machineFault(error: unknown): string | undefined {
  const { code = "", path, syscall = "open" } = error as NodeJS.ErrnoException;
  const why = REFUSALS[code];
  return why === undefined || path === undefined ? undefined : `Cannot ${syscall} ${path}: ${why}`;
}

/** Commands whose output is all they are for. */
const FOLLOWING = new Set(["logs", "status", "check", "kubectl"]);

async function dispatch(words: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number | void> {
  const [first, second] = words;
  if (first === undefined || first === "help" || first === "--help" || first === "-h") {
    console.log(overview());
    return first === undefined ? 2 : 0;
  }
  if (first === "--version") return dispatch(["version", ...words.slice(1)], env, signal);
  const two = `${first} ${second}`;
  const name = Object.hasOwn(COMMANDS, two) ? two : first;
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) {
    const group = COMMAND_NAMES.filter((each) => each.startsWith(`${first} `));
    if (group.length > 0 && (second === "--help" || second === "-h")) {
      for (const each of group) console.log(helpOf(await COMMANDS[each]!()));
      return 0;
    }
    if (group.length > 0)
      throw new UsageError(`skerry ${first} needs one of: ${group.map((each) => each.split(" ")[1]).join(", ")}`);
    throw new UsageError(`There is no command "${first}"; see ${programWord()} --help`);
  }
  const command = await load();
  const rest = words.slice(name.split(" ").length);
  if (rest.includes("--help") || rest.includes("-h")) {
    if (!command.raw || rest.length === 1) {
      console.log(helpOf(command));
      return 0;
    }
  }
  const call = parseCall(command, rest, env, signal);
  layoutOfCall(call); // a data folder that can be none is refused before anything is done
  return command.run(call);
}

function overview(): string {
  return `Skerry runs containers at the edge and manages them with kubectl.

Usage: skerry COMMAND [OPTIONS]

  up                      Start everything on this machine: cloud, one edge, a sample
  down [-v]               Stop it and keep its data; -v removes the data too
  status [-o json]        What runs, how it is, what is wrong and how to mend it
  check                   Preconditions and health of this machine
  kubectl ARGS…           The pinned kubectl, on this instance
  kubeconfig              Print the path of the kubeconfig
  logs [cloud|edge|containerd] [-f]
  token create [--ttl]    A token with which a machine joins
  join HOST:PORT TOKEN    Make this machine an edge of a cloud elsewhere
  image import|list       Images on this edge, without a registry
  cloud, edge             The daemons in the foreground
  cloud stop|start · edge stop|start|kill
                          Control one daemon; containers go on
  version

Every command has --help. Several instances live side by side: give each a --data-dir.`;
}
