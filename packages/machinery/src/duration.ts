const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/**
 * A duration in milliseconds as kubectl prints ages: `45s`, `3m10s`, `5h`, `2d3h`, `400d`, `8y`.
 * Clocks differ, so up to two seconds in the future count as now. Source: apimachinery's `HumanDuration`.
 */
export function humanDuration(ms: number): string {
  if (Math.trunc(ms / SECOND) < -1) return "<invalid>";
  if (ms < SECOND) return "0s";
  if (ms < 2 * MINUTE) return `${floor(ms, SECOND)}s`;
  if (ms < 10 * MINUTE) return two(ms, MINUTE, "m", SECOND, "s");
  if (ms < 3 * HOUR) return `${floor(ms, MINUTE)}m`;
  if (ms < 8 * HOUR) return two(ms, HOUR, "h", MINUTE, "m");
  if (ms < 2 * DAY) return `${floor(ms, HOUR)}h`;
  if (ms < 8 * DAY) return two(ms, DAY, "d", HOUR, "h");
  if (ms < 2 * YEAR) return `${floor(ms, DAY)}d`;
  if (ms < 8 * YEAR) return two(ms, YEAR, "y", DAY, "d");
  return `${floor(ms, YEAR)}y`;
}

/** A duration in milliseconds with one unit only: `45s`, `3m`, `5h`, `2d`, `8y`. Source: `ShortHumanDuration`. */
export function shortHumanDuration(ms: number): string {
  if (Math.trunc(ms / SECOND) < -1) return "<invalid>";
  if (ms < SECOND) return "0s";
  if (ms < MINUTE) return `${floor(ms, SECOND)}s`;
  if (ms < HOUR) return `${floor(ms, MINUTE)}m`;
  if (ms < DAY) return `${floor(ms, HOUR)}h`;
  return ms < YEAR ? `${floor(ms, DAY)}d` : `${floor(ms, YEAR)}y`;
}

const floor = (ms: number, unit: number): number => Math.floor(ms / unit);

function two(ms: number, big: number, bigName: string, small: number, smallName: string): string {
  const rest = floor(ms % big, small);
  return rest === 0 ? `${floor(ms, big)}${bigName}` : `${floor(ms, big)}${bigName}${rest}${smallName}`;
}
