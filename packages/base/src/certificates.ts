import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
  X509Certificate,
  type KeyObject,
} from "node:crypto";
import { isIP } from "node:net";
import * as der from "./der.ts";

/** Object identifiers: RFC 5280 (extensions, key purposes), RFC 5758 (signatures), X.520 (names). */
const OID = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
} as const;

/** What a certificate's key may do in TLS: be a server, be a client. */
export type CertificateUsage = "server" | "client";

export const USAGE_OID: Record<CertificateUsage, string> = { server: OID.serverAuth, client: OID.clientAuth };

/** A certificate with its private key. */
export interface Identity {
  certificate: X509Certificate;
  key: KeyObject;
}

export interface Subject {
  commonName: string;
  /** The groups of a user, where the API reads users from certificates. */
  organizations?: readonly string[];
}

export interface CertificateRequest {
  issuer: Identity;
  /** Whose certificate it becomes. P-256, P-384 or Ed25519. */
  publicKey: KeyObject;
  subject: Subject;
  usages: readonly CertificateUsage[];
  dnsNames?: readonly string[];
  ipAddresses?: readonly string[];
  uris?: readonly string[];
  /** Unix time in milliseconds; certificates keep whole seconds. */
  notBefore: number;
  notAfter: number;
}

/** A new EC P-256 private key. */
export const createKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

/** A new certificate authority: a self-signed certificate that may sign end certificates and nothing longer. */
export function createAuthority(options: { commonName: string; notBefore: number; notAfter: number }): Identity {
  const key = createKey();
  const spki = spkiOf(key);
  const certificate = signCertificate({
    signer: key,
    issuerName: nameOf(options),
    subjectName: nameOf(options),
    spki,
    notBefore: options.notBefore,
    notAfter: options.notAfter,
    extensions: [
      extension(OID.basicConstraints, true, der.sequence(der.boolean(true), der.integer(Buffer.from([0])))),
      // keyCertSign and cRLSign: bits 5 and 6.
      extension(OID.keyUsage, true, der.bitString(Buffer.from([0x06]), 1)),
      extension(OID.subjectKeyIdentifier, false, der.octetString(keyIdentifier(spki))),
    ],
  });
  return { certificate: new X509Certificate(certificate), key };
}

/** Issues an end certificate and returns it as DER. Its names are the caller's word: nothing is taken from a CSR but its key. */
export function issueCertificate(request: CertificateRequest): Buffer {
  const { issuer, publicKey } = request;
  assertAcceptableKey(publicKey);
  const issuerParts = issuerPartsOf(issuer.certificate);
  const spki = spkiOf(publicKey);
  const names = generalNames(request);
  return signCertificate({
    signer: issuer.key,
    issuerName: issuerParts.name,
    subjectName: nameOf(request.subject),
    spki,
    notBefore: request.notBefore,
    notAfter: request.notAfter,
    extensions: [
      extension(OID.basicConstraints, true, der.sequence()),
      // digitalSignature: bit 0.
      extension(OID.keyUsage, true, der.bitString(Buffer.from([0x80]), 7)),
      extension(OID.extendedKeyUsage, false, der.sequence(...request.usages.map((usage) => der.oid(USAGE_OID[usage])))),
      extension(OID.subjectKeyIdentifier, false, der.octetString(keyIdentifier(spki))),
      extension(OID.authorityKeyIdentifier, false, der.sequence(der.context(0, false, issuerParts.keyIdentifier))),
      ...(names.length > 0 ? [extension(OID.subjectAltName, false, der.sequence(...names))] : []),
    ],
  });
}

/** A PKCS#10 request (RFC 2986) for the key, as DER, with an empty subject: who signs it sets the names. */
export function createCsr(key: KeyObject): Buffer {
  const info = der.sequence(der.integer(Buffer.from([0])), der.sequence(), spkiOf(key), der.context(0, true));
  return der.sequence(info, der.sequence(der.oid(OID.ecdsaWithSha256)), der.bitString(sign("sha256", info, key)));
}

/** The signature algorithms of a PKCS#10 request and the digest that each is over; Ed25519 takes the message itself. */
const CSR_DIGEST: Record<string, string | null> = {
  [OID.ecdsaWithSha256]: "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.3.101.112": null,
};

const MAX_CSR_BYTES = 16 << 10;

/**
 * Reads the key out of a PKCS#10 request that a stranger sent, having checked that its sender holds the private half.
 * Subject and attributes are passed over. Throws `DerError` for anything else than a well-formed request of an acceptable key.
 */
export function readCsr(bytes: Uint8Array): KeyObject {
  if (bytes.length > MAX_CSR_BYTES) {
    throw new der.DerError(`Cannot read certificate request: ${bytes.length} bytes, at most ${MAX_CSR_BYTES} are read`);
  }
  const outer = new der.DerReader(bytes);
  const request = outer.inside(der.TAG.sequence, "certificate request");
  outer.end("certificate request");
  const signed = request.read(der.TAG.sequence, "request info");
  const digest = CSR_DIGEST[request.inside(der.TAG.sequence, "signature algorithm").oid("signature algorithm")];
  const signature = request.bits("signature");
  request.end("certificate request");
  const info = new der.DerReader(signed.content);
  info.read(der.TAG.integer, "version");
  info.read(der.TAG.sequence, "subject");
  const spki = info.read(der.TAG.sequence, "public key").whole;
  if (digest === undefined) throw new der.DerError("Cannot accept certificate request: unknown signature algorithm");
  const key = readPublicKey(spki);
  assertAcceptableKey(key);
  let holds: boolean;
  try {
    holds = verify(digest, signed.whole, key, signature);
  } catch (error) {
    throw new der.DerError("Cannot check the signature of the certificate request", { cause: error });
  }
  if (!holds) throw new der.DerError("Cannot accept certificate request: it is not signed by its own key");
  return key;
}

function readPublicKey(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch (error) {
    throw new der.DerError("Cannot read public key of the certificate request", { cause: error });
  }
}

/** The PEM form of DER (RFC 7468). */
export function toPem(label: "CERTIFICATE" | "CERTIFICATE REQUEST", bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** A private key as PKCS#8 PEM. */
export const keyToPem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();

export const keyFromPem = (pem: string): KeyObject => createPrivateKey(pem);

/** SHA-256 of a certificate's DER: what pins it. */
export const fingerprintOf = (certificate: X509Certificate): Buffer =>
  createHash("sha256").update(certificate.raw).digest();

/** Keys that we sign for and let in: EC on P-256 or P-384, and Ed25519. Others are refused, however large. */
export function assertAcceptableKey(key: KeyObject): void {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const known = key.asymmetricKeyType === "ed25519" || curve === "prime256v1" || curve === "secp384r1";
  if (known) return;
  const found = [key.asymmetricKeyType, curve].filter((word) => word !== undefined).join(" ");
  throw new der.DerError(`Cannot accept a key of type ${found}: make one on P-256, P-384 or Ed25519`);
}

interface ToSign {
  signer: KeyObject;
  issuerName: Uint8Array;
  subjectName: Uint8Array;
  spki: Uint8Array;
  notBefore: number;
  notAfter: number;
  extensions: Uint8Array[];
}

/** RFC 5280, 4.1: version 3, a random positive serial of 16 octets. */
function signCertificate(parts: ToSign): Buffer {
  const algorithm = der.sequence(der.oid(OID.ecdsaWithSha256));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const toBeSigned = der.sequence(
    der.context(0, true, der.integer(Buffer.from([2]))),
    der.integer(serial),
    algorithm,
    parts.issuerName,
    der.sequence(der.time(parts.notBefore), der.time(parts.notAfter)),
    parts.subjectName,
    parts.spki,
    der.context(3, true, der.sequence(...parts.extensions)),
  );
  return der.sequence(toBeSigned, algorithm, der.bitString(sign("sha256", toBeSigned, parts.signer)));
}

function nameOf({ commonName, organizations = [] }: Subject): Buffer {
  const attribute = (type: string, value: string): Buffer =>
    der.setOf(der.sequence(der.oid(type), der.utf8String(value)));
  return der.sequence(
    ...organizations.map((organization) => attribute(OID.organization, organization)),
    attribute(OID.commonName, commonName),
  );
}

function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
  return der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
}

function generalNames({ dnsNames = [], ipAddresses = [], uris = [] }: CertificateRequest): Buffer[] {
  return [
    ...dnsNames.map((name) => der.context(2, false, asciiOf(name))),
    ...uris.map((uri) => der.context(6, false, asciiOf(uri))),
    ...ipAddresses.map((address) => der.context(7, false, ipOctets(address))),
  ];
}

function asciiOf(text: string): Buffer {
  if (!/^[\x21-\x7e]+$/.test(text))
    throw new RangeError(`Cannot put the name ${JSON.stringify(text)} into a certificate`);
  return Buffer.from(text, "latin1");
}

function ipOctets(address: string): Buffer {
  switch (isIP(address)) {
    case 4:
      return Buffer.from(address.split(".").map(Number));
    case 6: {
      // WHATWG URLs write an IPv6 address in its one canonical form, embedded IPv4 included.
      const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
      const groups = (text: string | undefined): number[] =>
        text === undefined || text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
      const left = groups(head);
      const right = groups(tail);
      const middle = Array.from({ length: 8 - left.length - right.length }, () => 0);
      return Buffer.from([...left, ...middle, ...right].flatMap((group) => [group >> 8, group & 0xff]));
    }
    default:
      throw new RangeError(`Cannot put the address ${JSON.stringify(address)} into a certificate: not an IP address`);
  }
}

// A private key does not export its public half itself.
const spkiOf = (key: KeyObject): Buffer =>
  (key.type === "private" ? createPublicKey(key) : key).export({ type: "spki", format: "der" });

/** What a certificate says of its issuer: the subject's name and key identifier of the issuer's certificate (RFC 5280, 4.1). */
function issuerPartsOf(certificate: X509Certificate): { name: Uint8Array; keyIdentifier: Uint8Array } {
  const tbs = new der.DerReader(certificate.raw)
    .inside(der.TAG.sequence, "certificate")
    .inside(der.TAG.sequence, "certificate to be signed");
  if (tbs.tag === 0xa0) tbs.read(0xa0, "version");
  tbs.read(der.TAG.integer, "serial number");
  tbs.read(der.TAG.sequence, "algorithm");
  tbs.read(der.TAG.sequence, "issuer");
  tbs.read(der.TAG.sequence, "validity");
  const name = tbs.read(der.TAG.sequence, "subject").whole;
  const spki = tbs.read(der.TAG.sequence, "public key").whole;
  while (tbs.tag === 0x81 || tbs.tag === 0x82) tbs.read(tbs.tag, "unique identifier");
  const extensions = tbs.isAtEnd ? tbs : tbs.inside(0xa3, "extensions").inside(der.TAG.sequence, "extensions");
  while (!extensions.isAtEnd) {
    const entry = extensions.inside(der.TAG.sequence, "extension");
    if (entry.oid("extension") !== OID.subjectKeyIdentifier) continue;
    const value = entry.inside(der.TAG.octetString, "key identifier");
    return { name, keyIdentifier: value.read(der.TAG.octetString, "key identifier").content };
  }
  return { name, keyIdentifier: keyIdentifier(spki) };
}

/** RFC 5280, 4.2.1.2, method 1 is of SHA-1; RFC 7093 allows the leftmost 160 bits of SHA-256 instead. */
function keyIdentifier(spki: Uint8Array): Buffer {
  const reader = new der.DerReader(spki).inside(der.TAG.sequence, "public key");
  reader.read(der.TAG.sequence, "algorithm");
  return createHash("sha256").update(reader.bits("public key")).digest().subarray(0, 20);
}
