import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { IncomingHttpHeaders } from "node:http";
import {
  createAuthority,
  createKey,
  issueCertificate,
  keyToPem,
  silentLogger,
  systemClock,
  toPem,
  type Identity,
} from "@skerry/base";
import type { Api } from "../api.ts";
import { CertificateAuthenticator } from "../auth/certificate-authenticator.ts";
import { StaticTokenAuthenticator } from "../auth/static-tokens.ts";
import { ApiServer, type ApiServerOptions } from "../server.ts";

const DAY_MS = 86_400_000;

/** Certificates of a test: a CA that the API trusts, its server's, and clients' as they are wanted. */
export class TestCertificates {
  readonly authority: Identity = createAuthority({
    commonName: "test-api-ca",
    notBefore: Date.now() - 10 * DAY_MS,
    notAfter: Date.now() + 10 * DAY_MS,
  });
  readonly server: Identity = this.issue({ commonName: "server", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] });

  issue(options: {
    commonName: string;
    organizations?: string[];
    dnsNames?: string[];
    ipAddresses?: string[];
    usage?: "client" | "server";
    issuer?: Identity;
    notAfter?: number;
  }): Identity {
    const { commonName, organizations = [], issuer = this.authority, notAfter = Date.now() + DAY_MS } = options;
    const key = createKey();
    const isServer = options.dnsNames !== undefined;
    const bytes = issueCertificate({
      issuer,
      publicKey: key,
      subject: { commonName, organizations },
      usages: [options.usage ?? (isServer ? "server" : "client")],
      dnsNames: options.dnsNames ?? [],
      ipAddresses: options.ipAddresses ?? [],
      notBefore: Date.now() - 2 * DAY_MS,
      notAfter,
    });
    return { certificate: new X509Certificate(bytes), key };
  }

  get ca(): string {
    return toPem("CERTIFICATE", this.authority.certificate.raw);
  }
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  /** The body as JSON. */
  json: any; // oxlint-disable-line typescript/no-explicit-any -- answers are read by tests that know them
}

/** A real server over a given `Api` on loopback, with a token for an administrator (`admin`) and one for a user without rights (`nobody`). */
export class TestServer implements AsyncDisposable {
  readonly certificates = new TestCertificates();
  readonly server: ApiServer;
  address: AddressInfo | undefined;

  constructor(api: Api, options: Partial<ApiServerOptions> = {}) {
    const { certificates } = this;
    this.server = new ApiServer({
      api,
      tls: {
        certificate: toPem("CERTIFICATE", certificates.server.certificate.raw),
        key: keyToPem(certificates.server.key),
        clientAuthorities: [certificates.ca],
      },
      authenticators: [
        new CertificateAuthenticator({
          authorities: [certificates.authority.certificate],
          clock: options.clock ?? systemClock,
          log: silentLogger,
        }),
        new StaticTokenAuthenticator([
          { token: "admin", user: { name: "admin", groups: ["system:masters"] } },
          { token: "nobody", user: { name: "nobody", groups: [] } },
        ]),
      ],
      authorizer: {
        authorize: ({ groups }) => ({ allowed: groups.includes("system:masters"), reason: "" }),
      },
      nodeStreams: { request: () => Promise.reject(new Error("no node is connected")) },
      version: { major: "1", minor: "35", gitVersion: "v1.35.0+skerry" },
      schemas: { definition: () => undefined, description: () => undefined },
      log: silentLogger,
      ...options,
    });
  }

  async start(): Promise<this> {
    this.address = await this.server.start("127.0.0.1", 0);
    return this;
  }

  get port(): number {
    return this.address?.port ?? 0;
  }

  /** A request over HTTP/1.1, as the administrator unless headers or a certificate say otherwise. */
  async call(
    method: string,
    path: string,
    options: {
      headers?: Record<string, string | string[]>;
      body?: string | Uint8Array;
      client?: Identity | undefined;
    } = {},
  ): Promise<Answer> {
    const { headers = {}, body, client } = options;
    const request = https.request({
      host: "127.0.0.1",
      port: this.port,
      method,
      path,
      agent: false,
      ca: this.certificates.ca,
      ...(client && { cert: toPem("CERTIFICATE", client.certificate.raw), key: keyToPem(client.key) }),
      headers: {
        ...(body !== undefined && { "content-length": String(Buffer.byteLength(body)) }),
        ...(client || "authorization" in headers ? {} : { authorization: "Bearer admin" }),
        ...headers,
      },
    });
    request.end(body);
    const [response] = await once(request, "response");
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    return answerOf(response.statusCode as number, response.headers as IncomingHttpHeaders, Buffer.concat(chunks));
  }

  /** An HTTP/2 session as the administrator. */
  connect(): http2.ClientHttp2Session {
    return http2.connect(`https://127.0.0.1:${this.port}`, { ca: this.certificates.ca });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

/** A request over an HTTP/2 session. */
export async function call2(session: http2.ClientHttp2Session, method: string, path: string): Promise<Answer> {
  const stream = session.request({ ":method": method, ":path": path, authorization: "Bearer admin" });
  stream.end();
  const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader];
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return answerOf(headers[":status"] ?? 0, headers, Buffer.concat(chunks));
}

function answerOf(status: number, headers: IncomingHttpHeaders, body: Buffer): Answer {
  return {
    status,
    headers,
    body,
    get text() {
      return body.toString("utf8");
    },
    get json() {
      return JSON.parse(body.toString("utf8")) as unknown;
    },
  };
}
