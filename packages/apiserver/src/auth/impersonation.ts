import { badRequest } from "@skerry/machinery";
import type { UserInfo } from "../request.ts";
import { ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED } from "./authenticator.ts";
import { demand, type Authorizer } from "./authorizer.ts";

const EXTRA = "impersonate-extra-";
const SERVICE_ACCOUNT = "system:serviceaccount:";

/**
 * The user that a request wants to be seen as, by its `Impersonate-*` headers; the requester when there are none. Throws Forbidden unless the requester may be
 * each part of that user. `rawHeaders` are names and values in turn: a value may contain commas, so that joined headers would lie.
 */
export function impersonate(user: UserInfo, rawHeaders: readonly string[], authorizer: Authorizer): UserInfo {
  const wanted = readHeaders(rawHeaders);
  if (!wanted) return user;
  const may = (group: string, resource: string, name: string, namespace = "", subresource = ""): void =>
    demand(authorizer, user, { verb: "impersonate", group, resource, subresource, namespace, name });

  const groups = [...wanted.groups];
  const account = serviceAccountOf(wanted.name);
  if (account) {
    may("", "serviceaccounts", account.name, account.namespace);
    if (groups.length === 0) groups.push("system:serviceaccounts", `system:serviceaccounts:${account.namespace}`);
  } else {
    may("", "users", wanted.name);
  }
  for (const group of wanted.groups) may("", "groups", group);
  if (wanted.uid !== undefined) may("authentication.k8s.io", "uids", wanted.uid);
  for (const [key, values] of Object.entries(wanted.extra)) {
    for (const value of values) may("authentication.k8s.io", "userextras", value, "", key);
  }
  if (wanted.name !== ANONYMOUS.name && !groups.includes(AUTHENTICATED) && !groups.includes(UNAUTHENTICATED))
    groups.push(AUTHENTICATED);
  return {
    name: wanted.name,
    groups,
    ...(wanted.uid !== undefined && { uid: wanted.uid }),
    ...(Object.keys(wanted.extra).length > 0 && { extra: wanted.extra }),
  };
}

interface Wanted {
  name: string;
  groups: string[];
  uid: string | undefined;
  extra: Record<string, string[]>;
}

function readHeaders(rawHeaders: readonly string[]): Wanted | undefined {
  let name = "";
  let uid: string | undefined;
  const groups: string[] = [];
  const extra: Record<string, string[]> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const header = rawHeaders[i] ?? "";
    // Nearly every request has none: looking at one letter is enough to pass them by.
    if (header.charCodeAt(0) !== 73 && header.charCodeAt(0) !== 105) continue;
    const key = header.toLowerCase();
    const value = rawHeaders[i + 1] ?? "";
    if (key === "impersonate-user") name = value;
    else if (key === "impersonate-group") groups.push(value);
    else if (key === "impersonate-uid") uid = value;
    else if (key.startsWith(EXTRA)) (extra[unescape(key.slice(EXTRA.length))] ??= []).push(value);
  }
  if (name !== "") return { name, groups, uid, extra };
  if (groups.length > 0 || uid !== undefined || Object.keys(extra).length > 0)
    throw badRequest("Cannot impersonate: Impersonate-User is missing, which the other Impersonate headers need");
  return undefined;
}

function unescape(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    // A key that is not escaped is meant as it stands.
    return key;
  }
}

function serviceAccountOf(user: string): { namespace: string; name: string } | undefined {
  if (!user.startsWith(SERVICE_ACCOUNT)) return undefined;
  const [namespace = "", name = "", ...rest] = user.slice(SERVICE_ACCOUNT.length).split(":");
  return rest.length === 0 && namespace !== "" && name !== "" ? { namespace, name } : undefined;
}
