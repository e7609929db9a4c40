import type { PodTemplateSpec } from "@skerry/machinery/types";

export const HASH_LABEL = "pod-template-hash";

/** Letters that spell no words, as names of pods use them. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** A short name for a pod template: equal templates have equal hashes, whatever the order of their fields. */
export function templateHash(template: PodTemplateSpec, collisionCount = 0): string {
  let hash = 0x811c9dc5; // FNV-1a, 32 bits
  for (const byte of Buffer.from(`${canonical(template)}#${collisionCount}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  let text = "";
  for (let rest = hash; text.length < 10 && (rest > 0 || text === ""); rest = Math.floor(rest / ALPHABET.length)) {
    text += ALPHABET[rest % ALPHABET.length];
  }
  return text;
}

/** Whether two templates want the same pods: the hash label, which we add, does not count. */
export const sameTemplate = (a: PodTemplateSpec, b: PodTemplateSpec): boolean =>
  canonical(withoutHash(a)) === canonical(withoutHash(b));

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { [HASH_LABEL]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } } as PodTemplateSpec;
}

/** JSON with sorted keys, without what is empty. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined && field !== null)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(",")}}`;
}
