import { timestamp } from "@skerry/base";
import type { Client } from "@skerry/client";
import { conflict, fieldError, invalid, kinds, type Kind, type KubeObject } from "@skerry/machinery";
import type { VirtualHandler } from "../api.ts";
import { userInfoOf } from "./access-reviews.ts";
import type { Authenticator } from "./authenticator.ts";
import { serviceAccountUser, type ServiceAccountAuthenticator } from "./service-account-authenticator.ts";
import type { BoundObject, ServiceAccountTokens } from "./service-account-tokens.ts";

const DEFAULT_SECONDS = 3_600;
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;

/** What a token may be bound to, and die with. */
const BINDABLE = { Pod: kinds.Pod, Secret: kinds.Secret } as const;

interface TokenRequestObject extends KubeObject {
  spec?: {
    audiences?: string[];
    expirationSeconds?: number;
    boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string };
  };
}

export interface TokenHandlersOptions {
  tokens: ServiceAccountTokens;
  serviceAccounts: ServiceAccountAuthenticator;
  /** All ways to be known by a token. */
  authenticator: Authenticator;
  client: () => Client;
}

/** Making and checking tokens through the API: `serviceaccounts/token` and TokenReview. */
export function tokenHandlers(options: TokenHandlersOptions): Record<string, VirtualHandler> {
  return {
    "serviceaccounts/token": async (_, { namespace, name = "", body }) => issue(options, namespace, name, body.object),
    "tokenreviews.authentication.k8s.io": async (_, { body }) => review(options, body.object),
  };
}

async function issue(
  { tokens, client }: TokenHandlersOptions,
  namespace: string,
  name: string,
  request: TokenRequestObject,
): Promise<KubeObject> {
  const { audiences = [], expirationSeconds = DEFAULT_SECONDS, boundObjectRef } = request.spec ?? {};
  const field = "spec.expirationSeconds";
  if (expirationSeconds < MIN_SECONDS)
    throw refuse(name, fieldError.invalid(field, expirationSeconds, "may not specify a duration less than 10 minutes"));
  if (expirationSeconds > MAX_SECONDS)
    throw refuse(
      name,
      fieldError.invalid(field, expirationSeconds, "may not specify a duration larger than 2^32 seconds"),
    );
  const account = await find(client(), kinds.ServiceAccount, namespace, name);
  const bound = boundObjectRef && (await findBound(client(), namespace, name, boundObjectRef));
  const { token, expires } = tokens.issue(
    {
      namespace,
      serviceAccount: account,
      ...(bound?.kind === "Pod" && { pod: bound.object }),
      ...(bound?.kind === "Secret" && { secret: bound.object }),
      ...(audiences.length > 0 && { audiences }),
    },
    expirationSeconds,
  );
  return {
    ...request,
    metadata: { ...request.metadata, name, namespace },
    spec: {
      ...request.spec,
      audiences: audiences.length > 0 ? audiences : tokens.audiences.slice(0, 1),
      expirationSeconds,
    },
    status: { token, expirationTimestamp: timestamp(expires * 1000) },
  } as KubeObject;
}

async function findBound(
  client: Client,
  namespace: string,
  account: string,
  ref: NonNullable<NonNullable<TokenRequestObject["spec"]>["boundObjectRef"]>,
): Promise<{ kind: keyof typeof BINDABLE; object: BoundObject }> {
  const { kind = "", name = "", uid } = ref;
  if (kind !== "Pod" && kind !== "Secret")
    throw refuse(account, fieldError.notSupported("spec.boundObjectRef.kind", kind, Object.keys(BINDABLE)));
  const object = await find(client, BINDABLE[kind], namespace, name);
  if (uid !== undefined && uid !== "" && uid !== object.uid)
    throw conflict(
      BINDABLE[kind],
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  return { kind, object };
}

async function find(client: Client, kind: Kind, namespace: string, name: string): Promise<BoundObject> {
  const { metadata } = (await client.get(kind, { namespace, name })).decode();
  return { name, uid: metadata.uid ?? "" };
}

const refuse = (name: string, error: Parameters<typeof invalid>[2][number]): Error =>
  invalid(kinds.TokenRequest, name, [error]);

async function review(
  { tokens, serviceAccounts, authenticator }: TokenHandlersOptions,
  object: KubeObject,
): Promise<KubeObject> {
  const { token = "", audiences = [] } = (object as { spec?: { token?: string; audiences?: string[] } }).spec ?? {};
  const wanted = audiences.length > 0 ? audiences : tokens.audiences;
  // The answer says nothing that the asker did not know: not the token again.
  const answer = (status: object): KubeObject => ({ ...object, spec: { audiences }, status }) as KubeObject;
  const claims = tokens.verify(token);
  if (claims) {
    const shared = claims.audiences.filter((audience) => wanted.includes(audience));
    if (shared.length === 0 || !(await serviceAccounts.isLive(claims))) return answer({ authenticated: false });
    return answer({ authenticated: true, user: userInfoOf(serviceAccountUser(claims)), audiences: shared });
  }
  // Other tokens are for this API only.
  const shared = wanted.filter((audience) => tokens.audiences.includes(audience));
  const user = token === "" || shared.length === 0 ? undefined : await authenticator.authenticate({ bearer: token });
  return user
    ? answer({ authenticated: true, user: userInfoOf(user), audiences: shared })
    : answer({ authenticated: false });
}
