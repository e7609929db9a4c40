import { createHash } from "node:crypto";
import type { UserInfo } from "../request.ts";
import { authenticated, type Authenticator, type Credentials } from "./authenticator.ts";

/** A token of the configuration and whose it is. */
export interface StaticToken {
  readonly token: string;
  readonly user: UserInfo;
}

/** Knows users by fixed tokens. Only hashes are kept, and looked up: comparing them tells nothing of a token by its time. */
export class StaticTokenAuthenticator implements Authenticator {
  readonly #users: ReadonlyMap<string, UserInfo>;

  constructor(tokens: readonly StaticToken[]) {
    this.#users = new Map(tokens.map(({ token, user }) => [hashToken(token), authenticated(user)]));
  }

  authenticate({ bearer }: Credentials): UserInfo | undefined {
    return bearer === undefined ? undefined : this.#users.get(hashToken(bearer));
  }
}

export const hashToken = (token: string): string => createHash("sha256").update(token).digest("base64");
