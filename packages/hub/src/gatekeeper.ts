import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { checkPeerCertificate, type CertificateError, type Clock, type Logger } from "@skerry/base";
import type { Client, Informer } from "@skerry/client";
import { isNotFound, kinds } from "@skerry/machinery";
import type { Node } from "@skerry/machinery/types";
import { identityOf, type NodeIdentity } from "./identity.ts";
import { RateLimit } from "./rate-limit.ts";
import { RefusedError } from "./refused-error.ts";
import { sourceOf } from "./source.ts";

/** Why a node whose identity is its own is let in no more. */
export const revokedText = ({ node }: NodeIdentity): string =>
  `Node "${node}" was deleted, or joined anew on another machine: join again`;

export interface GatekeeperOptions {
  /** The CA of the link. */
  authority: X509Certificate;
  client: Client;
  nodes: Informer<Node>;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

/** Checks, anew for every connection and whatever TLS thinks of it, which node is at the other end. */
export class Gatekeeper {
  readonly #options: GatekeeperOptions;
  readonly #strangers: RateLimit;

  constructor(options: GatekeeperOptions) {
    this.#options = options;
    this.#strangers = new RateLimit({ burst: 5, perSecond: 1 / 60, clock: options.clock });
  }

  /**
   * Who is at the other end: by our CA, our usage, our name, not revoked, and only then by time, of which `graceMs` beyond its end are let
   * through. Throws `RefusedError`.
   */
  async identify(socket: TLSSocket, { graceMs }: { graceMs: number }): Promise<NodeIdentity> {
    const { authority, clock, log } = this.#options;
    const certificate = socket.getPeerX509Certificate();
    const problem = checkPeerCertificate(certificate, { authorities: [authority], usage: "client", clock });
    const isOurs = !problem || problem.problem === "expired" || problem.problem === "not-yet-valid";
    const identity = certificate && isOurs ? identityOf(certificate) : undefined;
    if (!identity) throw this.#refused(socket, problem, problem?.message ?? "The certificate names no node");
    if (!(await this.exists(identity))) throw this.#refused(socket, undefined, revokedText(identity), 403);
    // Our own signature is from the future: a clock is behind, and most likely ours.
    if (!problem || problem.problem === "not-yet-valid") {
      if (problem) log.warn({ node: identity.node, detail: problem.message }, "clock is behind");
      return identity;
    }
    const overdueMs = certificate ? clock.now() - certificate.validToDate.getTime() : Infinity;
    if (problem.problem === "expired" && overdueMs <= graceMs) return identity;
    throw this.#refused(socket, problem, problem.message);
  }

  /** Whether the node of a certificate is still the one that joined. What the live copy does not know yet is asked of the API. */
  async exists({ node, uid }: NodeIdentity): Promise<boolean> {
    const { client, nodes, signal } = this.#options;
    const key = { namespace: "", name: node };
    if (nodes.get(key)?.decode().metadata.uid === uid) return true;
    try {
      const found = await client.get<Node>(kinds.Node, key, { signal });
      return found.decode().metadata.uid === uid;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  #refused(socket: TLSSocket, problem: CertificateError | undefined, message: string, status = 401): RefusedError {
    const address = socket.remoteAddress ?? "";
    const fields = { address, problem: problem?.problem, detail: message };
    // Strangers do not fill the log: each says it a few times, then once a minute.
    const { log } = this.#options;
    if (this.#strangers.take(sourceOf(address)) > 0) log.debug(fields, "certificate refused");
    else log.warn(fields, "certificate refused");
    const text = problem ? `${message} (${problem.problem})` : message;
    return new RefusedError(status, text, { problem: problem?.problem });
  }
}
