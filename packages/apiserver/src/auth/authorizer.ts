import { forbidden, quote } from "@skerry/machinery";
import type { UserInfo } from "../request.ts";

/** What somebody wants to do with objects. Empty strings stand for "any" names and for the cluster as a whole. */
export interface ResourceAttributes {
  /** `get`, `list`, …, or a special one such as `impersonate`, `bind`, `escalate`. */
  readonly verb: string;
  readonly group: string;
  readonly version?: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
}

/** What somebody wants to do with a path that names no objects. */
export interface PathAttributes {
  /** The HTTP method in lower case. */
  readonly verb: string;
  readonly path: string;
}

export type Attributes = ResourceAttributes | PathAttributes;

export interface Decision {
  readonly allowed: boolean;
  /** Which binding allows it; for an explanation, never for a decision. */
  readonly reason: string;
}

/** Decides who may do what. It answers at once, from what it holds in memory. */
export interface Authorizer {
  authorize(user: UserInfo, attributes: Attributes): Decision;
}

/** Throws Forbidden, in the words that clients of Kubernetes know, unless `user` may do it. */
export function demand(authorizer: Authorizer, user: UserInfo, attributes: Attributes): void {
  if (authorizer.authorize(user, attributes).allowed) return;
  throw forbiddenTo(user, attributes);
}

function forbiddenTo(user: UserInfo, attributes: Attributes): Error {
  const who = `User ${quote(user.name)} cannot ${attributes.verb}`;
  if ("path" in attributes) return forbidden(undefined, "", `${who} path ${quote(attributes.path)}`);
  const { group, resource, subresource, namespace, name } = attributes;
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace ${quote(namespace)}`;
  return forbidden({ group, resource }, name, `${who} resource ${quote(what)} in API group ${quote(group)} ${where}`);
}
