import type { X509Certificate } from "node:crypto";
import type { UserInfo } from "../request.ts";

/** What a request shows of who makes it. */
export interface Credentials {
  /** The client's certificate of the TLS connection, not yet checked. The same object for each request of a connection. */
  readonly certificate?: X509Certificate;
  /** The token of `Authorization: Bearer`. */
  readonly bearer?: string;
}

/** One way to find out who somebody is. */
export interface Authenticator {
  /** The user; `undefined` when these credentials are not of this way, or not right. */
  authenticate(credentials: Credentials): UserInfo | undefined | Promise<UserInfo | undefined>;
}

export const AUTHENTICATED = "system:authenticated";
export const UNAUTHENTICATED = "system:unauthenticated";
/** Members may do anything, so that a broken role can always be mended. */
export const MASTERS = "system:masters";

/** Who is meant when nobody says who they are. */
export const ANONYMOUS: UserInfo = { name: "system:anonymous", groups: [UNAUTHENTICATED] };

/** A user who has been found out, with the group that all of them are in. */
export function authenticated(user: UserInfo): UserInfo {
  return user.groups.includes(AUTHENTICATED) ? user : { ...user, groups: [...user.groups, AUTHENTICATED] };
}

/** Asks each way in turn; the first that knows the user wins. */
export function anyOf(authenticators: readonly Authenticator[]): Authenticator {
  return {
    authenticate: async (credentials) => {
      for (const authenticator of authenticators) {
        const user = await authenticator.authenticate(credentials);
        if (user) return user;
      }
      return undefined;
    },
  };
}
