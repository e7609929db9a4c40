/** One figure of a benchmark, printed beside its target. */
export interface Row {
  name: string;
  value: number;
  unit: string;
  /** As in the table of budgets, such as `≤ 1`; absent from the table: null. */
  target: string | null;
  /** Whether the target is met; null where there is none. */
  ok: boolean | null;
}

export const atMost = (name: string, value: number, unit: string, target: number): Row => ({
  name,
  value,
  unit,
  target: `≤ ${target}`,
  ok: value <= target,
});

export const atLeast = (name: string, value: number, unit: string, target: number): Row => ({
  name,
  value,
  unit,
  target: `≥ ${target}`,
  ok: value >= target,
});

/** A figure without a target, for the record. */
export const noted = (name: string, value: number, unit: string): Row => ({
  name,
  value,
  unit,
  target: null,
  ok: null,
});

/** The value that the share `p` of all values does not exceed. Sorts `values`. */
export function percentile(values: number[], p: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * p))] ?? NaN;
}
