import { programWord } from "../program/program-word.ts";
import { DEFAULT_DATA_DIR, type Layout } from "./layout.ts";

/**
 * One of our commands on an instance, as a person of this machine can paste it into a shell. Every message that tells one is made with this, for
 * words that do not name the instance would be about another.
 *
 * `words` are the command's own, as a shell reads them: `logs edge`.
 */
export function commandLine({ dataDir }: Pick<Layout, "dataDir">, words: string, folder?: string): string {
  const program = shellWord(programWord(folder));
  if (dataDir === DEFAULT_DATA_DIR) return `${program} ${words}`;
  const option = `--data-dir ${shellWord(dataDir)}`;
  // All that stands behind the first word of it is kubectl's.
  const kubectl = /^kubectl(?= |$)/.exec(words)?.[0];
  return kubectl === undefined
    ? `${program} ${words} ${option}`
    : `${program} ${kubectl} ${option}${words.slice(kubectl.length)}`;
}

/** A word as a shell reads it. */
const shellWord = (word: string): string =>
  /^[\w./:@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
