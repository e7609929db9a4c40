/** Where `name` is in a sorted array, or would be put: the index of the first element that is not less. */
export function lowerBound(sorted: readonly string[], name: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts a name in its place, unless it is there already. */
export function insertSorted(sorted: string[], name: string): void {
  const last = sorted.at(-1);
  if (last === undefined || last < name) {
    sorted.push(name);
    return;
  }
  const at = lowerBound(sorted, name);
  if (sorted[at] !== name) sorted.splice(at, 0, name);
}

export function removeSorted(sorted: string[], name: string): void {
  const at = lowerBound(sorted, name);
  if (sorted[at] === name) sorted.splice(at, 1);
}
