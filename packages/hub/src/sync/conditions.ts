interface Condition {
  type: string;
}

/** Conditions of a status as reported, and behind them those of other types that somebody else keeps there. */
export function mergeConditions<T extends Condition>(
  current: readonly T[] | undefined,
  reported: readonly T[] | undefined,
): T[] {
  const types = new Set((reported ?? []).map(({ type }) => type));
  return [...(reported ?? []), ...(current ?? []).filter(({ type }) => !types.has(type))];
}
