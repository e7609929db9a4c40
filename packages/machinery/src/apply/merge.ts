import { getField, setField } from "../json.ts";
import type { Json } from "../object.ts";
import {
  asList,
  asObject,
  fieldPlace,
  isEmpty,
  itemElement,
  type JsonObject,
  type ListShape,
  type Place,
  type Shapes,
} from "./shape.ts";

/**
 * Merges an applied configuration into the live value: what the configuration has wins, what it doesn't mention stays.
 * Parts that stay are shared.
 */
export function merge(shapes: Shapes, place: Place, live: Json, config: Json): Json {
  const shape = shapes.of(place, config);
  if (shape.kind === "leaf" || shapes.of(place, live).kind !== shape.kind) return config;
  if (isEmpty(live) && isEmpty(config)) return config;
  if (shape.kind === "list") return mergeLists(shapes, shape, asList(live), asList(config));

  const before = asObject(live);
  const after = asObject(config);
  const out: JsonObject = { ...before };
  for (const name in after) {
    const value = after[name] ?? null;
    const old = getField(before, name);
    const field = shape.kind === "map" ? { type: shape.values } : fieldPlace(shape.definition, name);
    setField(out, name, old === undefined ? value : merge(shapes, field, old, value));
  }
  return out;
}

/**
 * The order is that of the configuration; items that only the live list has stay near their neighbours. Items that the
 * live list has twice are replaced by the configuration's, once.
 */
function mergeLists(shapes: Shapes, list: ListShape, live: readonly Json[], config: readonly Json[]): Json {
  const place: Place = { type: list.items };
  const liveElements = live.map((item) => itemElement(list, item));
  const configElements = config.map((item) => itemElement(list, item));
  const liveItems = new Map<string, Json | undefined>();
  for (const [i, element] of liveElements.entries()) {
    // Duplicates are not merged with anything.
    liveItems.set(element, liveItems.has(element) ? undefined : (live[i] ?? null));
  }
  const configItems = new Map(configElements.map((element, i) => [element, config[i] ?? null] as const));
  const shared = configElements.filter((element) => liveItems.has(element));

  const out: Json[] = [];
  const merged = new Set<string>();
  let nextShared = 0;
  const take = (element: string): void => {
    merged.add(element);
    const old = liveItems.get(element);
    const value = configItems.get(element) ?? null;
    out.push(old === undefined ? value : merge(shapes, place, old, value));
  };
  for (let l = 0, c = 0; l < live.length || c < config.length;) {
    const ours = liveElements[l];
    const theirs = configElements[c];
    if (ours !== undefined && theirs !== undefined) {
      if (ours === theirs) {
        take(theirs);
        l++;
        c++;
        nextShared++;
        continue;
      }
      const wanted = shared[nextShared];
      if (configItems.has(ours) && wanted !== undefined && wanted !== ours) {
        // It comes where the configuration has it.
        l++;
        continue;
      }
    }
    if (ours !== undefined) {
      if (!configItems.has(ours)) {
        out.push(live[l] ?? null);
        l++;
        continue;
      }
      if (merged.has(ours)) l++;
    }
    if (theirs !== undefined) {
      take(theirs);
      c++;
      if (shared[nextShared] === theirs) nextShared++;
    }
  }
  return out;
}
