import { METRICS_TYPE } from "@skerry/base";
import { StatusError } from "@skerry/machinery";
import type { Authorizer } from "../auth/authorizer.ts";
import { demand } from "../auth/authorizer.ts";
import type { Discovery } from "../discovery/discovery.ts";
import type { OpenApi } from "../openapi/openapi.ts";
import { answerOpenApiV2 } from "../openapi/openapi-v2.ts";
import { sendJson, sendText } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { answerHealth, type HealthCheck } from "./health.ts";
import type { ApiMetrics } from "./metrics.ts";
import { sendNotFound } from "./not-found.ts";
import { splitPath } from "./request-path.ts";

/** The version of Kubernetes that the API presents itself as. */
export interface VersionInfo {
  /** `1` and `35`: clients read them as numbers. */
  readonly major: string;
  readonly minor: string;
  /** `v1.35.0+skerry`. */
  readonly gitVersion: string;
}

/** How others check the tokens of our service accounts (OpenID Connect Discovery). */
export interface OpenIdDocuments {
  openidConfiguration(): object;
  keySet(): object;
}

export interface PathHandlerOptions {
  authorizer: Authorizer;
  discovery: Discovery;
  openApi: OpenApi;
  metrics: ApiMetrics;
  checks: readonly HealthCheck[];
  version: VersionInfo;
  openId: OpenIdDocuments | undefined;
}

const HEALTH = new Set(["healthz", "livez", "readyz"]);

/** Paths that anybody may read, who does not say who they are either. */
export function isOpenPath(path: string): boolean {
  const [first = ""] = path.slice(1).split("/", 1);
  return HEALTH.has(first) || path === "/version" || path === "/version/";
}

/** Answers what is no object: discovery, health, metrics, documents. */
export async function answerPath(options: PathHandlerOptions, exchange: Exchange): Promise<void> {
  const { method, path, user } = exchange;
  const parts = splitPath(path);
  const [first = "", second = ""] = parts ?? [];
  // Health must be told before roles are known, and while they cannot be.
  if (!HEALTH.has(first)) demand(options.authorizer, user, { verb: method.toLowerCase(), path });
  if (method !== "GET" && method !== "HEAD")
    throw new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource", {
      details: {},
    });
  if (parts === undefined) return sendNotFound(exchange);
  if (HEALTH.has(first) && parts.length <= 2) return answerHealth(exchange, options.checks, parts);
  switch (parts.length === 0 ? "/" : first) {
    case "/":
      return sendJson(exchange, 200, { paths: ROOT_PATHS });
    case "version":
      if (parts.length === 1) return sendJson(exchange, 200, versionDocument(options.version));
      break;
    case "metrics":
      if (parts.length === 1) return sendText(exchange, 200, METRICS_TYPE, options.metrics.text());
      break;
    case "openapi":
      if (second === "v3" && (await options.openApi.answer(exchange, parts.slice(2)))) return;
      if (second === "v2" && parts.length === 2) return answerOpenApiV2(exchange, options.version.gitVersion);
      break;
    case "api":
    case "apis":
      if (await options.discovery.answer(exchange, parts)) return;
      break;
    case ".well-known":
      if (second === "openid-configuration" && options.openId)
        return sendJson(exchange, 200, options.openId.openidConfiguration());
      break;
    case "openid":
      if (second === "v1" && parts[2] === "jwks" && parts.length === 3 && options.openId)
        return sendText(exchange, 200, "application/jwk-set+json", JSON.stringify(options.openId.keySet()));
      break;
  }
  return sendNotFound(exchange);
}

const ROOT_PATHS = [
  "/api",
  "/api/v1",
  "/apis",
  "/healthz",
  "/livez",
  "/metrics",
  "/openapi/v2",
  "/openapi/v3",
  "/readyz",
  "/version",
];

/** The form of apimachinery's `version.Info`; what speaks of Go says what runs here instead. */
function versionDocument({ major, minor, gitVersion }: VersionInfo): object {
  return {
    major,
    minor,
    emulationMajor: major,
    emulationMinor: minor,
    minCompatibilityMajor: major,
    minCompatibilityMinor: minor,
    gitVersion,
    gitCommit: "",
    gitTreeState: "",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: `none (Node ${process.version})`,
    compiler: "v8",
    platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
  };
}
