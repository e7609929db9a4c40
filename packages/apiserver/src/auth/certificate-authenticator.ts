import type { X509Certificate } from "node:crypto";
import { checkPeerCertificate, type Clock, type Logger } from "@skerry/base";
import type { UserInfo } from "../request.ts";
import { authenticated, type Authenticator, type Credentials } from "./authenticator.ts";

export interface CertificateAuthenticatorOptions {
  /** The CAs whose client certificates name users. */
  authorities: readonly X509Certificate[];
  clock: Clock;
  log: Logger;
}

interface Known {
  readonly user: UserInfo | undefined;
  readonly notAfter: number;
}

/**
 * Takes the user from a client certificate: the common name is the user's, the organizations are the groups. The certificate is checked by us, whatever TLS
 * thinks of it: a resumed session brings the verdict of its first handshake along. Signatures are checked once a connection, time at each request.
 *
 * One whose time has not come yet is taken: our CA signs none ahead of time, so it is our clock that went back, and an administrator who were
 * locked out by that could not even see it.
 */
export class CertificateAuthenticator implements Authenticator {
  readonly #options: CertificateAuthenticatorOptions;
  readonly #known = new WeakMap<X509Certificate, Known>();

  constructor(options: CertificateAuthenticatorOptions) {
    this.#options = options;
  }

  authenticate({ certificate }: Credentials): UserInfo | undefined {
    if (!certificate) return undefined;
    let known = this.#known.get(certificate);
    if (known === undefined) {
      known = this.#check(certificate);
      this.#known.set(certificate, known);
    }
    return this.#options.clock.now() <= known.notAfter ? known.user : undefined;
  }

  #check(certificate: X509Certificate): Known {
    const { authorities, clock, log } = this.#options;
    const problem = checkPeerCertificate(certificate, { authorities, usage: "client", clock });
    // A certificate that is only out of time now may be within it later, when the clock has been set.
    const isOutOfTime = problem?.problem === "expired" || problem?.problem === "not-yet-valid";
    const fields = { subject: certificate.subject, problem: problem?.problem };
    if (problem?.problem === "not-yet-valid") log.warn(fields, "this machine's clock is behind its own certificates");
    else if (problem) log.info(fields, "client certificate refused");
    const chain = [certificate, ...authorities.filter((authority) => certificate.checkIssued(authority))];
    return {
      user: problem && !isOutOfTime ? undefined : userOf(certificate),
      notAfter: Math.min(...chain.map(({ validToDate }) => validToDate.getTime())),
    };
  }
}

/** `undefined` for a subject that does not name exactly one user. */
function userOf(certificate: X509Certificate): UserInfo | undefined {
  const subject: Record<string, string | string[] | undefined> = { ...certificate.toLegacyObject().subject };
  const { CN: name, O: organizations = [] } = subject;
  if (typeof name !== "string" || name === "") return undefined;
  const groups = typeof organizations === "string" ? [organizations] : organizations;
  return authenticated({ name, groups });
}
