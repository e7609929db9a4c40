import { execFile } from "node:child_process";

/** What a command printed on its standard output. */
export type RunCommand = (
  command: string,
  args: readonly string[],
  options?: { signal?: AbortSignal; input?: string },
) => Promise<string>;

/** A command that could not be started, or that ended with anything but 0. */
export class CommandError extends Error {
  override name = "CommandError";
  /** What it ended with; undefined when it was not started or was ended by a signal. */
  readonly exitCode: number | undefined;
  readonly stderr: string;
  /** There is no such command on this machine. */
  readonly isMissing: boolean;

  constructor(
    message: string,
    options: ErrorOptions & { exitCode: number | undefined; stderr: string; isMissing: boolean },
  ) {
    super(message, options);
    this.exitCode = options.exitCode;
    this.stderr = options.stderr;
    this.isMissing = options.isMissing;
  }
}

/** What a command may print before it is ended. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** Runs a command to its end, without a shell. Fails with a `CommandError`, or with the signal's reason. */
export const runCommand: RunCommand = (command, args, { signal, input } = {}) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const child = execFile(
      command,
      args,
      { maxBuffer: MAX_OUTPUT_BYTES, encoding: "utf8", ...(signal && { signal }) },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        if (signal?.aborted) return reject(signal.reason as Error);
        const isMissing = error.code === "ENOENT";
        const why = isMissing ? "there is no such command" : stderr.trim() || error.message;
        reject(
          new CommandError(`Cannot run "${[command, ...args].join(" ")}": ${why}`, {
            cause: error,
            exitCode: typeof error.code === "number" ? error.code : undefined,
            stderr,
            isMissing,
          }),
        );
      },
    );
    // A command that ends without reading its input is no error of its own: its exit code says what it thought.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });

/** Runs commands inside a network namespace, given as a file (`/run/netns/x`, `/proc/1/ns/net`). */
export const inNetworkNamespace =
  (file: string, run: RunCommand = runCommand): RunCommand =>
  (command, args, options) =>
    run("nsenter", [`--net=${file}`, "--", command, ...args], options);
