/** JSON values compared and copied. Drafts are copies, because what storage hands out is frozen and shared. */

export function copyJson<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (const item of value) list.push(copyJson(item as unknown));
    return list as T;
  }
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) setOwn(copy, key, copyJson((value as Record<string, unknown>)[key]));
  return copy as T;
}

/** `__proto__` is a legal label key, and an assignment would lose it. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

/** Whether two JSON values mean the same: the order of members doesn't count, a member that is undefined isn't there. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!equalJson(a[i], b[i])) return false;
    return true;
  }
  return containsAll(a, b, true) && containsAll(b, a, false);
}

function containsAll(object: object, other: object, compare: boolean): boolean {
  const left = object as Record<string, unknown>;
  const right = other as Record<string, unknown>;
  for (const key of Object.keys(left)) {
    const value = left[key];
    if (value === undefined) continue;
    if (!Object.hasOwn(right, key) || right[key] === undefined) return false;
    if (compare && !equalJson(value, right[key])) return false;
  }
  return true;
}

/** Like `equalJson`, for what the API writes as absent, null, {} and [] alike (Go's omitempty and Semantic.DeepEqual). */
export const equalOrEmpty = (a: unknown, b: unknown): boolean => (isEmpty(a) && isEmpty(b)) || equalJson(a, b);

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
