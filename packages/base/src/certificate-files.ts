import { X509Certificate } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import {
  createAuthority,
  createKey,
  issueCertificate,
  keyFromPem,
  keyToPem,
  toPem,
  type CertificateRequest,
  type Identity,
} from "./certificates.ts";
import { checkPeerCertificate } from "./certificate-check.ts";
import type { Clock } from "./clock.ts";
import { isMissingFile, writeFileAtomic } from "./files.ts";

const DAY_MS = 86_400_000;

/** Certificates begin an hour before they are made: clocks at the edge differ. */
export const BACKDATE_MS = 3_600_000;
/** How long a CA lasts. Edges pin it, so that it outlives their hardware. */
const AUTHORITY_MS = 30 * 365 * DAY_MS;
/** How long a server's certificate lasts; it is made anew when a third of this is left. */
const SERVER_MS = 365 * DAY_MS;

/** Reads `NAME.crt` and `NAME.key` in a folder; undefined when either is missing. Throws when they are there and make no pair. */
export async function loadIdentity(folder: string, name: string): Promise<Identity | undefined> {
  let certificate: X509Certificate;
  let key: Identity["key"];
  try {
    key = keyFromPem(await readFile(path.join(folder, `${name}.key`), "utf8"));
    certificate = new X509Certificate(await readFile(path.join(folder, `${name}.crt`)));
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw new Error(`Cannot read certificate ${path.join(folder, name)}`, { cause: error });
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new Error(`Cannot use ${path.join(folder, `${name}.key`)}: it is not the key of ${name}.crt`);
  }
  return { certificate, key };
}

/** Writes an identity as `NAME.key` (mode 0600, first) and `NAME.crt`. */
export async function saveIdentity(folder: string, name: string, { certificate, key }: Identity): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomic(path.join(folder, `${name}.key`), keyToPem(key), { mode: 0o600 });
  await writeFileAtomic(path.join(folder, `${name}.crt`), toPem("CERTIFICATE", certificate.raw));
}

/** The CA of a folder, made when there is none. A CA's certificate without its key, or the reverse, is an error, not a reason for another CA. */
export async function loadOrCreateAuthority(
  folder: string,
  { name, commonName, clock }: { name: string; commonName: string; clock: Clock },
): Promise<Identity> {
  const found = await loadIdentity(folder, name);
  if (found) return found;
  if (await exists(path.join(folder, `${name}.crt`))) {
    throw new Error(`Cannot use ${path.join(folder, `${name}.crt`)}: its key ${name}.key is missing`);
  }
  const now = clock.now();
  const authority = createAuthority({ commonName, notBefore: now - BACKDATE_MS, notAfter: now + AUTHORITY_MS });
  await saveIdentity(folder, name, authority);
  return authority;
}

export interface LeafOptions extends Pick<
  CertificateRequest,
  "issuer" | "subject" | "usages" | "dnsNames" | "ipAddresses" | "uris"
> {
  name: string;
  clock: Clock;
  validForMs?: number;
}

/**
 * An end certificate of a folder, made when there is none, and made anew (key included) when it is of another CA, lacks one of the
 * names, or less than a third of its life is left.
 */
export async function loadOrIssue(folder: string, options: LeafOptions): Promise<Identity> {
  const { name, clock, validForMs = SERVER_MS } = options;
  const found = await loadIdentity(folder, name).catch(() => undefined);
  if (found && isGoodFor(found.certificate, options, validForMs)) return found;
  const key = createKey();
  const now = clock.now();
  const bytes = issueCertificate({
    ...options,
    publicKey: key,
    notBefore: now - BACKDATE_MS,
    notAfter: now + validForMs,
  });
  const identity = { certificate: new X509Certificate(bytes), key };
  await saveIdentity(folder, name, identity);
  return identity;
}

/** When a certificate should be renewed: at two thirds of its life. Unix time in milliseconds. */
export function renewalTime(certificate: X509Certificate): number {
  const from = certificate.validFromDate.getTime();
  return from + ((certificate.validToDate.getTime() - from) * 2) / 3;
}

function isGoodFor(certificate: X509Certificate, options: LeafOptions, validForMs: number): boolean {
  const { issuer, usages, dnsNames = [], ipAddresses = [], uris = [], clock } = options;
  const authorities = [issuer.certificate];
  for (const usage of usages) {
    const problem = checkPeerCertificate(certificate, { authorities, usage, clock })?.problem;
    // One from the future is ours from before the clock fell back: another would be of the past for everybody else.
    if (problem !== undefined && problem !== "not-yet-valid") return false;
  }
  const names = certificate.subjectAltName?.split(", ") ?? [];
  return (
    dnsNames.every((dnsName) => names.includes(`DNS:${dnsName}`)) &&
    uris.every((uri) => names.includes(`URI:${uri}`)) &&
    ipAddresses.every((address) => certificate.checkIP(address) !== undefined) &&
    certificate.validToDate.getTime() - clock.now() > validForMs / 3
  );
}

async function exists(file: string): Promise<boolean> {
  return readFile(file).then(
    () => true,
    (error: unknown) => {
      if (isMissingFile(error)) return false;
      throw error;
    },
  );
}
