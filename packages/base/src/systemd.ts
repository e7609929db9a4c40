import { existsSync } from "node:fs";

/** Whether systemd is the init system here, and so keeps daemons and owns the cgroups (sd_booted(3)). */
export const hasSystemd = (): boolean => existsSync("/run/systemd/system");

/**
 * One word of a command line or of an environment in a unit file, in which % and $ have a meaning of their own (systemd.unit(5), "Specifiers";
 * systemd.service(5)).
 */
export function unitWord(word: string): string {
  const escaped = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
