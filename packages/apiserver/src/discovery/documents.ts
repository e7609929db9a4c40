import { createHash } from "node:crypto";
import { apiVersionOf } from "@skerry/machinery";
import type { Resource, Subresource, Verb } from "../api.ts";

/** What is served, in the forms that clients ask for: each computed once from the resources and kept as text. */
export interface DiscoveryDocuments {
  /** `/apis`: the groups, the most important first. */
  readonly groups: Document;
  /** `/api` and `/apis` in the aggregated form (KEP-3352); only the group of the document is another. */
  readonly aggregated: (scope: "core" | "groups", version: AggregatedVersion) => Document;
  readonly group: (name: string) => Document | undefined;
  /** `/api/v1` and `/apis/{group}/{version}`. */
  readonly resources: (group: string, version: string) => Document | undefined;
}

export type AggregatedVersion = "v2" | "v2beta1";

/** A text with the tag that tells whether a client's copy is still the same. */
export interface Document {
  readonly text: string;
  readonly etag: string;
}

interface GroupVersion {
  readonly group: string;
  readonly version: string;
  readonly resources: Resource[];
}

export function discoveryDocuments(resources: readonly Resource[]): DiscoveryDocuments {
  const served = groupVersions(resources);
  const groupNames = [...new Set(served.map(({ group }) => group))].filter((group) => group !== "");
  const kept = new Map<string, Document>();
  const keep = (key: string, make: () => unknown): Document => {
    let known = kept.get(key);
    if (known === undefined) {
      const text = `${JSON.stringify(make())}\n`;
      known = { text, etag: `"${createHash("sha256").update(text).digest("hex").slice(0, 32)}"` };
      kept.set(key, known);
    }
    return known;
  };
  const groupOf = (name: string): object => legacyGroup(name, served);
  return {
    get groups() {
      return keep("groups", () => ({ kind: "APIGroupList", apiVersion: "v1", groups: groupNames.map(groupOf) }));
    },
    aggregated: (scope, version) =>
      keep(`aggregated ${scope} ${version}`, () => ({
        kind: "APIGroupDiscoveryList",
        apiVersion: `apidiscovery.k8s.io/${version}`,
        metadata: {},
        items: (scope === "core" ? [""] : groupNames).map((name) => aggregatedGroup(name, served)),
      })),
    group: (name) =>
      groupNames.includes(name)
        ? keep(`group ${name}`, () => ({ kind: "APIGroup", apiVersion: "v1", ...groupOf(name) }))
        : undefined,
    resources: (group, version) => {
      const found = served.find((candidate) => candidate.group === group && candidate.version === version);
      return found && keep(`resources ${group}/${version}`, () => resourceList(found));
    },
  };
}

function groupVersions(resources: readonly Resource[]): GroupVersion[] {
  const found = new Map<string, GroupVersion>();
  for (const resource of resources) {
    const { group, version } = resource.kind;
    const key = `${group}/${version}`;
    const known = found.get(key);
    if (known) known.resources.push(resource);
    else found.set(key, { group, version, resources: [resource] });
  }
  return [...found.values()];
}

function legacyGroup(name: string, served: readonly GroupVersion[]): object {
  const versions = served
    .filter(({ group }) => group === name)
    .map((groupVersion) => ({ groupVersion: apiVersionOf(groupVersion), version: groupVersion.version }));
  return { name, versions, preferredVersion: versions[0] };
}

function resourceList({ group, version, resources }: GroupVersion): object {
  const rows = resources.flatMap((resource) => [
    legacyResource(resource),
    ...resource.subresources.map((sub) => legacySubresource(resource, sub)),
  ]);
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: group === "" ? version : `${group}/${version}`,
    resources: rows.sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

interface LegacyResource {
  name: string;
}

function legacyResource({ kind, verbs }: Resource): LegacyResource {
  const storageVersion = createHash("sha256")
    .update(`${apiVersionOf(kind)}/${kind.kind}`)
    .digest("base64");
  return {
    name: kind.resource,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: sorted(verbs),
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(verbs.includes("get") && { storageVersionHash: storageVersion.slice(0, 11) + "=" }),
  } as LegacyResource;
}

function legacySubresource({ kind }: Resource, sub: Subresource): LegacyResource {
  const other = sub.kind;
  return {
    name: `${kind.resource}/${sub.name}`,
    singularName: "",
    namespaced: kind.namespaced,
    ...(other && { group: other.group, version: other.version }),
    kind: other?.kind ?? kind.kind,
    verbs: sorted(sub.verbs),
  } as LegacyResource;
}

function aggregatedGroup(name: string, served: readonly GroupVersion[]): object {
  const versions = served
    .filter(({ group }) => group === name)
    .map(({ version, resources }) => ({
      version,
      resources: resources.map(aggregatedResource),
      freshness: "Current",
    }));
  return { metadata: { ...(name !== "" && { name }), creationTimestamp: null }, versions };
}

function aggregatedResource({ kind, verbs, subresources }: Resource): object {
  const own = { group: kind.group, version: kind.version, kind: kind.kind };
  return {
    resource: kind.resource,
    responseKind: own,
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: sorted(verbs),
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(subresources.length > 0 && {
      subresources: subresources.map((sub) => ({
        subresource: sub.name,
        responseKind: sub.kind ? { group: sub.kind.group, version: sub.kind.version, kind: sub.kind.kind } : own,
        verbs: sorted(sub.verbs),
      })),
    }),
  };
}

const sorted = (verbs: readonly Verb[]): Verb[] => [...verbs].sort();
