import type { X509Certificate } from "node:crypto";
import type { Clock } from "./clock.ts";
import { USAGE_OID, type CertificateUsage } from "./certificates.ts";

/** What is wrong with a peer's certificate, the first that applies in this order. */
export type CertificateProblem =
  | "missing"
  /** Not signed by a CA that is trusted here, whatever it says about itself. */
  | "foreign"
  | "wrong-usage"
  | "wrong-name"
  /** The last to be looked at: these certificates are ours in every other way. */
  | "not-yet-valid"
  | "expired";

/** A peer's certificate was refused. */
export class CertificateError extends Error {
  override name = "CertificateError";
  readonly problem: CertificateProblem;

  constructor(problem: CertificateProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

export interface CertificateExpectation {
  /** The CAs that are trusted, and no others. */
  authorities: readonly X509Certificate[];
  usage: CertificateUsage;
  /** A DNS name that the certificate must have; any when absent. */
  name?: string;
  clock: Pick<Clock, "now">;
}

/**
 * Checks a peer's certificate from scratch: signature to a trusted CA, usage, name, and only then time. Returns what is
 * wrong, or nothing. TLS's own verdict is not asked: it calls a foreign certificate that is also expired merely expired, and a
 * resumed session repeats the verdict of the first handshake.
 */
export function checkPeerCertificate(
  certificate: X509Certificate | undefined,
  { authorities, usage, name, clock }: CertificateExpectation,
): CertificateError | undefined {
  if (!certificate) return new CertificateError("missing", "The peer shows no certificate");
  const issuer = authorities.find((authority) => isSignedBy(certificate, authority));
  if (!issuer) return new CertificateError("foreign", "The peer's certificate is not signed by a CA trusted here");
  // A CA's certificate proves no end, and one that says nothing of its usage may not be used for everything.
  if (certificate.ca || !certificate.keyUsage?.includes(USAGE_OID[usage])) {
    return new CertificateError("wrong-usage", `The peer's certificate is not for a TLS ${usage}`);
  }
  if (name !== undefined && certificate.checkHost(name, { subject: "never", wildcards: false }) === undefined) {
    return new CertificateError("wrong-name", `The peer's certificate is not for ${JSON.stringify(name)}`);
  }
  const now = clock.now();
  for (const link of [certificate, issuer]) {
    if (now < link.validFromDate.getTime()) {
      const from = link.validFromDate.toISOString();
      return new CertificateError("not-yet-valid", `The peer's certificate is valid from ${from}: compare the clocks`);
    }
    if (now > link.validToDate.getTime()) {
      const to = link.validToDate.toISOString();
      return new CertificateError("expired", `The peer's certificate was valid until ${to}`);
    }
  }
  return undefined;
}

/** Like `checkPeerCertificate`, but throws what is wrong. */
export function verifyPeerCertificate(
  certificate: X509Certificate | undefined,
  expected: CertificateExpectation,
): void {
  const error = checkPeerCertificate(certificate, expected);
  if (error) throw error;
}

function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  if (!authority.ca || !certificate.checkIssued(authority)) return false;
  try {
    return certificate.verify(authority.publicKey);
  } catch {
    // A signature of an algorithm that does not fit the CA's key: not the CA's.
    return false;
  }
}
