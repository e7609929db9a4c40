import { createHash, type KeyObject } from "node:crypto";
import { DerError, readCsr, toPem, type Clock, type Identity, type Logger } from "@skerry/base";
import type { Client } from "@skerry/client";
import { checkDns1123Subdomain, isAlreadyExists, kinds } from "@skerry/machinery";
import type { Node } from "@skerry/machinery/types";
import { issueNodeCertificate, type NodeIdentity } from "../identity.ts";
import { RefusedError } from "../refused-error.ts";
import { RateLimit } from "../rate-limit.ts";
import { sourceOf } from "../source.ts";
import { checkToken, type TokenVerdict } from "./tokens.ts";

/** On a Node: the SHA-256 of the key that it joined with, so that the same machine may ask again when the answer was lost. */
const JOIN_KEY = "skerry.io/join-key";

/** What `kubectl get nodes` shows as the node's role. */
const EDGE_ROLE = "node-role.kubernetes.io/edge";

/** What a joining machine gets: PEM certificates, and who it is from now on. */
export interface JoinAnswer {
  certificate: string;
  authority: string;
  node: string;
  uid: string;
}

export interface JoinOptions {
  client: Client;
  authority: Identity;
  clock: Clock;
  log: Logger;
}

/**
 * Lets machines in: token and request against a Node and a certificate; and certificate against a new certificate.
 *
 * Every token is judged before anything is counted, and a valid one always lets in. A limit in front of the judgement would protect nothing: 256
 * random bits are not guessed at any rate, and to judge is to read memory and hash 43 octets, a fraction of the TLS handshake that brought them.
 * But it would lock out those who know: a fleet shares one address with whoever guesses behind the same NAT, and a guesser with many
 * addresses could empty a budget of all. So only failures are counted, after the judgement and in the same turn, so that guesses shown at once
 * count too. A source beyond its share is put off without being told why its token failed. The log gets failures within that share and
 * within one of all sources; others are at level debug.
 */
export class Join {
  readonly #options: JoinOptions;
  readonly #failures: RateLimit;
  readonly #warnings: RateLimit;

  constructor(options: JoinOptions) {
    this.#options = options;
    this.#failures = new RateLimit({ burst: 10, perSecond: 0.2, clock: options.clock });
    this.#warnings = new RateLimit({ burst: 100, perSecond: 1, clock: options.clock });
  }

  /** Judges a join request that came from an address. Throws `RefusedError`. */
  async join(body: unknown, address: string, signal: AbortSignal): Promise<JoinAnswer> {
    const { client, clock, log } = this.#options;
    const { token, node, csr } = requestOf(body);
    const verdict = await checkToken(client, token, clock, signal);
    if (verdict !== "valid") throw this.#refused(verdict, node, address);
    const problems = checkDns1123Subdomain(node);
    if (problems.length > 0) throw new RefusedError(400, `The node name "${node}" is invalid: ${problems.join("; ")}`);
    const key = readKey(csr);
    const uid = await this.#createNode(node, keyHash(key), signal);
    log.info({ node, uid, address }, "node joined");
    return this.#answer({ node, uid }, key);
  }

  /** Issues another certificate to a node that proved who it is. */
  renew(identity: NodeIdentity, body: unknown): JoinAnswer {
    const { csr } = body as { csr?: unknown };
    if (typeof csr !== "string") throw new RefusedError(400, `"csr" is not a string`);
    this.#options.log.info({ node: identity.node }, "certificate renewed");
    return this.#answer(identity, readKey(csr));
  }

  #refused(verdict: Exclude<TokenVerdict, "valid">, node: string, address: string): RefusedError {
    const { log } = this.#options;
    const retryAfterMs = this.#failures.take(sourceOf(address));
    const isLogged = retryAfterMs === 0 && this.#warnings.take("") === 0;
    log[isLogged ? "warn" : "debug"]({ address, node, verdict }, "join refused");
    if (retryAfterMs > 0) {
      const message =
        "Too many failed attempts to join came from this address, and this one shows no valid token either";
      return new RefusedError(429, message, { retryAfterMs });
    }
    return new RefusedError(
      401,
      verdict === "expired"
        ? "The token has expired: make another one with `./skerry token create` on the cloud's machine"
        : "The token is not known to this cloud: make one with `./skerry token create` on the cloud's machine",
    );
  }

  #answer(identity: NodeIdentity, key: KeyObject): JoinAnswer {
    const { authority, clock } = this.#options;
    return {
      certificate: toPem("CERTIFICATE", issueNodeCertificate(authority, identity, key, clock)),
      authority: toPem("CERTIFICATE", authority.certificate.raw),
      ...identity,
    };
  }

  /** Creates the Node and returns its uid. An existing one is somebody else's, unless this very key has joined as it. */
  async #createNode(name: string, joinKey: string, signal: AbortSignal): Promise<string> {
    const { client } = this.#options;
    const node: Node = {
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name,
        labels: { "kubernetes.io/hostname": name, [EDGE_ROLE]: "" },
        annotations: { [JOIN_KEY]: joinKey },
      },
      spec: {},
    };
    try {
      return uidOf((await client.create<Node>(kinds.Node, node, { signal })).decode());
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const existing = (await client.get<Node>(kinds.Node, { namespace: "", name }, { signal })).decode();
    if (existing.metadata.annotations?.[JOIN_KEY] === joinKey) return uidOf(existing);
    throw new RefusedError(
      409,
      `A node named "${name}" exists already: join under another name (--node-name), or, if that machine is gone for good, ` +
        `remove it first (kubectl delete node ${name})`,
    );
  }
}

function requestOf(body: unknown): { token: string; node: string; csr: string } {
  const { token, node, csr } = body as Record<string, unknown>;
  if (typeof token !== "string" || typeof node !== "string" || typeof csr !== "string") {
    throw new RefusedError(400, `A join request has the strings "token", "node" and "csr"`);
  }
  return { token, node, csr };
}

/** The key of a request in base64 DER. */
function readKey(csr: string): KeyObject {
  try {
    return readCsr(Buffer.from(csr, "base64"));
  } catch (error) {
    if (error instanceof DerError) throw new RefusedError(400, error.message);
    throw error;
  }
}

const keyHash = (key: KeyObject): string =>
  createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex");

function uidOf(node: Node): string {
  const { uid } = node.metadata;
  if (uid === undefined) throw new Error(`Node ${node.metadata.name} has no uid`);
  return uid;
}
