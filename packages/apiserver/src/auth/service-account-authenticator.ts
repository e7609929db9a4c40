import type { Clock } from "@skerry/base";
import type { Client } from "@skerry/client";
import { isNotFound, kinds, type Kind, type ObjectKey } from "@skerry/machinery";
import type { UserInfo } from "../request.ts";
import { AUTHENTICATED, type Authenticator, type Credentials } from "./authenticator.ts";
import { hashToken } from "./static-tokens.ts";
import type { BoundObject, ServiceAccountTokens, TokenClaims } from "./service-account-tokens.ts";

/** How many checked tokens are remembered; a signature costs a tenth of a millisecond. */
const MAX_KNOWN = 4_096;

/**
 * Knows service accounts by their tokens. A token is good as long as it is in its time and the account, and the object that it is bound to,
 * are the very ones that it was made for: that is looked up at each request.
 */
export class ServiceAccountAuthenticator implements Authenticator {
  readonly #tokens: ServiceAccountTokens;
  readonly #client: () => Client;
  readonly #clock: Clock;
  readonly #known = new Map<string, { claims: TokenClaims; user: UserInfo }>();

  /** `client` is asked for late: it is a client of the API that this authenticator guards. */
  constructor(options: { tokens: ServiceAccountTokens; client: () => Client; clock: Clock }) {
    this.#tokens = options.tokens;
    this.#client = options.client;
    this.#clock = options.clock;
  }

  async authenticate({ bearer }: Credentials): Promise<UserInfo | undefined> {
    if (bearer === undefined) return undefined;
    const found = this.#check(bearer);
    if (!found || !found.claims.audiences.some((audience) => this.#tokens.audiences.includes(audience)))
      return undefined;
    return (await this.isLive(found.claims)) ? found.user : undefined;
  }

  /** Whether everything that a token is bound to is still what it was. */
  async isLive({ namespace, serviceAccount, pod, secret, node }: TokenClaims): Promise<boolean> {
    const checks = [this.#lives(kinds.ServiceAccount, namespace, serviceAccount)];
    if (pod) checks.push(this.#lives(kinds.Pod, namespace, pod));
    if (secret) checks.push(this.#lives(kinds.Secret, namespace, secret));
    // A token of a pod names its node too, which may come and go without it.
    if (node && !pod) checks.push(this.#lives(kinds.Node, "", node));
    return (await Promise.all(checks)).every(Boolean);
  }

  #check(token: string): { claims: TokenClaims; user: UserInfo } | undefined {
    const hash = hashToken(token);
    const known = this.#known.get(hash);
    if (known !== undefined) {
      if (this.#clock.now() / 1000 < known.claims.expires) return known;
      this.#known.delete(hash);
      return undefined;
    }
    const claims = this.#tokens.verify(token);
    if (!claims) return undefined;
    const made = { claims, user: serviceAccountUser(claims) };
    // Forgetting all costs a signature each: rarer than keeping an order would cost.
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(hash, made);
    return made;
  }

  async #lives(kind: Kind, namespace: string, { name, uid }: BoundObject): Promise<boolean> {
    const key: ObjectKey = { namespace, name };
    try {
      const { metadata } = (await this.#client().get(kind, key)).decode();
      return metadata.uid === uid;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }
}

/** The user that a service account is. */
export function serviceAccountUser({ namespace, serviceAccount, pod, node, id }: TokenClaims): UserInfo {
  const extra: Record<string, string[]> = { "authentication.kubernetes.io/credential-id": [`JTI=${id}`] };
  if (pod) {
    extra["authentication.kubernetes.io/pod-name"] = [pod.name];
    extra["authentication.kubernetes.io/pod-uid"] = [pod.uid];
  }
  if (node) {
    extra["authentication.kubernetes.io/node-name"] = [node.name];
    extra["authentication.kubernetes.io/node-uid"] = [node.uid];
  }
  return {
    name: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    uid: serviceAccount.uid,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, AUTHENTICATED],
    extra,
  };
}
