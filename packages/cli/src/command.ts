import { parseArgs } from "node:util";
import { programWord } from "./program/program-word.ts";

/**
 * One option of a command. Each can also be given in the environment: `--data-dir` as `SKERRY_DATA_DIR`. A flag outranks that, and that the config
 * file of commands that read it (`withConfigFile`).
 */
export interface Option {
  readonly type: "string" | "boolean";
  readonly summary: string;
  /** What stands for the value in `--help`: `DIR`. */
  readonly value?: string;
  readonly short?: string;
  readonly default?: string;
}

/** A command as data: what `--help` shows, and what runs. */
export interface Command {
  /** Its words: `token create`. */
  readonly name: string;
  /** The words after the name, as help shows them: `HOST:PORT TOKEN`. */
  readonly operands?: string;
  readonly summary: string;
  readonly details?: string;
  readonly options?: Readonly<Record<string, Option>>;
  /** How many operands it takes at least and at most; none when absent. */
  readonly arity?: readonly [least: number, most: number];
  /** Takes every word after its name as it stands, options too. */
  readonly raw?: boolean;
  /** Does it; resolves with the exit code, 0 when it is nothing. */
  run(call: Call): Promise<number | void>;
}

/** A command as it was called. */
export interface Call {
  readonly operands: readonly string[];
  /** The value of a string option, from the flag, the environment or its default. */
  option(name: string): string | undefined;
  flag(name: string): boolean;
  /** Who gave an option its value, as a message names it: `--api-port`, `SKERRY_API_PORT`; undefined when that is its default. */
  source(name: string): string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal;
}

/** What options say, and who says so. */
export type Said = Pick<Call, "option" | "source">;

/** The caller's mistake or the machine's state: said in one line, with what mends it, and no stack. */
export class UserError extends Error {
  override name = "UserError";
  readonly exitCode: number;

  constructor(message: string, options: ErrorOptions & { exitCode?: number } = {}) {
    super(message, options);
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Misuse of the command line itself; exits with 2, as is usual. */
export class UsageError extends UserError {
  override name = "UsageError";

  constructor(message: string) {
    super(message, { exitCode: 2 });
  }
}

export const COMMON_OPTIONS: Readonly<Record<string, Option>> = {
  "data-dir": {
    type: "string",
    value: "DIR",
    default: "/var/lib/skerry",
    summary: "Where this instance keeps everything; several live side by side",
  },
  help: { type: "boolean", short: "h", summary: "Show this help" },
};

const variableOf = (option: string): string => `SKERRY_${option.replaceAll("-", "_").toUpperCase()}`;

/** Reads the words after a command's name. */
export function parseCall(
  command: Command,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Call {
  // As good as not there when it is empty, as is usual.
  const inEnvironment = (name: string): string | undefined => env[variableOf(name)] || undefined;
  if (command.raw) {
    return {
      operands: words,
      option: (name) => inEnvironment(name) ?? COMMON_OPTIONS[name]?.default,
      flag: () => false,
      source: (name) => (inEnvironment(name) === undefined ? undefined : variableOf(name)),
      env,
      signal,
    };
  }
  const options = { ...command.options, ...COMMON_OPTIONS };
  let parsed: { values: Record<string, string | boolean | undefined>; positionals: string[] };
  try {
    parsed = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, { type, short }]) => [name, { type, ...(short && { short }) }]),
      ),
    }) as typeof parsed;
  } catch (error) {
    const [text = ""] = (error as Error).message.split("\n");
    // "Option '--ttl' argument is ambiguous", "Option '-o, --output <value>' argument missing".
    const [, flag] = /^Option '(?:-\w, )?(--?[\w-]+)[^']*' argument (?:is ambiguous|missing)/.exec(text) ?? [];
    if (flag !== undefined) {
      const dashed = flag.startsWith("--") ? `${flag}=VALUE` : `${flag}VALUE`;
      throw new UsageError(
        `${flag} needs a value (one that begins with - is written ${dashed}); see ${programWord()} ${command.name} --help`,
      );
    }
    throw new UsageError(
      `${text.replace(/\. To specify a positional.*$/, "").replace(/\.$/, "")}; see ${programWord()} ${command.name} --help`,
    );
  }
  const { values, positionals } = parsed;
  const empty = Object.keys(values).find((name) => values[name] === "");
  if (empty !== undefined)
    throw new UsageError(`--${empty} needs a value; see ${programWord()} ${command.name} --help`);
  const [least, most] = command.arity ?? [0, 0];
  if (values["help"] !== true) {
    if (positionals.length < least) {
      throw new UsageError(
        `skerry ${command.name} needs ${command.operands ?? "more words"}; see ${programWord()} ${command.name} --help`,
      );
    }
    const extra = positionals[most];
    if (extra !== undefined) {
      throw new UsageError(
        `skerry ${command.name} does not take "${extra}"; see ${programWord()} ${command.name} --help`,
      );
    }
  }
  return {
    operands: positionals,
    option: (name) => {
      const given = values[name];
      return typeof given === "string" ? given : (inEnvironment(name) ?? options[name]?.default);
    },
    source: (name) =>
      values[name] !== undefined ? `--${name}` : inEnvironment(name) !== undefined ? variableOf(name) : undefined,
    flag: (name) => values[name] === true || /^(1|true|yes)$/i.test(env[variableOf(name)] ?? ""),
    env,
    signal,
  };
}

/** The help text of one command. */
export function helpOf(command: Command): string {
  const options = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([name, option]) => {
    const flag = `${option.short ? `-${option.short}, ` : "    "}--${name}${option.value ? ` ${option.value}` : ""}`;
    return `  ${flag.padEnd(26)} ${option.summary}${option.default ? ` (default ${option.default})` : ""}`;
  });
  return [
    `Usage: skerry ${command.name}${command.operands ? ` ${command.operands}` : ""}${command.raw ? "" : " [OPTIONS]"}`,
    "",
    command.summary,
    ...(command.details ? ["", command.details] : []),
    ...(command.raw ? [] : ["", "Options (each also in the environment, --data-dir as SKERRY_DATA_DIR):", ...options]),
    "",
  ].join("\n");
}
