import type { KeyObject, X509Certificate } from "node:crypto";
import { BACKDATE_MS, issueCertificate, type Clock, type Identity } from "@skerry/base";

/** Who is at the other end of a link, as its certificate says: a node, and the life of it that was joined. */
export interface NodeIdentity {
  node: string;
  /** metadata.uid of the Node: a node that was deleted and made again is another one. */
  uid: string;
}

const DAY_MS = 86_400_000;
/** How long an edge's certificate lasts. Edges renew it at two thirds of its life, as soon as they see the hub. */
const NODE_CERTIFICATE_MS = 365 * DAY_MS;
/** How long after its end a certificate still proves who asks for another: an edge may be away for long. */
export const RENEWAL_GRACE_MS = 5 * 365 * DAY_MS;

const URI = /^URI:skerry:node:([a-z0-9.-]{1,253}):([A-Za-z0-9-]{1,64})$/;

/** Issues a certificate that says `identity`, and nothing of what the asker would like it to say. DER. */
export function issueNodeCertificate(
  authority: Identity,
  identity: NodeIdentity,
  publicKey: KeyObject,
  clock: Clock,
): Buffer {
  const now = clock.now();
  return issueCertificate({
    issuer: authority,
    publicKey,
    subject: { commonName: `skerry:node:${identity.node}`.slice(0, 64) },
    usages: ["client"],
    uris: [`skerry:node:${identity.node}:${identity.uid}`],
    notBefore: now - BACKDATE_MS,
    notAfter: now + NODE_CERTIFICATE_MS,
  });
}

/** Reads the identity out of a certificate whose signature was checked; undefined when it says none, or more than one thing. */
export function identityOf(certificate: X509Certificate): NodeIdentity | undefined {
  const [, node, uid] = URI.exec(certificate.subjectAltName ?? "") ?? [];
  return node === undefined || uid === undefined ? undefined : { node, uid };
}
