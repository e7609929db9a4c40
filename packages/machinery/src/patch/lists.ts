import { getField, isJsonObject } from "../json.ts";
import type { Json } from "../object.ts";

/** How strategic merge patches order the items of merged lists: by the patch first, then as the live list has them. */

export const isScalar = (value: Json): boolean => typeof value !== "object" || value === null;

/** Whether two items mean the same thing: objects by the merge key, scalars by value. */
export function sameItem(a: Json, b: Json, key: string | undefined): boolean {
  return identity(a, key) === identity(b, key);
}

const identity = (item: Json, key: string | undefined): Json | undefined =>
  isJsonObject(item) && key !== undefined ? getField(item, key) : item;

/** Where each item stands; the first place counts. */
function places(list: readonly Json[], key: string | undefined): Map<Json | undefined, number> {
  const map = new Map<Json | undefined, number>();
  for (const [i, item] of list.entries()) {
    const id = identity(item, key);
    if (!map.has(id)) map.set(id, i);
  }
  return map;
}

/** Both lists' scalars, each once. */
export function mergeScalars(original: readonly Json[], patch: readonly Json[]): Json[] {
  return orderItems([...new Set([...original, ...patch])], patch, original, undefined);
}

export function deleteItems(list: readonly Json[], deleted: readonly Json[]): Json[] {
  const gone = new Set(deleted);
  return list.filter((item) => !gone.has(item));
}

/**
 * Items that `wanted` names come in its order. The others keep the order of `live` and go before the first wanted item
 * that stood behind them there.
 */
export function orderItems(
  items: readonly Json[],
  wanted: readonly Json[],
  live: readonly Json[],
  key: string | undefined,
): Json[] {
  const wantedPlaces = places(wanted, key);
  const livePlaces = places(live, key);
  const place = (map: Map<Json | undefined, number>, item: Json): number => map.get(identity(item, key)) ?? -1;
  const isWanted = (item: Json): boolean => place(wantedPlaces, item) >= 0;
  const named = items.filter(isWanted).toSorted((a, b) => place(wantedPlaces, a) - place(wantedPlaces, b));
  const others = items
    .filter((item) => !isWanted(item))
    .toSorted((a, b) => place(livePlaces, a) - place(livePlaces, b));

  const result: Json[] = [];
  let next = 0;
  for (const item of named) {
    const at = place(livePlaces, item);
    for (; next < others.length; next++) {
      const other = others[next] ?? null;
      const otherAt = place(livePlaces, other);
      if (at < 0 || otherAt < 0 || otherAt >= at) break;
      result.push(other);
    }
    result.push(item);
  }
  return result.concat(others.slice(next));
}
