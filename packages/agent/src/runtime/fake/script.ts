import type { ContainerSpec } from "../runtime.ts";

/** How a fake container behaves once started. */
export interface Script {
  /** Ends by itself after so long; never when undefined. */
  endsAfterMs?: number;
  exitCode: number;
  /** Written to the termination message file at its end. */
  lastWords: string;
  /** Lines of its log. */
  says: string[];
  /** Only SIGKILL ends it. */
  ignoresTerm: boolean;
}

/**
 * Reads the script from the words of the container's command and arguments: `exit:3`, `after:500` (milliseconds),
 * `last-words:…`, `says:…`, `ignores:term`. Others mean nothing; without any, the container runs until it is stopped.
 */
export function scriptOf(spec: ContainerSpec): Script {
  const script: Script = { exitCode: 0, lastWords: "", says: [], ignoresTerm: false };
  for (const word of [...spec.command, ...spec.args]) {
    const colon = word.indexOf(":");
    const [key, value] = [word.slice(0, colon), word.slice(colon + 1)];
    if (key === "exit") {
      script.exitCode = Number(value);
      script.endsAfterMs ??= 0;
    } else if (key === "after") script.endsAfterMs = Number(value);
    else if (key === "last-words") script.lastWords = value;
    else if (key === "says") script.says.push(value);
    else if (word === "ignores:term") script.ignoresTerm = true;
  }
  return script;
}
