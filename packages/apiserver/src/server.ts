import { randomUUID, type X509Certificate } from "node:crypto";
import type { AddressInfo } from "node:net";
import { systemClock, type Clock, type Logger } from "@skerry/base";
import { resourceOf, timeout, unauthorized } from "@skerry/machinery";
import type { Api } from "./api.ts";
import { ANONYMOUS, anyOf, type Authenticator, type Credentials } from "./auth/authenticator.ts";
import type { Authorizer } from "./auth/authorizer.ts";
import { impersonate } from "./auth/impersonation.ts";
import { Discovery } from "./discovery/discovery.ts";
import type { Exchange, HttpRequest, HttpResponse } from "./http/exchange.ts";
import type { HealthCheck } from "./http/health.ts";
import { InFlight, type InFlightLimits } from "./http/in-flight.ts";
import { TlsListener, type TlsOptions } from "./http/listener.ts";
import { ApiMetrics } from "./http/metrics.ts";
import {
  answerPath,
  isOpenPath,
  type OpenIdDocuments,
  type PathHandlerOptions,
  type VersionInfo,
} from "./http/path-handler.ts";
import { parseResourcePath, type ResourcePath } from "./http/request-path.ts";
import { answerResource, verbOf, type ResourceHandlerOptions } from "./http/resource-handler.ts";
import { sendStatus, statusFor } from "./http/status-answer.ts";
import { WatchRounds } from "./http/watch-rounds.ts";
import { WatchLines } from "./http/watch.ts";
import { YamlReader } from "./http/yaml-reader.ts";
import type { NodeStreams } from "./node-streams.ts";
import type { SchemaSource } from "./openapi/schemas.ts";
import { OpenApi } from "./openapi/openapi.ts";

export interface ApiServerOptions {
  api: Api;
  tls: TlsOptions;
  /** Asked in this order; the first that knows the user wins. */
  authenticators: readonly Authenticator[];
  authorizer: Authorizer;
  nodeStreams: NodeStreams;
  version: VersionInfo;
  /** What kinds are made of, for the OpenAPI documents. */
  schemas: SchemaSource;
  log: Logger;
  clock?: Clock;
  random?: () => number;
  /** What `/livez` and `/readyz` ask besides whether the server answers. */
  checks?: readonly HealthCheck[];
  /** Served when the server makes tokens of service accounts. */
  openId?: OpenIdDocuments;
  limits?: Partial<InFlightLimits & { requestTimeoutMs: number }>;
}

const LIMITS = { reads: 400, mutations: 200, requestTimeoutMs: 60_000 };

/** The HTTP face of the API: one TLS port that finds out who asks and whether they may, and hands on what they ask to the `Api`. */
export class ApiServer implements AsyncDisposable {
  readonly metrics = new ApiMetrics();
  readonly #options: ApiServerOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #authenticator: Authenticator;
  readonly #listener: TlsListener;
  readonly #stopping = new AbortController();
  readonly #inFlight: InFlight;
  readonly #yaml: YamlReader;
  readonly #paths: PathHandlerOptions;
  readonly #resources: ResourceHandlerOptions;
  readonly #requestTimeoutMs: number;
  /** Requests being answered, watches included, and who waits for the last of them. */
  #active = 0;
  #onIdle: (() => void) | undefined;
  #address: AddressInfo | undefined;

  constructor(options: ApiServerOptions) {
    const { api, authorizer, nodeStreams, clock = systemClock, random = Math.random, log } = options;
    const limits = { ...LIMITS, ...options.limits };
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#authenticator = anyOf(options.authenticators);
    this.#requestTimeoutMs = limits.requestTimeoutMs;
    this.#inFlight = new InFlight(limits, this.metrics);
    this.#yaml = new YamlReader(clock);
    this.#resources = {
      api,
      authorizer,
      nodeStreams,
      clock,
      random,
      lines: new WatchLines(),
      rounds: new WatchRounds(clock),
      yaml: this.#yaml,
      stopping: this.#stopping.signal,
    };
    this.#paths = {
      authorizer,
      discovery: new Discovery(api, () => this.#hostAndPort()),
      openApi: new OpenApi(api, {
        schemas: options.schemas,
        version: options.version.gitVersion,
        now: () => clock.now(),
      }),
      metrics: this.metrics,
      checks: [
        { name: "ping", of: ["livez", "readyz"], check: () => {} },
        this.#notStopping(),
        ...(options.checks ?? []),
      ],
      version: options.version,
      openId: options.openId,
    };
    this.#listener = new TlsListener({
      tls: options.tls,
      log,
      onRequest: (request, response, certificate) => void this.#answer(request, response, certificate),
    });
  }

  /** Begins to serve, and resolves with the address (port 0 finds a free one). Rejects with how to mend it when the port cannot be had. */
  async start(host: string, port: number): Promise<AddressInfo> {
    this.#address = await this.#listener.listen(host, port);
    this.metrics.start();
    return this.#address;
  }

  /** Shows a renewed certificate (both PEM) to clients that connect from now on. */
  renewCertificate(certificate: string, key: string): void {
    this.#listener.renew(certificate, key);
  }

  /** Ends watches, lets requests finish and closes the port. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    const idle = this.#active === 0 ? Promise.resolve() : new Promise<void>((resolve) => (this.#onIdle = resolve));
    await this.#listener.close(idle);
    await this.#yaml[Symbol.asyncDispose]();
    this.metrics[Symbol.dispose]();
  }

  async #answer(request: HttpRequest, response: HttpResponse, certificate: X509Certificate | undefined): Promise<void> {
    const started = this.#clock.monotonic();
    const url = request.url ?? "/";
    const at = url.indexOf("?");
    const path = at === -1 ? url : url.slice(0, at);
    const query = new URLSearchParams(at === -1 ? "" : url.slice(at + 1));
    const method = request.method ?? "GET";
    const resourcePath = parseResourcePath(path);
    const verb = resourcePath === undefined ? method.toLowerCase() : (verbOf(method, resourcePath, query) ?? method);
    const isLong = verb === "watch" || resourcePath?.subresource === "log";
    const abort = new AbortController();
    const exchange: Exchange = {
      request,
      response,
      method,
      path,
      query,
      id: randomUUID(),
      user: ANONYMOUS,
      signal: abort.signal,
      warnings: new Set(),
    };
    let isDone = false;
    response.once("close", () => {
      if (!isDone) abort.abort(new Error("the client went away"));
    });
    const watched = verb === "watch" && resourcePath ? resourceOf(resourcePath) : undefined;
    this.#active++;
    if (watched !== undefined) this.metrics.watchers(watched, 1);
    const cancelTimeout = isLong ? undefined : this.#limitTime(exchange, abort);
    let leave: (() => void) | undefined;
    try {
      if (!isLong && !isOpenPath(path)) leave = this.#inFlight.enter(method);
      exchange.user = await this.#identify(request, certificate, path);
      if (resourcePath) await answerResource(this.#resources, exchange, resourcePath);
      else await answerPath(this.#paths, exchange);
    } catch (error) {
      this.#fail(exchange, error);
    } finally {
      isDone = true;
      leave?.();
      cancelTimeout?.();
      if (watched !== undefined) this.metrics.watchers(watched, -1);
      const seconds = isLong ? 0 : (this.#clock.monotonic() - started) / 1000;
      this.metrics.observe(verb, seriesOf(resourcePath, this.#options.api), response.statusCode, seconds);
      if (--this.#active === 0) this.#onIdle?.();
    }
  }

  /** Who asks. Throws Unauthorized when that cannot be found out, unless anybody may ask this. */
  async #identify(
    request: HttpRequest,
    certificate: X509Certificate | undefined,
    path: string,
  ): Promise<Exchange["user"]> {
    const credentials = credentialsOf(request, certificate);
    const user = await this.#authenticator.authenticate(credentials);
    if (user) return impersonate(user, request.rawHeaders, this.#options.authorizer);
    if (credentials.bearer === undefined && isOpenPath(path)) return ANONYMOUS;
    throw unauthorized();
  }

  /** Answers Timeout when a request takes too long, or longer than the client wants to wait (`?timeout=34s`). */
  #limitTime(exchange: Exchange, abort: AbortController): () => void {
    const wanted = parseSeconds(exchange.query.get("timeout"));
    const limitMs = Math.min(this.#requestTimeoutMs, wanted === undefined ? Infinity : wanted * 1000);
    return this.#clock.after(limitMs, () => {
      if (!exchange.response.headersSent)
        sendStatus(exchange, timeout(`request did not complete within requested timeout - ${limitMs / 1000} s`, 1));
      abort.abort();
    });
  }

  #fail(exchange: Exchange, error: unknown): void {
    const { response, signal } = exchange;
    // Nobody is there any more, or has been told already that it took too long.
    if (signal.aborted && (response.destroyed === true || response.headersSent)) {
      if (!response.writableEnded) response.destroy();
      return;
    }
    sendStatus(exchange, statusFor(error, exchange, this.#log));
  }

  #notStopping(): HealthCheck {
    return {
      name: "shutdown",
      of: ["readyz"],
      check: () => {
        if (this.#stopping.signal.aborted) throw new Error("the server is stopping");
      },
    };
  }

  #hostAndPort(): string {
    const address = this.#address;
    if (!address) return "";
    return address.family === "IPv6" ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`;
  }
}

function credentialsOf(request: HttpRequest, certificate: X509Certificate | undefined): Credentials {
  const { authorization } = request.headers;
  const bearer = authorization === undefined ? undefined : /^bearer +(\S+) *$/i.exec(authorization)?.[1];
  return { ...(certificate && { certificate }), ...(bearer !== undefined && { bearer }) };
}

/** How metrics name the resource: only what is served, for a client can make up any other. */
function seriesOf(path: ResourcePath | undefined, api: Api): string {
  if (!path) return "";
  const resource = api.find(path.group, path.version, path.resource);
  if (!resource) return "";
  const known = resource.subresources.some(({ name }) => name === path.subresource);
  return known ? `${path.resource}/${path.subresource}` : path.resource;
}

/** A Go duration in whole units, which is what clients send: `34s`, `1m0s`, `500ms`. */
function parseSeconds(text: string | null): number | undefined {
  const match =
    text === null ? null : /^(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6}(?:\.\d+)?)s)?(?:(\d{1,9})ms)?$/.exec(text);
  if (!match) return undefined;
  const [, h = "0", m = "0", s = "0", ms = "0"] = match;
  const seconds = Number(h) * 3600 + Number(m) * 60 + Number(s) + Number(ms) / 1000;
  return seconds > 0 ? seconds : undefined;
}
