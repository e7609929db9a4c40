import { createPrivateKey, randomBytes, type KeyObject } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, mkdir, readFile, stat } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import path from "node:path";
import {
  ApiServer,
  bootstrap,
  accessReviewHandlers,
  anyOf,
  CertificateAuthenticator,
  defaultAdmission,
  Expiry,
  inProcessClient,
  MASTERS,
  RbacAuthorizer,
  reconcileBootstrapRoles,
  Registry,
  selfSubjectReviewHandler,
  ServiceAccountAuthenticator,
  ServiceAccountTokens,
  tokenHandlers,
  type UserInfo,
} from "@skerry/apiserver";
import {
  createKey,
  isMissingFile,
  keyToPem,
  loadOrCreateAuthority,
  loadOrIssue,
  systemClock,
  toPem,
  writeFileAtomic,
  type Clock,
  type Identity,
  type Logger,
} from "@skerry/base";
import { Informers, type Client } from "@skerry/client";
import { EventRecorder, Manager, referenceTo } from "@skerry/controllers";
import { createToken, Hub } from "@skerry/hub";
import { definition, descriptionOf, kinds, resourceOf, type Kind } from "@skerry/machinery";
import { Store, type CommitLog } from "@skerry/store";
import { HUB_NAME } from "@skerry/wire";
import { kubeconfigText, type Access } from "../instance/kubeconfig.ts";

export interface CloudOptions {
  /** Where certificates and keys are kept. */
  dir: string;
  /** Where objects are kept: SQLite in the product. */
  commitLog: CommitLog;
  /** 0: any free one. */
  apiPort: number;
  linkPort: number;
  clusterCidr: string;
  log: Logger;
  version: string;
  clock?: Clock;
  random?: () => number;
  /** How often edges ping, and how old a lease may get, in milliseconds. */
  heartbeatMs?: number;
  nodeGraceMs?: number;
  /** The address to listen on; every one of the machine when absent. */
  host?: string;
}

/** The Kubernetes version that the API presents itself as. */
export const API_VERSION = { major: "1", minor: "35", gitVersion: "v1.35.0+skerry" } as const;

const ADMIN_DAYS = 365;
const DAY_MS = 86_400_000;
const TICKET_KEY_BYTES = 48;

/** A whole control plane: store, API server, controllers and hub in one process, put together. */
export class Cloud implements AsyncDisposable {
  readonly #options: CloudOptions;
  readonly #clock: Clock;
  readonly #stack = new AsyncDisposableStack();
  #started: Running | undefined;
  /** Where the administrator's kubeconfig was written. */
  #kubeconfig: string | undefined;

  constructor(options: CloudOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Resolves when everything serves: `/readyz` says yes from then on. */
  async start(): Promise<void> {
    const { dir, commitLog, log, version, clusterCidr } = this.#options;
    const clock = this.#clock;
    const common = { clock, log, ...(this.#options.random && { random: this.#options.random }) };
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const [keys, store] = await Promise.all([
      loadKeys(dir, clock),
      openStore(commitLog, { clock, log }).then((opened) => this.#stack.use(opened)),
    ]);

    const authorizer = this.#stack.use(new RbacAuthorizer({ log }));
    const tokens = new ServiceAccountTokens({
      key: keys.serviceAccounts,
      issuer: "https://kubernetes.default.svc.cluster.local",
      audiences: ["https://kubernetes.default.svc.cluster.local", "skerry"],
      clock,
    });
    const masters = { name: "system:apiserver", groups: [MASTERS] };
    const clientFor = (user: UserInfo): Client => inProcessClient({ api, authorizer, user });
    const serviceAccounts = new ServiceAccountAuthenticator({ tokens, client: () => clientFor(masters), clock });
    const certificates = new CertificateAuthenticator({ authorities: [keys.api.certificate], clock, log });
    const api = new Registry({
      storage: store,
      admission: defaultAdmission(store, authorizer),
      virtual: {
        ...accessReviewHandlers(authorizer),
        ...tokenHandlers({
          tokens,
          serviceAccounts,
          authenticator: anyOf([serviceAccounts]),
          client: () => clientFor(masters),
        }),
        "selfsubjectreviews.authentication.k8s.io": selfSubjectReviewHandler,
      },
      onUnsupported: ({ kind, object, texts }) => {
        for (const text of texts) events.record(referenceTo(kind, object), "Warning", "Unsupported", text);
      },
      ...common,
    });
    const admin = clientFor(masters);
    const events = this.#stack.use(new EventRecorder({ client: admin, component: "skerry-apiserver", clock, log }));
    await bootstrap(admin);
    await reconcileBootstrapRoles(admin);
    await authorizer.start(admin, clock);

    const hubClient = clientFor({ name: "system:skerry-hub", groups: [] });
    const informers = this.#stack.use(new Informers({ client: hubClient, ...common }));
    const hub = this.#stack.use(
      new Hub({
        client: hubClient,
        informers,
        authority: keys.link,
        server: keys.hub,
        version,
        port: this.#options.linkPort,
        ticketKeys: keys.tickets,
        ...(this.#options.heartbeatMs !== undefined && { heartbeatMs: this.#options.heartbeatMs }),
        ...(this.#options.host !== undefined && { host: this.#options.host }),
        ...common,
      }),
    );
    const manager = this.#stack.use(
      new Manager({
        clientFor: (part) =>
          clientFor({
            name: part === "scheduler" ? "system:kube-scheduler" : "system:kube-controller-manager",
            groups: [],
          }),
        kinds: api.resources
          .filter(({ verbs, kind }) => verbs.includes("watch") && verbs.includes("delete") && kind.kind !== "Event")
          .map((resource): Kind => resource.kind),
        clusterCidr,
        rootCa: pemOf(keys.api),
        ...(this.#options.nodeGraceMs !== undefined && { nodeGraceMs: this.#options.nodeGraceMs }),
        ...common,
      }),
    );
    const server = this.#stack.use(
      new ApiServer({
        api,
        tls: {
          certificate: chainOf(keys),
          key: keyToPem(keys.server.key),
          clientAuthorities: [pemOf(keys.api)],
        },
        authenticators: [certificates, serviceAccounts],
        authorizer,
        nodeStreams: hub,
        version: API_VERSION,
        schemas: { definition, description: descriptionOf },
        openId: tokens,
        checks: [
          {
            name: "rbac",
            of: ["readyz"],
            check: () => {
              if (!authorizer.synced) throw new Error("Roles are not known yet");
            },
          },
        ],
        ...common,
      }),
    );
    const expiry = this.#stack.use(new Expiry({ storage: store, clock, log }));
    informers.start();
    const listening = [
      server.start(this.#options.host ?? anyAddress(), this.#options.apiPort),
      startHub(hub, this.#options.linkPort),
    ] as const;
    // A port that is on its way to open cannot be closed yet: when another part fails, disposal waits for it first.
    this.#stack.defer(async () => void (await Promise.allSettled(listening)));
    const [address] = await Promise.all([...listening, manager.start()]);
    expiry.start();
    this.#keepFresh(hub, server);
    this.#started = { apiPort: address.port, linkPort: hub.port, keys, hub, store, clientFor, admin };
    log.info({ apiPort: address.port, linkPort: hub.port, clusterCidr }, "cloud serves");
  }

  get apiPort(): number {
    return this.#running.apiPort;
  }

  get linkPort(): number {
    return this.#running.linkPort;
  }

  get hub(): Hub {
    return this.#running.hub;
  }

  get store(): Store {
    return this.#running.store;
  }

  /** The API in this process, as an administrator or as whom is named. */
  client(user?: UserInfo): Client {
    return user ? this.#running.clientFor(user) : this.#running.admin;
  }

  /** How an administrator reaches the API over HTTPS. */
  access(): Access {
    const { keys, apiPort } = this.#running;
    return {
      server: `https://127.0.0.1:${apiPort}`,
      ca: pemOf(keys.api),
      certificate: pemOf(keys.admin),
      key: keyToPem(keys.admin.key),
    };
  }

  /** The administrator's kubeconfig, in a file that its owner alone reads; whoever it was given to keeps it. Written again before it ends. */
  async writeKubeconfig(file: string): Promise<void> {
    this.#kubeconfig = file;
    const text = kubeconfigText(this.access());
    const kept = await stat(file).catch((error: unknown) => {
      if (isMissingFile(error)) return undefined;
      throw error;
    });
    if (kept && (await readFile(file, "utf8")) === text) return;
    await mkdir(path.dirname(file), { recursive: true });
    await writeFileAtomic(file, text, { mode: 0o600 });
    if (kept) await chown(file, kept.uid, kept.gid);
  }

  /** A token with which a machine joins this cloud. */
  createToken(ttlMs: number): Promise<string> {
    const { admin, keys } = this.#running;
    return createToken(admin, { ttlMs, authority: keys.link.certificate, clock: this.#clock });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  get #running(): Running {
    if (!this.#started) throw new Error("The cloud is not started");
    return this.#started;
  }

  /**
   * Once a day: new keys for TLS session tickets, so that what is recorded today cannot be read with a key stolen later, and
   * certificates made anew before they end: the API's, the hub's and the administrator's.
   */
  #keepFresh(hub: Hub, server: ApiServer): void {
    const { dir, log } = this.#options;
    const refresh = async (): Promise<void> => {
      await writeFileAtomic(ticketFile(dir), randomBytes(TICKET_KEY_BYTES), { mode: 0o600 });
      const keys = await loadKeys(dir, this.#clock);
      hub.renewCertificate(keys.hub, keys.tickets);
      server.renewCertificate(chainOf(keys), keyToPem(keys.server.key));
      this.#running.keys = keys;
      if (this.#kubeconfig !== undefined) await this.writeKubeconfig(this.#kubeconfig);
    };
    let cancel = (): void => {};
    const later = (): void => {
      cancel = this.#clock.after(DAY_MS, () => {
        refresh().catch((error: unknown) => log.error({ err: error }, "keys and certificates could not be renewed"));
        later();
      });
    };
    later();
    this.#stack.defer(() => cancel());
  }
}

interface Running {
  apiPort: number;
  linkPort: number;
  keys: Keys;
  hub: Hub;
  store: Store;
  clientFor: (user: UserInfo) => Client;
  admin: Client;
}

interface Keys {
  api: Identity;
  server: Identity;
  admin: Identity;
  link: Identity;
  hub: Identity;
  serviceAccounts: KeyObject;
  tickets: Buffer;
}

/** Objects that are renewed every few seconds and cost nothing to lose: they are written in batches. */
const VOLATILE = [resourceOf(kinds.Lease)];

async function openStore(log: CommitLog, { clock, log: logger }: { clock: Clock; log: Logger }): Promise<Store> {
  const store = new Store({ log, volatile: VOLATILE, clock, logger });
  await store.start();
  return store;
}

async function loadKeys(dir: string, clock: Clock): Promise<Keys> {
  const folder = path.join(dir, "pki");
  const [api, link] = await Promise.all([
    loadOrCreateAuthority(folder, { name: "api-ca", commonName: "skerry-api", clock }),
    loadOrCreateAuthority(folder, { name: "link-ca", commonName: "skerry-link", clock }),
  ]);
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter((each) => (!each.internal && each.scopeid === 0) || each.family === "IPv4")
    .map((each) => each.address);
  const [server, admin, hub, serviceAccounts, tickets] = await Promise.all([
    loadOrIssue(folder, {
      name: "api",
      issuer: api,
      subject: { commonName: "kube-apiserver" },
      usages: ["server"],
      dnsNames: [
        "localhost",
        hostname(),
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
      ],
      ipAddresses: [...new Set(["127.0.0.1", "::1", ...addresses])],
      clock,
    }),
    loadOrIssue(folder, {
      name: "admin",
      issuer: api,
      subject: { commonName: "skerry-admin", organizations: [MASTERS] },
      usages: ["client"],
      clock,
      validForMs: ADMIN_DAYS * DAY_MS,
    }),
    loadOrIssue(folder, {
      name: "hub",
      issuer: link,
      subject: { commonName: HUB_NAME },
      usages: ["server"],
      dnsNames: [HUB_NAME],
      clock,
    }),
    serviceAccountKey(folder),
    ticketKeys(dir),
  ]);
  return { api, server, admin, link, hub, serviceAccounts, tickets };
}

async function serviceAccountKey(folder: string): Promise<KeyObject> {
  const file = path.join(folder, "service-accounts.key");
  try {
    return createPrivateKey(await readFile(file));
  } catch (error) {
    if (!isMissingFile(error)) throw new Error(`Cannot use ${file}`, { cause: error });
  }
  const key = createKey();
  await writeFileAtomic(file, keyToPem(key), { mode: 0o600 });
  return key;
}

const ticketFile = (dir: string): string => path.join(dir, "pki", "ticket-keys");

/** Kept, so that edges resume their TLS sessions after a restart of the cloud. */
async function ticketKeys(dir: string): Promise<Buffer> {
  const kept = await readFile(ticketFile(dir)).catch(() => Buffer.alloc(0));
  if (kept.length === TICKET_KEY_BYTES) return kept;
  const keys = randomBytes(TICKET_KEY_BYTES);
  await writeFileAtomic(ticketFile(dir), keys, { mode: 0o600 });
  return keys;
}

async function startHub(hub: Hub, port: number): Promise<void> {
  try {
    await hub.start();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new Error(
      `Port ${port}, which edges dial into, is taken by another program; choose another with --link-port`,
      {
        cause: error,
      },
    );
  }
}

/** Every address of the machine, IPv6 where there is any. */
const anyAddress = (): string => (existsSync("/proc/net/if_inet6") ? "::" : "0.0.0.0");

/** The API server's certificate and its CA's, as clients are shown them. */
const chainOf = ({ server, api }: Keys): string => pemOf(server) + pemOf(api);

const pemOf = ({ certificate }: Identity): string => toPem("CERTIFICATE", certificate.raw);
