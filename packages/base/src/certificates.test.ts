import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { checkPeerCertificate } from "./certificate-check.ts";
import { loadIdentity, loadOrCreateAuthority, loadOrIssue, saveIdentity } from "./certificate-files.ts";
import {
  createAuthority,
  createCsr,
  createKey,
  issueCertificate,
  readCsr,
  toPem,
  type Identity,
} from "./certificates.ts";
import { DerError, DerReader, integer, oid, TAG } from "./der.ts";
import { FakeClock } from "./testing.ts";

const NOW = Date.UTC(2026, 5, 1);
const YEAR = 365 * 86_400_000;

const authority = (commonName = "ca"): Identity =>
  createAuthority({ commonName, notBefore: NOW - YEAR, notAfter: NOW + 10 * YEAR });

function leaf(issuer: Identity, changes: Partial<Parameters<typeof issueCertificate>[0]> = {}): X509Certificate {
  return new X509Certificate(
    issueCertificate({
      issuer,
      publicKey: createKey(),
      subject: { commonName: "n1" },
      usages: ["client"],
      notBefore: NOW - 1000,
      notAfter: NOW + YEAR,
      ...changes,
    }),
  );
}

let folder: string;
before(() => void (folder = mkdtempSync(path.join(tmpdir(), "skerry-certificates-"))));
after(() => rmSync(folder, { recursive: true }));

const openssl = (...args: string[]): string => execFileSync("openssl", args, { encoding: "utf8", stdio: "pipe" });

describe("issueCertificate()", () => {
  it("makes certificates that openssl verifies and reads as they were meant", () => {
    const ca = authority("link-ca");
    const certificate = leaf(ca, {
      subject: { commonName: "system:node:n1", organizations: ["system:nodes", "other"] },
      usages: ["server", "client"],
      dnsNames: ["skerry-hub"],
      ipAddresses: ["10.0.0.7", "2001:db8::7"],
      uris: ["skerry:node:n1:4711"],
    });
    const caFile = path.join(folder, "ca.crt");
    const leafFile = path.join(folder, "leaf.crt");
    writeFileSync(caFile, toPem("CERTIFICATE", ca.certificate.raw));
    writeFileSync(leafFile, toPem("CERTIFICATE", certificate.raw));
    const time = String(NOW / 1000);
    assert.match(
      openssl("verify", "-x509_strict", "-attime", time, "-purpose", "sslclient", "-CAfile", caFile, leafFile),
      /OK/,
    );
    assert.match(
      openssl("verify", "-x509_strict", "-attime", time, "-purpose", "sslserver", "-CAfile", caFile, leafFile),
      /OK/,
    );
    const text = openssl("x509", "-in", leafFile, "-noout", "-text");
    assert.match(text, /Subject: O = system:nodes, O = other, CN = system:node:n1/);
    assert.match(
      text,
      /DNS:skerry-hub, URI:skerry:node:n1:4711, IP Address:10\.0\.0\.7, IP Address:2001:DB8:0:0:0:0:0:7/,
    );
    assert.match(text, /Basic Constraints: critical\s+CA:FALSE/);
    assert.match(text, /Key Usage: critical\s+Digital Signature\n/);
    assert.match(openssl("x509", "-in", caFile, "-noout", "-text"), /CA:TRUE, pathlen:0/);
  });

  it("chains to a CA that openssl made, whose key identifier is its own", () => {
    const key = path.join(folder, "outside.key");
    const crt = path.join(folder, "outside.crt");
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      key,
      "-out",
      crt,
      "-subj",
      "/CN=outside",
      "-addext",
      "keyUsage=critical,keyCertSign",
    );
    return loadIdentity(folder, "outside").then((ca) => {
      assert.ok(ca);
      const file = path.join(folder, "outside-leaf.crt");
      const now = Date.now();
      writeFileSync(file, toPem("CERTIFICATE", leaf(ca, { notBefore: now - 1000, notAfter: now + YEAR }).raw));
      assert.match(openssl("verify", "-x509_strict", "-CAfile", crt, file), /OK/);
    });
  });

  it("writes the years after 2049 as well", () => {
    const certificate = leaf(authority(), { notAfter: Date.UTC(2060, 1, 2, 3, 4, 5) });
    assert.equal(certificate.validToDate.toISOString(), "2060-02-02T03:04:05.000Z");
  });

  it("refuses keys that are not of a known curve", () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    assert.throws(() => leaf(authority(), { publicKey }), /type rsa: make one on P-256/);
  });
});

describe("readCsr()", () => {
  it("reads the key of our own request, which openssl verifies too", () => {
    const key = createKey();
    const csr = createCsr(key);
    assert.ok(readCsr(csr).equals(createPublicKey(key)));
    const file = path.join(folder, "own.csr");
    writeFileSync(file, toPem("CERTIFICATE REQUEST", csr));
    openssl("req", "-in", file, "-verify", "-noout");
  });

  for (const algorithm of ["P-256", "P-384", "ed25519"]) {
    it(`reads openssl's request of a ${algorithm} key, whatever subject it asks for`, () => {
      const kind = algorithm === "ed25519" ? ["ed25519"] : ["ec", "-pkeyopt", `ec_paramgen_curve:${algorithm}`];
      const file = path.join(folder, `${algorithm}.csr`);
      openssl(
        "req",
        "-new",
        "-newkey",
        ...kind,
        "-nodes",
        "-keyout",
        `${file}.key`,
        "-outform",
        "DER",
        "-out",
        file,
        "-subj",
        "/O=system:masters/CN=admin",
        "-addext",
        "subjectAltName=DNS:skerry-hub",
      );
      const bytes = Buffer.from(execFileSync("cat", [file]));
      assert.equal(readCsr(bytes).type, "public");
    });
  }

  it("refuses RSA, a changed byte anywhere, and any cut", () => {
    const file = path.join(folder, "rsa.csr");
    openssl(
      "req",
      "-new",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      `${file}.key`,
      "-outform",
      "DER",
      "-out",
      file,
      "-subj",
      "/CN=x",
    );
    assert.throws(() => readCsr(execFileSync("cat", [file])), DerError);
    const csr = createCsr(createKey());
    for (let i = 0; i < csr.length; i++) {
      assert.throws(() => readCsr(csr.subarray(0, i)), DerError);
      const changed = Buffer.from(csr);
      changed[i] = (changed[i] ?? 0) ^ 0x10;
      assert.throws(() => readCsr(changed), DerError, `byte ${i}`);
    }
  });

  it("answers any bytes with DerError and nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.throws(() => readCsr(bytes), DerError);
      }),
    );
  });
});

describe("checkPeerCertificate()", () => {
  const ca = authority();
  const clock = new FakeClock(NOW);
  const check = (certificate: X509Certificate | undefined, name?: string): string | undefined =>
    checkPeerCertificate(certificate, {
      authorities: [ca.certificate],
      usage: "client",
      clock,
      ...(name !== undefined && { name }),
    })?.problem;

  it("accepts a certificate of the CA, for its usage, name and time", () => {
    assert.equal(check(leaf(ca)), undefined);
    assert.equal(check(leaf(ca, { dnsNames: ["skerry-hub"] }), "skerry-hub"), undefined);
  });

  it("calls a foreign certificate foreign, be it expired, self-signed, or of a CA of the same name", () => {
    const impostor = authority();
    assert.equal(check(leaf(impostor)), "foreign");
    assert.equal(check(leaf(impostor, { notBefore: NOW - YEAR, notAfter: NOW - 1000 })), "foreign");
    assert.equal(check(authority("n1").certificate), "foreign");
    assert.equal(check(undefined), "missing");
  });

  it("looks at usage and name before it looks at the time", () => {
    const old = { notBefore: NOW - YEAR, notAfter: NOW - 1000 };
    assert.equal(check(leaf(ca, { ...old, usages: ["server"] })), "wrong-usage");
    assert.equal(check(leaf(ca, { ...old, dnsNames: ["other"] }), "skerry-hub"), "wrong-name");
    assert.equal(check(leaf(ca, { ...old, subject: { commonName: "skerry-hub" } }), "skerry-hub"), "wrong-name");
    assert.equal(check(leaf(ca, old)), "expired");
    assert.equal(check(leaf(ca, { notBefore: NOW + 1000 })), "not-yet-valid");
  });

  it("refuses the CA's own certificate as an end", () => {
    assert.equal(check(ca.certificate), "wrong-usage");
  });
});

describe("loadOrIssue()", () => {
  it("keeps what is good and makes anew what is old, of another CA, or lacks a name", async () => {
    const home = path.join(folder, "pki");
    const clock = new FakeClock(NOW);
    const ca = await loadOrCreateAuthority(home, { name: "ca", commonName: "ca", clock });
    const again = await loadOrCreateAuthority(home, { name: "ca", commonName: "ca", clock });
    assert.equal(again.certificate.fingerprint256, ca.certificate.fingerprint256);
    assert.equal(statSync(path.join(home, "ca.key")).mode & 0o777, 0o600);

    const options = { name: "server", issuer: ca, subject: { commonName: "s" }, usages: ["server" as const], clock };
    const first = await loadOrIssue(home, { ...options, dnsNames: ["a"] });
    assert.equal(
      (await loadOrIssue(home, { ...options, dnsNames: ["a"] })).certificate.serialNumber,
      first.certificate.serialNumber,
    );
    const named = await loadOrIssue(home, { ...options, dnsNames: ["a", "b"], ipAddresses: ["127.0.0.1"] });
    assert.notEqual(named.certificate.serialNumber, first.certificate.serialNumber);
    clock.advance(0.8 * YEAR);
    const renewed = await loadOrIssue(home, { ...options, dnsNames: ["a"] });
    assert.notEqual(renewed.certificate.serialNumber, named.certificate.serialNumber);
    clock.jump(-5 * YEAR);
    const afterReset = await loadOrIssue(home, { ...options, dnsNames: ["a"] });
    assert.equal(
      afterReset.certificate.serialNumber,
      renewed.certificate.serialNumber,
      "a clock that fell back changes nothing",
    );
    clock.jump(5 * YEAR);
    const other = { ...options, issuer: authority("other") };
    assert.notEqual((await loadOrIssue(home, other)).certificate.issuer, renewed.certificate.issuer);
  });

  it("does not make another CA when only the key of the old one is lost", async () => {
    const home = path.join(folder, "lost");
    await saveIdentity(home, "ca", authority());
    rmSync(path.join(home, "ca.key"));
    await assert.rejects(
      loadOrCreateAuthority(home, { name: "ca", commonName: "ca", clock: new FakeClock(NOW) }),
      /its key ca\.key is missing/,
    );
  });
});

describe("DER", () => {
  it("integer() and oid() come back as they were written", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 128n }), (value) => {
        const octets = Buffer.from(value.toString(16).padStart(34, "0"), "hex");
        const { content } = new DerReader(integer(octets)).read(TAG.integer, "integer");
        assert.equal(BigInt(`0x${Buffer.from(content).toString("hex")}`), value);
        assert.ok(((content[0] ?? 0) & 0x80) === 0);
      }),
    );
    for (const id of ["1.2.840.10045.4.3.2", "2.5.29.37", "2.999.3", "1.3.101.112"]) {
      assert.equal(new DerReader(oid(id)).oid("id"), id);
    }
  });

  it("refuses lengths that are indefinite, too long, or not in shortest form", () => {
    for (const hex of ["3080", "308100", "30820001", "3085ffffffffff", "3084ffffffff", "30"]) {
      assert.throws(() => new DerReader(Buffer.from(hex, "hex")).read(TAG.sequence, "x"), DerError);
    }
  });
});
