import { pino } from "pino";
import { OwnLogFile, type LogFileLimits } from "./log-file.ts";
import { LogSink } from "./log-sink.ts";

/** What code writes its log lines with: a constant message, and the values as keys beside it. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds `fields` to each line, for one unit of work. */
  child(fields: object): Logger;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Keys whose values are secrets wherever they stand in a logged object. */
const SECRET_KEYS = ["token", "password", "secret", "privateKey", "authorization", "data", "stringData"];

const STDOUT = 1;

export interface LoggerOptions {
  level?: LogLevel;
  name?: string;
  /** A file that is kept within its limits when standard output is appended to it. */
  file?: string;
  limits?: LogFileLimits;
}

/** Makes the one root logger of a process: JSON lines on standard output, secrets blotted out. */
export function createLogger({ level = "info", name, file, limits }: LoggerOptions = {}): Logger {
  const options = {
    level,
    ...(name !== undefined && { name }),
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: "[secret]" },
  };
  // pino's own destination tries again until the disk has room, and nothing else happens in the process meanwhile.
  const own = file === undefined ? undefined : OwnLogFile.of(STDOUT, file, limits);
  return pino(options, new LogSink(STDOUT, { file: own }));
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
