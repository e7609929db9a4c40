import type { KubeObject } from "./object.ts";

/** A kind of object and where the API serves it. `T` is the type of its objects. */
export interface Kind<T extends KubeObject = KubeObject> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The plural in URLs: `pods`. */
  readonly resource: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** The definition of its schema in the generated tables, e.g. `io.k8s.api.core.v1.Pod`. */
  readonly schema: string;
  /** Never set; it carries the type. */
  readonly object?: T;
}

/** `v1` or `apps/v1`. */
export const apiVersionOf = (kind: Pick<Kind, "group" | "version">): string =>
  kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;

/** `pods` or `deployments.apps`: how RBAC, messages and the store name a resource. */
export const resourceOf = (kind: Pick<Kind, "group" | "resource">): string =>
  kind.group === "" ? kind.resource : `${kind.resource}.${kind.group}`;
