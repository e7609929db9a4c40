import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  accessReviewHandlers,
  anyOf,
  ApiServer,
  bootstrap,
  CertificateAuthenticator,
  defaultAdmission,
  inProcessClient,
  MASTERS,
  RbacAuthorizer,
  reconcileBootstrapRoles,
  Registry,
  selfSubjectReviewHandler,
  ServiceAccountAuthenticator,
  ServiceAccountTokens,
  tokenHandlers,
  type NodeStreams,
  type UserInfo,
} from "@skerry/apiserver";
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
import type { Client } from "@skerry/client";
import { definition, descriptionOf, type KubeObject } from "@skerry/machinery";
import { MemoryLog } from "@skerry/store";
import { StrictStore } from "@skerry/store/testing";

const HOUR_MS = 3_600_000;
const ISSUER = "https://kubernetes.default.svc.cluster.local";

export interface ApiAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  /** The body as JSON. */
  json: any; // oxlint-disable-line typescript/no-explicit-any -- answers are read by tests that know them
}

export interface CallOptions {
  /** Who asks: by a certificate, or by a bearer token. */
  as: Identity | string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
}

/** The whole API over the real store, on loopback: roles, tokens, HTTPS. Nothing of it lasts. */
export class ApiWorld implements AsyncDisposable {
  readonly store = new StrictStore({ log: new MemoryLog() });
  readonly authority: Identity;
  readonly tokens: ServiceAccountTokens;
  readonly api: Registry;
  readonly #stack = new AsyncDisposableStack();
  readonly #authorizer = new RbacAuthorizer();
  readonly #server: ApiServer;
  #port = 0;
  #directory = "";

  constructor({ nodeStreams }: { nodeStreams?: NodeStreams } = {}) {
    const clock = systemClock;
    const now = Date.now();
    this.authority = createAuthority({ commonName: "world", notBefore: now - HOUR_MS, notAfter: now + HOUR_MS });
    this.tokens = new ServiceAccountTokens({ key: createKey(), issuer: ISSUER, audiences: [ISSUER], clock });
    const client = (): Client => this.client();
    const serviceAccounts = new ServiceAccountAuthenticator({ tokens: this.tokens, client, clock });
    const authenticators = [
      new CertificateAuthenticator({ authorities: [this.authority.certificate], clock, log: silentLogger }),
      serviceAccounts,
    ];
    this.api = new Registry({
      storage: this.store,
      admission: defaultAdmission(this.store, this.#authorizer),
      virtual: {
        ...accessReviewHandlers(this.#authorizer),
        ...tokenHandlers({ tokens: this.tokens, serviceAccounts, authenticator: anyOf(authenticators), client }),
        "selfsubjectreviews.authentication.k8s.io": selfSubjectReviewHandler,
      },
    });
    const server = this.identity("server", [], "server");
    this.#server = new ApiServer({
      api: this.api,
      tls: {
        certificate: toPem("CERTIFICATE", server.certificate.raw),
        key: keyToPem(server.key),
        clientAuthorities: [this.ca],
      },
      authenticators,
      authorizer: this.#authorizer,
      nodeStreams: nodeStreams ?? { request: () => Promise.reject(new Error("no node is connected")) },
      version: { major: "1", minor: "35", gitVersion: "v1.35.0+skerry" },
      schemas: { definition, description: descriptionOf },
      openId: this.tokens,
      log: silentLogger,
    });
  }

  async start(): Promise<this> {
    await this.store.start();
    this.#stack.use(this.store);
    await bootstrap(this.client());
    await reconcileBootstrapRoles(this.client());
    await this.#authorizer.start(this.client());
    this.#stack.use(this.#authorizer);
    this.#port = (await this.#server.start("127.0.0.1", 0)).port;
    this.#stack.use(this.#server);
    return this;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get ca(): string {
    return toPem("CERTIFICATE", this.authority.certificate.raw);
  }

  /** The API in this process, as a user of it: by default one that may do everything. */
  client(user: UserInfo = { name: "admin", groups: [MASTERS] }): Client {
    return inProcessClient({ api: this.api, authorizer: this.#authorizer, user });
  }

  /** A certificate of the API's CA. */
  identity(commonName: string, organizations: string[], usage: "client" | "server" = "client"): Identity {
    const key = createKey();
    const bytes = issueCertificate({
      issuer: this.authority,
      publicKey: key,
      subject: { commonName, organizations },
      usages: [usage],
      dnsNames: ["localhost"],
      ipAddresses: ["127.0.0.1"],
      notBefore: Date.now() - HOUR_MS,
      notAfter: Date.now() + HOUR_MS,
    });
    return { certificate: new X509Certificate(bytes), key };
  }

  /** A kubeconfig in a folder of its own, which `HOME` can be too. */
  async kubeconfig(commonName = "admin", organizations = [MASTERS]): Promise<{ file: string; home: string }> {
    if (this.#directory === "") {
      this.#directory = await mkdtemp(path.join(tmpdir(), "skerry-api-"));
      this.#stack.defer(() => rm(this.#directory, { recursive: true, force: true }));
    }
    const { certificate, key } = this.identity(commonName, organizations);
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const cluster = { server: this.url, "certificate-authority-data": base64(this.ca) };
    const user = {
      "client-certificate-data": base64(toPem("CERTIFICATE", certificate.raw)),
      "client-key-data": base64(keyToPem(key)),
    };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "world", cluster }],
      users: [{ name: "user", user }],
      contexts: [{ name: "world", context: { cluster: "world", user: "user" } }],
      "current-context": "world",
    };
    const file = path.join(this.#directory, `${commonName}.kubeconfig`);
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    return { file, home: this.#directory };
  }

  /** One request over HTTPS, by a certificate or a bearer token. */
  async call(method: string, url: string, options: CallOptions): Promise<ApiAnswer> {
    const response = await this.#send(method, url, options);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const all = Buffer.concat(chunks);
    const text = all.toString("utf8");
    return {
      body: all,
      status: response.statusCode ?? 0,
      headers: response.headers,
      text,
      get json() {
        return JSON.parse(text) as unknown;
      },
    };
  }

  /** Opens a watch: its status, and its events as they come, until the caller has seen enough. */
  async watch(
    url: string,
    options: CallOptions,
  ): Promise<{ status: number; events: AsyncIterable<{ type: string; object: KubeObject }>; close: () => void }> {
    const response = await this.#send("GET", url, options);
    return { status: response.statusCode ?? 0, events: eventsOf(response), close: () => void response.destroy() };
  }

  async #send(method: string, url: string, { as, body, headers = {} }: CallOptions): Promise<IncomingMessage> {
    const request = https.request(`${this.url}${url}`, {
      method,
      agent: false,
      ca: this.ca,
      headers: {
        ...(typeof as === "string" && { authorization: `Bearer ${as}` }),
        ...(body !== undefined && { "content-length": String(Buffer.byteLength(body)) }),
        ...headers,
      },
      ...(typeof as !== "string" && { cert: toPem("CERTIFICATE", as.certificate.raw), key: keyToPem(as.key) }),
    });
    request.end(body);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return response;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function* eventsOf(response: IncomingMessage): AsyncGenerator<{ type: string; object: KubeObject }> {
  let text = "";
  for await (const chunk of response as AsyncIterable<Buffer>) {
    const lines = (text + chunk.toString("utf8")).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as { type: string; object: KubeObject };
  }
}
