import type { Instance } from "./instance.ts";
import type { Daemon } from "./layout.ts";
import { unitName } from "./units.ts";

/** The words for journalctl with which it prints the last lines of a daemon that systemd keeps, as the daemon wrote them. */
export const journalOf = (instance: Instance, daemon: Daemon, lines: number): string[] => [
  // Its own words alone: --unit would bring those of systemd about it, too.
  `_SYSTEMD_UNIT=${unitName(instance, daemon)}`,
  "--output=cat",
  "--no-pager",
  "--quiet",
  `--lines=${lines}`,
];
