import { createHash, createPublicKey, randomUUID, sign, verify, type KeyObject } from "node:crypto";
import type { Clock } from "@skerry/base";

/** What a service account's token says (KEP-1205): who it is for, until when, and which object it dies with. */
export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: BoundObject;
  readonly pod?: BoundObject;
  readonly secret?: BoundObject;
  readonly node?: BoundObject;
  readonly audiences: readonly string[];
  /** Unix time in seconds. */
  readonly expires: number;
  /** jti: names the token itself. */
  readonly id: string;
}

export interface BoundObject {
  readonly name: string;
  readonly uid: string;
}

export interface ServiceAccountTokensOptions {
  /** EC P-256. Whoever has it can be any service account. */
  key: KeyObject;
  /** A URL, by which a token says who made it. */
  issuer: string;
  /** Audiences that mean this API. The first is what tokens are for when nobody says otherwise. */
  audiences: readonly string[];
  clock: Clock;
}

/** The longest token that is looked at. */
const MAX_TOKEN_LENGTH = 16 << 10;
/** Clocks of machines differ: a token may be this many seconds younger than our time. */
const LEEWAY_SECONDS = 10;

/** Makes and checks the tokens of service accounts: JWTs signed with ES256 (RFC 7519, RFC 7518 §3.4). */
export class ServiceAccountTokens {
  readonly #options: ServiceAccountTokensOptions;
  readonly #publicKey: KeyObject;
  readonly #keyId: string;

  constructor(options: ServiceAccountTokensOptions) {
    this.#options = options;
    this.#publicKey = createPublicKey(options.key);
    const der = this.#publicKey.export({ type: "spki", format: "der" });
    this.#keyId = createHash("sha256").update(der).digest("base64url");
  }

  get issuer(): string {
    return this.#options.issuer;
  }

  get audiences(): readonly string[] {
    return this.#options.audiences;
  }

  /** Makes a token that is good for `seconds` from now. No audiences: this API's. */
  issue(
    claims: Omit<TokenClaims, "expires" | "id" | "audiences"> & { audiences?: readonly string[] },
    seconds: number,
  ): { token: string; expires: number } {
    const { issuer, key, clock } = this.#options;
    const now = Math.floor(clock.now() / 1000);
    const expires = now + seconds;
    const { namespace, serviceAccount, pod, secret, node } = claims;
    const header = { alg: "ES256", kid: this.#keyId };
    const payload = {
      aud: claims.audiences ?? this.#options.audiences.slice(0, 1),
      exp: expires,
      iat: now,
      iss: issuer,
      jti: randomUUID(),
      "kubernetes.io": {
        namespace,
        ...(node && { node }),
        ...(pod && { pod }),
        ...(secret && { secret }),
        serviceaccount: serviceAccount,
      },
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    };
    const content = `${encode(header)}.${encode(payload)}`;
    const signature = sign("sha256", Buffer.from(content), { key, dsaEncoding: "ieee-p1363" });
    return { token: `${content}.${signature.toString("base64url")}`, expires };
  }

  /** What a token says when it is ours and within its time; `undefined` otherwise. Whether its objects still live, and its audience, is for the caller to see. */
  verify(token: string): TokenClaims | undefined {
    if (token.length > MAX_TOKEN_LENGTH) return undefined;
    const parts = token.split(".");
    const [header = "", payload = "", signature = ""] = parts;
    if (parts.length !== 3) return undefined;
    const { alg, kid } = decode(header);
    // One algorithm and one key: a token does not choose how it is checked.
    if (alg !== "ES256" || kid !== this.#keyId) return undefined;
    const isOurs = verify(
      "sha256",
      Buffer.from(`${header}.${payload}`),
      { key: this.#publicKey, dsaEncoding: "ieee-p1363" },
      Buffer.from(signature, "base64url"),
    );
    return isOurs ? this.#claimsOf(decode(payload)) : undefined;
  }

  /** OpenID Connect Discovery 1.0: where others find the key to check our tokens. */
  openidConfiguration(): object {
    return {
      issuer: this.#options.issuer,
      jwks_uri: `${this.#options.issuer}/openid/v1/jwks`,
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256"],
    };
  }

  /** RFC 7517: the public key. */
  keySet(): object {
    const { kty, crv, x, y } = this.#publicKey.export({ format: "jwk" });
    return { keys: [{ use: "sig", kty, kid: this.#keyId, crv, alg: "ES256", x, y }] };
  }

  #claimsOf(payload: Record<string, unknown>): TokenClaims | undefined {
    const { issuer, clock } = this.#options;
    const now = clock.now() / 1000;
    const { iss, exp, nbf, aud, jti, sub } = payload;
    const own = payload["kubernetes.io"] as Record<string, unknown> | undefined;
    if (iss !== issuer || typeof exp !== "number" || now >= exp) return undefined;
    if (typeof nbf !== "number" || nbf > now + LEEWAY_SECONDS) return undefined;
    const serviceAccount = boundObject(own?.["serviceaccount"]);
    const namespace = own?.["namespace"];
    if (typeof namespace !== "string" || !serviceAccount || typeof jti !== "string") return undefined;
    if (sub !== `system:serviceaccount:${namespace}:${serviceAccount.name}`) return undefined;
    const pod = boundObject(own?.["pod"]);
    const secret = boundObject(own?.["secret"]);
    const node = boundObject(own?.["node"]);
    return {
      namespace,
      serviceAccount,
      ...(pod && { pod }),
      ...(secret && { secret }),
      ...(node && { node }),
      audiences: Array.isArray(aud) ? aud.map(String) : [String(aud)],
      expires: exp,
      id: jti,
    };
  }
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A part of a token; empty when it is no JSON object. */
function decode(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // Not a token of anybody: refused as one that says nothing.
    return {};
  }
}

function boundObject(value: unknown): BoundObject | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { name, uid } = value as { name?: unknown; uid?: unknown };
  return typeof name === "string" && typeof uid === "string" ? { name, uid } : undefined;
}
