import type { Attributes } from "../authorizer.ts";

/** rbac/v1 `PolicyRule`: verbs on resources, or on paths. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  /** `pods`, `pods/log`, `*`, and, for a subresource of anything, a star before the slash. */
  readonly resources?: readonly string[];
  /** Empty: all names. */
  readonly resourceNames?: readonly string[];
  /** Whole paths, or a beginning with a star after it. */
  readonly nonResourceURLs?: readonly string[];
}

const ALL = "*";

/** Whether a rule allows what somebody wants to do. */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if ("path" in attributes)
    return (rule.nonResourceURLs ?? []).some((pattern) => pathMatches(pattern, attributes.path));
  const { group, resource, subresource, name } = attributes;
  return (
    has(rule.apiGroups ?? [], group) &&
    resourceMatches(rule.resources ?? [], resource, subresource) &&
    nameMatches(rule.resourceNames ?? [], name)
  );
}

const has = (values: readonly string[], value: string): boolean => values.includes(ALL) || values.includes(value);

const nameMatches = (names: readonly string[], name: string): boolean => names.length === 0 || names.includes(name);

function resourceMatches(resources: readonly string[], resource: string, subresource: string): boolean {
  if (resources.includes(ALL)) return true;
  if (subresource === "") return resources.includes(resource);
  return resources.includes(`${resource}/${subresource}`) || resources.includes(`*/${subresource}`);
}

function pathMatches(pattern: string, path: string): boolean {
  if (pattern === ALL || pattern === path) return true;
  return pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1));
}

/** The rules of `wanted` that `held` do not cover, each cut down to one verb on one thing. Empty: whoever holds `held` may give `wanted`. */
export function uncovered(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(cutUp).filter((atom) => !held.some((rule) => covers(rule, atom)));
}

/** A rule with at most one value in each list. */
function cutUp(rule: PolicyRule): PolicyRule[] {
  const atoms: PolicyRule[] = [];
  for (const verb of rule.verbs) {
    for (const url of rule.nonResourceURLs ?? []) atoms.push({ verbs: [verb], nonResourceURLs: [url] });
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const atom = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (!rule.resourceNames?.length) atoms.push(atom);
        for (const name of rule.resourceNames ?? []) atoms.push({ ...atom, resourceNames: [name] });
      }
    }
  }
  return atoms;
}

function covers(rule: PolicyRule, atom: PolicyRule): boolean {
  if (!has(rule.verbs, only(atom.verbs))) return false;
  const url = atom.nonResourceURLs?.[0];
  if (url !== undefined) return (rule.nonResourceURLs ?? []).some((pattern) => pathMatches(pattern, url));
  const [resource = "", subresource = ""] = only(atom.resources).split("/");
  const names = rule.resourceNames ?? [];
  return (
    has(rule.apiGroups ?? [], only(atom.apiGroups)) &&
    resourceMatches(rule.resources ?? [], resource, subresource) &&
    // A rule for some names never covers one for all.
    (names.length === 0 || (atom.resourceNames !== undefined && names.includes(only(atom.resourceNames))))
  );
}

const only = (values: readonly string[] | undefined): string => values?.[0] ?? "";

/** A rule as Kubernetes' messages show it. */
export function showRule(rule: PolicyRule): string {
  const list = (name: string, values: readonly string[] | undefined): string[] =>
    values?.length ? [`${name}:[${values.map((value) => JSON.stringify(value)).join(" ")}]`] : [];
  const parts = [
    ...list("APIGroups", rule.apiGroups),
    ...list("Resources", rule.resources),
    ...list("ResourceNames", rule.resourceNames),
    ...list("NonResourceURLs", rule.nonResourceURLs),
    ...list("Verbs", rule.verbs),
  ];
  return `{${parts.join(", ")}}`;
}
