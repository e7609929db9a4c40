import { createHash, randomBytes, randomInt, timingSafeEqual, type X509Certificate } from "node:crypto";
import { fingerprintOf, type Clock } from "@skerry/base";
import type { Client } from "@skerry/client";
import { isNotFound, kinds } from "@skerry/machinery";
import type { Secret } from "@skerry/machinery/types";

/** Where join tokens are kept, as Secrets that hold a hash and never the token. */
const NAMESPACE = "kube-system";
const PREFIX = "skerry-join-token-";
const TYPE = "skerry.io/join-token";
const LABEL = "skerry.io/join-token";

/** How long a token lasts unless said otherwise. */
export const DEFAULT_TOKEN_TTL_MS = 24 * 3_600_000;

/** A join token without its secret, as a list shows it. */
export interface TokenInfo {
  id: string;
  /** RFC 3339. */
  expires: string;
  isExpired: boolean;
}

/**
 * Makes a join token, `skerry.ID.SECRET.PIN`: it lets a machine join until it expires, and by the pin, the SHA-256 of the link's CA,
 * the machine knows the hub before it trusts anything else. The token is seen here and never again.
 */
export async function createToken(
  client: Client,
  { ttlMs = DEFAULT_TOKEN_TTL_MS, authority, clock }: { ttlMs?: number; authority: X509Certificate; clock: Clock },
): Promise<string> {
  const id = Array.from({ length: 10 }, () => "abcdefghijklmnopqrstuvwxyz0123456789"[randomInt(36)]).join("");
  const secret = randomBytes(32).toString("base64url");
  const expires = new Date(clock.now() + ttlMs).toISOString().replace(/\.\d+Z$/, "Z");
  await client.create<Secret>(kinds.Secret, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `${PREFIX}${id}`, namespace: NAMESPACE, labels: { [LABEL]: "true" } },
    type: TYPE,
    data: { hash: base64(hashOf(secret)), expires: base64(Buffer.from(expires)) },
  });
  return `skerry.${id}.${secret}.${fingerprintOf(authority).toString("base64url")}`;
}

/** The tokens there are, expired ones too. */
export async function listTokens(client: Client, clock: Clock): Promise<TokenInfo[]> {
  const { items } = await client.list<Secret>(kinds.Secret, { namespace: NAMESPACE, labelSelector: `${LABEL}=true` });
  return items.map((item) => {
    const expires = expiryOf(item.decode());
    return { id: item.key.name.slice(PREFIX.length), expires, isExpired: Date.parse(expires) <= clock.now() };
  });
}

/** Makes a token worthless. Throws NotFound for one that does not exist. */
export const deleteToken = (client: Client, id: string): Promise<void> =>
  client.delete(kinds.Secret, { namespace: NAMESPACE, name: `${PREFIX}${id}` });

/** Deletes the tokens that have expired. */
export async function deleteExpiredTokens(client: Client, clock: Clock): Promise<void> {
  for (const { id, isExpired } of await listTokens(client, clock)) {
    if (!isExpired) continue;
    await deleteToken(client, id).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }
}

export type TokenVerdict = "valid" | "malformed" | "unknown" | "expired";

/** Judges `ID.SECRET`, the part of a token that a joining machine shows. A wrong secret and an unknown id look the same. */
export async function checkToken(
  client: Client,
  token: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<TokenVerdict> {
  const [, id, secret] = /^([a-z0-9]{10})\.([A-Za-z0-9_-]{43})$/.exec(token) ?? [];
  if (id === undefined || secret === undefined) return "malformed";
  let found: Secret;
  try {
    const key = { namespace: NAMESPACE, name: `${PREFIX}${id}` };
    found = (await client.get<Secret>(kinds.Secret, key, { signal })).decode();
  } catch (error) {
    if (isNotFound(error)) return "unknown";
    throw error;
  }
  const expected = Buffer.from(found.data?.["hash"] ?? "", "base64");
  const shown = hashOf(secret);
  if (found.type !== TYPE || expected.length !== shown.length || !timingSafeEqual(expected, shown)) return "unknown";
  // A date that cannot be read is no licence.
  return Date.parse(expiryOf(found)) > clock.now() ? "valid" : "expired";
}

/** 256 random bits need no slow hash: nobody can try them all. */
const hashOf = (secret: string): Buffer => createHash("sha256").update(secret).digest();

const base64 = (bytes: Buffer): string => bytes.toString("base64");

const expiryOf = (secret: Secret): string => Buffer.from(secret.data?.["expires"] ?? "", "base64").toString("utf8");
