import type { RunCommand } from "@skerry/base";

export type IptablesTable = "nat" | "filter";

/** One rule as `iptables -S` prints it, cut into words: `-A`, the chain, and the rest. */
export interface IptablesRule {
  chain: string;
  words: readonly string[];
}

/** Waits so many seconds for others that change rules at the same time. */
const WAIT = ["-w", "10"];

/** Reads and changes the machine's IPv4 rules, one at a time and only those that it is given. */
export class Iptables {
  readonly #run: RunCommand;
  readonly #signal: AbortSignal;

  constructor(run: RunCommand, signal: AbortSignal) {
    this.#run = run;
    this.#signal = signal;
  }

  async rules(table: IptablesTable): Promise<IptablesRule[]> {
    const rules: IptablesRule[] = [];
    for (const line of (await this.#iptables(table, "-S")).split("\n")) {
      const [flag, chain, ...rest] = words(line);
      if (flag === "-A" && chain !== undefined) rules.push({ chain, words: rest });
    }
    return rules;
  }

  async chains(table: IptablesTable): Promise<Set<string>> {
    const lines = (await this.#iptables(table, "-S")).split("\n").map(words);
    return new Set(lines.filter(([flag]) => flag === "-N").map(([, chain = ""]) => chain));
  }

  async append(table: IptablesTable, rule: IptablesRule): Promise<void> {
    await this.#iptables(table, "-A", rule.chain, ...rule.words);
  }

  async remove(table: IptablesTable, rule: IptablesRule): Promise<void> {
    await this.#iptables(table, "-D", rule.chain, ...rule.words);
  }

  /** Empties a chain of its own and removes it; nothing may jump to it any more. */
  async removeChain(table: IptablesTable, chain: string): Promise<void> {
    await this.#iptables(table, "-F", chain);
    await this.#iptables(table, "-X", chain);
  }

  #iptables(table: IptablesTable, ...args: string[]): Promise<string> {
    return this.#run("iptables", [...WAIT, "-t", table, ...args], { signal: this.#signal });
  }
}

/** The word behind an option: of `--comment x`, `x`. */
export function optionOf(rule: IptablesRule, ...names: string[]): string | undefined {
  const at = rule.words.findIndex((word) => names.includes(word));
  return at < 0 ? undefined : rule.words[at + 1];
}

/** A line of `iptables -S`, where words with blanks or quotes stand in double quotes. */
function words(line: string): string[] {
  return Array.from(line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g), ([, quoted, plain]) =>
    quoted === undefined ? (plain ?? "") : quoted.replaceAll(/\\(.)/g, "$1"),
  );
}
