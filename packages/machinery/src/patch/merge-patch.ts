import { getField, isJsonObject, setField } from "../json.ts";
import type { Json } from "../object.ts";

/**
 * Applies a JSON Merge Patch (RFC 7386): objects are merged, null removes a field, anything else replaces. Neither
 * argument changes; what did not change is shared with the result.
 */
export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch;
  const result = isJsonObject(target) ? { ...target } : {};
  for (const name in patch) {
    const value = patch[name] ?? null;
    if (value === null) delete result[name];
    else setField(result, name, applyMergePatch(getField(result, name), value));
  }
  return result;
}
