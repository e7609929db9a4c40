import type { KeyObject, X509Certificate } from "node:crypto";
import type { AddressInfo } from "node:net";
import { silentLogger, systemClock, toPem, type Clock, type Logger } from "@skerry/base";
import type { Client } from "@skerry/client";
import { defaultAdmission } from "./admission/default-admission.ts";
import type { Api } from "./api.ts";
import { accessReviewHandlers, selfSubjectReviewHandler } from "./auth/access-reviews.ts";
import { anyOf, MASTERS, type Authenticator } from "./auth/authenticator.ts";
import type { Authorizer } from "./auth/authorizer.ts";
import { CertificateAuthenticator } from "./auth/certificate-authenticator.ts";
import { RbacAuthorizer } from "./auth/rbac/rbac-authorizer.ts";
import { reconcileBootstrapRoles } from "./auth/rbac/reconcile-roles.ts";
import { ServiceAccountAuthenticator } from "./auth/service-account-authenticator.ts";
import { ServiceAccountTokens } from "./auth/service-account-tokens.ts";
import { StaticTokenAuthenticator, type StaticToken } from "./auth/static-tokens.ts";
import { tokenHandlers } from "./auth/token-handlers.ts";
import { bootstrap } from "./bootstrap.ts";
import type { HealthCheck } from "./http/health.ts";
import type { ApiMetrics } from "./http/metrics.ts";
import { inProcessClient } from "./in-process.ts";
import type { NodeStreams } from "./node-streams.ts";
import type { SchemaSource } from "./openapi/schemas.ts";
import { Expiry } from "./registry/expiry.ts";
import { Registry } from "./registry/registry.ts";
import type { UserInfo } from "./request.ts";
import { ApiServer, type ApiServerOptions } from "./server.ts";
import type { Storage } from "./storage.ts";

export interface EmbeddedApiOptions {
  storage: Storage;
  nodeStreams: NodeStreams;
  /** The server's certificate with its chain, and its key, both PEM. */
  tls: { certificate: string; key: string };
  /** The CAs whose client certificates name users of the API. */
  clientAuthorities: readonly X509Certificate[];
  /** EC P-256; signs the tokens of service accounts, which are good as long as it stays the same. */
  serviceAccountKey: KeyObject;
  staticTokens?: readonly StaticToken[];
  schemas: SchemaSource;
  checks?: readonly HealthCheck[];
  limits?: ApiServerOptions["limits"];
  clock?: Clock;
  random?: () => number;
  log?: Logger;
}

/** Who issues the tokens of service accounts, and what they are for: the name that the API has inside any cluster. */
const ISSUER = "https://kubernetes.default.svc.cluster.local";
/** The API presents itself as this release of Kubernetes. */
const VERSION = { major: "1", minor: "35", gitVersion: "v1.35.0+skerry" };
/** In whose name the API itself reads roles and writes what must be there from the start. */
const SELF: UserInfo = { name: "system:apiserver", groups: [MASTERS] };

/** The whole embedded API over a storage: registry, authentication, roles and the HTTPS port. */
export class EmbeddedApi implements AsyncDisposable {
  readonly api: Api;
  readonly authorizer: Authorizer;
  readonly tokens: ServiceAccountTokens;
  readonly #options: EmbeddedApiOptions;
  readonly #rbac: RbacAuthorizer;
  readonly #server: ApiServer;
  readonly #expiry: Expiry;
  readonly #self: Client;

  constructor(options: EmbeddedApiOptions) {
    const { storage, clock = systemClock, log = silentLogger, clientAuthorities } = options;
    const random = options.random ?? Math.random;
    this.#options = options;
    this.#rbac = new RbacAuthorizer({ log });
    this.authorizer = this.#rbac;
    this.tokens = new ServiceAccountTokens({
      key: options.serviceAccountKey,
      issuer: ISSUER,
      audiences: [ISSUER],
      clock,
    });
    // Handlers and authenticators ask the API that they are part of: late, when it is there.
    const client = (): Client => this.#self;
    const serviceAccounts = new ServiceAccountAuthenticator({ tokens: this.tokens, client, clock });
    const authenticators: Authenticator[] = [
      new CertificateAuthenticator({ authorities: clientAuthorities, clock, log }),
      serviceAccounts,
      new StaticTokenAuthenticator(options.staticTokens ?? []),
    ];
    this.api = new Registry({
      storage,
      admission: defaultAdmission(storage, this.#rbac),
      virtual: {
        ...accessReviewHandlers(this.#rbac),
        ...tokenHandlers({ tokens: this.tokens, serviceAccounts, authenticator: anyOf(authenticators), client }),
        "selfsubjectreviews.authentication.k8s.io": selfSubjectReviewHandler,
      },
      clock,
      random,
    });
    this.#self = this.client(SELF);
    this.#expiry = new Expiry({ storage, clock, log });
    this.#server = new ApiServer({
      api: this.api,
      tls: {
        ...options.tls,
        clientAuthorities: clientAuthorities.map(({ raw }) => toPem("CERTIFICATE", raw)),
      },
      authenticators,
      authorizer: this.#rbac,
      nodeStreams: options.nodeStreams,
      version: VERSION,
      schemas: options.schemas,
      checks: [...(options.checks ?? []), this.#rolesAreKnown()],
      openId: this.tokens,
      log,
      clock,
      random,
      ...(options.limits && { limits: options.limits }),
    });
  }

  get metrics(): ApiMetrics {
    return this.#server.metrics;
  }

  /** A client that calls this API directly, as a user of it. */
  client(user: UserInfo): Client {
    return inProcessClient({ api: this.api, authorizer: this.#rbac, user });
  }

  /** Makes what must be there from the start, learns the roles and opens the port. */
  async start(host: string, port: number): Promise<AddressInfo> {
    await bootstrap(this.#self);
    await reconcileBootstrapRoles(this.#self);
    await this.#rbac.start(this.#self, this.#options.clock);
    this.#expiry.start();
    return this.#server.start(host, port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#expiry[Symbol.asyncDispose]();
    await this.#rbac[Symbol.asyncDispose]();
  }

  #rolesAreKnown(): HealthCheck {
    return {
      name: "rbac",
      of: ["readyz"],
      check: () => {
        if (!this.#rbac.synced) throw new Error("roles and bindings are not known yet");
      },
    };
  }
}
