import { X509Certificate, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  createCsr,
  createKey,
  isMissingFile,
  keyFromPem,
  keyToPem,
  renewalTime,
  toPem,
  writeFileAtomic,
  type Clock,
  type Identity,
} from "@skerry/base";

/** What the hub answers to a join or a renewal. */
export interface Credentials {
  /** PEM. */
  certificate: string;
  /** PEM. */
  authority: string;
  node: string;
  uid: string;
}

/**
 * Who this edge is: key, certificate and the pinned CA, in one file (PEM, mode 0600) that is replaced as a whole, so that key
 * and certificate never part.
 */
export class EdgeIdentity {
  readonly #file: string;
  #current: Identity;
  readonly authority: X509Certificate;
  /** The node's name and uid, as the certificate says. */
  readonly node: string;
  readonly uid: string;

  private constructor(file: string, parts: { key: string; certificate: string; authority: string }) {
    this.#file = file;
    this.authority = new X509Certificate(parts.authority);
    this.#current = identityOf(parts.key, parts.certificate);
    const [, node, uid] =
      /^URI:skerry:node:([^:]+):([^:]+)$/.exec(this.#current.certificate.subjectAltName ?? "") ?? [];
    if (node === undefined || uid === undefined) throw new Error(`Cannot use ${file}: its certificate names no node`);
    this.node = node;
    this.uid = uid;
  }

  /** Reads the file; undefined when this machine has not joined. */
  static async load(file: string): Promise<EdgeIdentity | undefined> {
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch (error) {
      if (isMissingFile(error)) return undefined;
      throw error;
    }
    const [key, certificate, authority] = text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n?/g) ?? [];
    if (key === undefined || certificate === undefined || authority === undefined) {
      throw new Error(`Cannot use ${file}: it does not hold a key and two certificates; join again`);
    }
    return new EdgeIdentity(file, { key, certificate, authority });
  }

  /** Asks for a certificate of a key with a request for it (base64 DER), and keeps both. */
  static async create(file: string, key: KeyObject, ask: (csr: string) => Promise<unknown>): Promise<EdgeIdentity> {
    const answer = credentialsOf(await ask(createCsr(key).toString("base64")));
    const parts = { key: keyToPem(key), certificate: answer.certificate, authority: answer.authority };
    const identity = new EdgeIdentity(file, parts);
    await save(file, parts);
    return identity;
  }

  get current(): Identity {
    return this.#current;
  }

  /** At two thirds of its life the certificate should be renewed. */
  isRenewalDue(clock: Clock): boolean {
    return clock.now() >= renewalTime(this.#current.certificate);
  }

  isExpired(clock: Clock): boolean {
    return clock.now() > this.#current.certificate.validToDate.getTime();
  }

  /** Takes another key and certificate for the same node. The pinned CA stays. */
  async renew(ask: (csr: string) => Promise<unknown>): Promise<void> {
    const key = createKey();
    const { certificate } = credentialsOf(await ask(createCsr(key).toString("base64")));
    const parts = { key: keyToPem(key), certificate, authority: toPem("CERTIFICATE", this.authority.raw) };
    const renewed = new EdgeIdentity(this.#file, parts);
    if (
      renewed.node !== this.node ||
      renewed.uid !== this.uid ||
      !renewed.#current.certificate.checkIssued(this.authority)
    ) {
      throw new Error("The hub renewed the certificate of another node");
    }
    await save(this.#file, parts);
    this.#current = renewed.#current;
  }
}

const save = (file: string, parts: { key: string; certificate: string; authority: string }): Promise<void> =>
  writeFileAtomic(file, `${parts.key}${parts.certificate}${parts.authority}`, { mode: 0o600 });

function identityOf(keyPem: string, certificatePem: string): Identity {
  const key = keyFromPem(keyPem);
  const certificate = new X509Certificate(certificatePem);
  if (!certificate.checkPrivateKey(key)) throw new Error("The certificate is not of this edge's key");
  return { certificate, key };
}

function credentialsOf(answer: unknown): Credentials {
  const { certificate, authority, node, uid } = answer as Record<string, unknown>;
  const fits = [certificate, authority, node, uid].every((part) => typeof part === "string");
  if (!fits) throw new Error("The hub's answer is not a certificate");
  return answer as Credentials;
}
