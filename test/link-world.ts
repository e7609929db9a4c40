import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  createAuthority,
  createKey,
  issueCertificate,
  silentLogger,
  systemClock,
  type Clock,
  type Identity,
} from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import { bootstrap, defaultAdmission, inProcessClient, Registry } from "@skerry/apiserver";
import { Informers, type Client } from "@skerry/client";
import { createToken, Hub, type HubOptions } from "@skerry/hub";
import { isNotFound, kinds, type KubeObject, type Kind } from "@skerry/machinery";
import type { ConfigMap, Node, Pod } from "@skerry/machinery/types";
import { MemoryLog } from "@skerry/store";
import { StrictStore } from "@skerry/store/testing";
import { HUB_NAME, type Report, type StreamHandler } from "@skerry/wire";
import { EdgeCache } from "../packages/agent/src/cache/edge-cache.ts";
import type { EdgeIdentity } from "../packages/agent/src/link/edge-identity.ts";
import { EdgeLink, type EdgeLinkOptions } from "../packages/agent/src/link/edge-link.ts";
import { HubDialer } from "../packages/agent/src/link/hub-dialer.ts";
import { join } from "../packages/agent/src/link/join.ts";

export const YEAR_MS = 365 * 86_400_000;
export const never = new AbortController().signal;

export const newAuthority = (commonName = "skerry link"): Identity =>
  createAuthority({ commonName, notBefore: Date.now() - YEAR_MS, notAfter: Date.now() + 30 * YEAR_MS });

/** An end certificate with whatever the test wants wrong about it. */
export function leaf(issuer: Identity, changes: Partial<Parameters<typeof issueCertificate>[0]> = {}): Identity {
  const key = createKey();
  const bytes = issueCertificate({
    issuer,
    publicKey: key,
    subject: { commonName: HUB_NAME },
    usages: ["server"],
    dnsNames: [HUB_NAME],
    notBefore: Date.now() - 1000,
    notAfter: Date.now() + YEAR_MS,
    ...changes,
  });
  return { certificate: new X509Certificate(bytes), key };
}

/** Sees every write before the API does; a throw is its failure. */
export type WriteWatch = (kind: Kind, name: string) => void | Promise<void>;

/** The real API over a store in memory, with a client that may do everything and whose calls a test can hold up. */
export class TestApi implements AsyncDisposable {
  readonly #store = new StrictStore({ log: new MemoryLog() });
  #client: Client | undefined;
  beforeWrite: WriteWatch = () => {};
  beforeList: () => Promise<void> = () => Promise.resolve();

  async start(): Promise<this> {
    await this.#store.start();
    const admission = defaultAdmission(this.#store, {
      checkEscalation: () => undefined,
      checkBinding: () => undefined,
    });
    const api = new Registry({ storage: this.#store, admission });
    const authorizer = { authorize: () => ({ allowed: true, reason: "" }) };
    const inner = inProcessClient({ api, authorizer, user: { name: "tester", groups: [] } });
    await bootstrap(inner);
    this.#client = {
      get: (...args) => inner.get(...args),
      list: async (...args) => {
        await this.beforeList();
        return inner.list(...args);
      },
      watch: (...args) => inner.watch(...args),
      create: async (...args) => {
        await this.beforeWrite(args[0], args[1].metadata.name ?? "");
        return inner.create(...args);
      },
      update: async (...args) => {
        await this.beforeWrite(args[0], args[1].metadata.name ?? "");
        return inner.update(...args);
      },
      patch: async (...args) => {
        await this.beforeWrite(args[0], args[1].name);
        return inner.patch(...args);
      },
      delete: async (...args) => {
        await this.beforeWrite(args[0], args[1].name);
        return inner.delete(...args);
      },
    };
    return this;
  }

  get client(): Client {
    if (!this.#client) throw new Error("The API is not started");
    return this.#client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

/** A cloud of API, live copies and hub on a free port of loopback, and a folder that goes with it. */
export class Cloud implements AsyncDisposable {
  readonly api = new TestApi();
  readonly folder = mkdtempSync(path.join(tmpdir(), "skerry-link-"));
  readonly authority: Identity;
  readonly #options: Partial<HubOptions>;
  #informers: Informers | undefined;
  #hub: Hub | undefined;
  #port = 0;
  #isApiStarted = false;

  constructor(options: Partial<HubOptions> & { authority?: Identity } = {}) {
    this.authority = options.authority ?? newAuthority();
    this.#options = options;
  }

  get client(): Client {
    return this.api.client;
  }

  async start(): Promise<this> {
    if (!this.#isApiStarted) await this.api.start();
    this.#isApiStarted = true;
    this.#informers = new Informers({ client: this.client });
    this.#hub = new Hub({
      client: this.client,
      informers: this.#informers,
      authority: this.authority,
      server: leaf(this.authority),
      version: "test",
      host: "127.0.0.1",
      port: this.#port,
      ...this.#options,
    });
    await this.#hub.start();
    this.#port = this.#hub.port;
    this.#informers.start();
    await this.#informers.synced();
    return this;
  }

  async stop(): Promise<void> {
    await this.#hub?.[Symbol.asyncDispose]();
    await this.#informers?.[Symbol.asyncDispose]();
    this.#hub = undefined;
    this.#informers = undefined;
  }

  get hub(): Hub {
    if (!this.#hub) throw new Error("The cloud is stopped");
    return this.#hub;
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: this.#port };
  }

  token(ttlMs?: number): Promise<string> {
    const options = ttlMs === undefined ? {} : { ttlMs };
    return createToken(this.client, { ...options, authority: this.authority.certificate, clock: systemClock });
  }

  async join(
    nodeName: string,
    { token, file = nodeName }: { token?: string; file?: string } = {},
  ): Promise<EdgeIdentity> {
    return join({
      server: this.address,
      token: token ?? (await this.token()),
      nodeName,
      identityFile: path.join(this.folder, `${file}.pem`),
      signal: AbortSignal.timeout(20_000),
    });
  }

  async get<T extends KubeObject>(kind: Kind<T>, name: string, namespace = ""): Promise<T | undefined> {
    try {
      return (await this.client.get(kind, { namespace, name })).decode();
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  pod = (name: string): Promise<Pod | undefined> => this.get<Pod>(kinds.Pod, name, "default");
  node = (name: string): Promise<Node | undefined> => this.get<Node>(kinds.Node, name);

  async createPod(name: string, node: string, spec: Partial<NonNullable<Pod["spec"]>> = {}): Promise<Pod> {
    const containers = [{ name: "main", image: "app:1" }];
    const pod = { metadata: { namespace: "default", name }, spec: { nodeName: node, containers, ...spec } } as Pod;
    return (await this.client.create<Pod>(kinds.Pod, { apiVersion: "v1", kind: "Pod", ...pod })).decode();
  }

  async putConfigMap(name: string, data: Record<string, string>): Promise<void> {
    const metadata = { namespace: "default", name };
    const object: ConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata, data };
    if (await this.get<ConfigMap>(kinds.ConfigMap, name, "default")) {
      await this.client.update<ConfigMap>(kinds.ConfigMap, object);
    } else await this.client.create<ConfigMap>(kinds.ConfigMap, object);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.api[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}

/** An edge with the agent's own cache and link, and no pods behind it. */
export class Edge implements AsyncDisposable {
  readonly cache: EdgeCache;
  readonly link: EdgeLink;

  constructor(
    folder: string,
    options: Pick<EdgeLinkOptions, "node" | "dial"> & Partial<EdgeLinkOptions> & { file?: string },
  ) {
    const { clock = systemClock, file = options.node } = options;
    this.cache = EdgeCache.open(path.join(folder, `${file}.db`), { clock, log: silentLogger });
    this.link = new EdgeLink({
      version: "test",
      cache: this.cache,
      serve: notFoundHandler,
      retry: { initialMs: 10, maxMs: 50 },
      ...options,
    });
    this.link.start();
  }

  /** Held pods, config maps and secrets by name, with what they say. */
  holds(): string[] {
    return this.cache
      .held()
      .map(({ resource, name }) => `${resource}/${name}`)
      .toSorted();
  }

  synced(): Promise<unknown> {
    return eventually(() => this.link.status.isSynced, { what: `link of ${this.cache.node()?.metadata.name} in sync` });
  }

  async reportPod(pod: Pod, status: object, gone = false): Promise<void> {
    const { namespace = "", name = "", uid = "" } = pod.metadata;
    await this.cache.report(podReport({ namespace, name, uid }, status, gone));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.link[Symbol.asyncDispose]();
    await this.cache[Symbol.asyncDispose]();
  }
}

/** An edge over real TLS, from its identity. */
export function tlsEdge(
  cloud: Cloud,
  identity: EdgeIdentity,
  options: Partial<EdgeLinkOptions> & { file?: string; clock?: Clock } = {},
): Edge & { dialer: HubDialer } {
  const clock = options.clock ?? systemClock;
  const dialer = new HubDialer({ address: cloud.address, identity, clock, log: silentLogger });
  const edge = new Edge(cloud.folder, {
    node: identity.node,
    dial: (signal) => dialer.dial(signal),
    onOpened: (session) => void dialer.renewIfDue(session, never),
    ...options,
  });
  return Object.assign(edge, { dialer });
}

export function podReport(
  { namespace, name, uid }: { namespace: string; name: string; uid: string },
  status: object,
  gone = false,
): Report {
  const bytes = Buffer.from(JSON.stringify({ metadata: { namespace, name, uid }, status }));
  return { resource: "pods", namespace, name, uid, gone, bytes };
}

const notFoundHandler: StreamHandler = () =>
  Promise.resolve({ status: 404, headers: {}, body: (async function* () {})() });
