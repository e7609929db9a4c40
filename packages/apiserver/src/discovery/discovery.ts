import type { Api } from "../api.ts";
import { sendText, setCommonHeaders } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import { negotiateForm, parseAccept, type MediaRange } from "../http/negotiate.ts";
import { discoveryDocuments, type AggregatedVersion, type DiscoveryDocuments, type Document } from "./documents.ts";

const JSON_TYPE = "application/json";
const AGGREGATED_LIST = "APIGroupDiscoveryList";
const AGGREGATED_VERSIONS: readonly AggregatedVersion[] = ["v2", "v2beta1"];

/** Tells clients what is served: the old documents and, for those that ask, the aggregated ones (KEP-3352). */
export class Discovery {
  readonly #api: Api;
  /** `host:port`, as clients should call it. */
  readonly #address: () => string;
  #documents: DiscoveryDocuments | undefined;
  #resources: Api["resources"] | undefined;

  constructor(api: Api, address: () => string) {
    this.#api = api;
    this.#address = address;
  }

  /** Answers when the path is one of discovery's; false otherwise. */
  async answer(exchange: Exchange, parts: readonly string[]): Promise<boolean> {
    const [root, group = "", version = ""] = parts;
    const documents = this.#current();
    if (root === "api" && parts.length === 1) return this.#answerRoot(exchange, "core", documents);
    if (root === "apis" && parts.length === 1) return this.#answerRoot(exchange, "groups", documents);
    let document: Document | undefined;
    if (root === "api" && parts.length === 2) document = documents.resources("", group);
    else if (root === "apis" && parts.length === 2) document = documents.group(group);
    else if (root === "apis" && parts.length === 3) document = documents.resources(group, version);
    if (!document) return false;
    negotiateForm(exchange.request.headers.accept, []);
    await sendDocument(exchange, document, JSON_TYPE);
    return true;
  }

  async #answerRoot(exchange: Exchange, scope: "core" | "groups", documents: DiscoveryDocuments): Promise<true> {
    const { accept } = exchange.request.headers;
    exchange.response.setHeader("vary", "Accept");
    const version = aggregatedVersion(accept);
    if (version !== undefined) {
      const type = `${JSON_TYPE};g=apidiscovery.k8s.io;v=${version};as=${AGGREGATED_LIST}`;
      await sendDocument(exchange, documents.aggregated(scope, version), type);
      return true;
    }
    negotiateForm(accept, []);
    if (scope === "groups") {
      await sendDocument(exchange, documents.groups, JSON_TYPE);
      return true;
    }
    const versions = [...new Set(this.#api.resources.filter(isCore).map(({ kind }) => kind.version))];
    const serverAddressByClientCIDRs = [{ clientCIDR: "0.0.0.0/0", serverAddress: this.#address() }];
    const text = JSON.stringify({ kind: "APIVersions", versions, serverAddressByClientCIDRs });
    await sendText(exchange, 200, JSON_TYPE, `${text}\n`);
    return true;
  }

  /** Made anew when what is served has changed. */
  #current(): DiscoveryDocuments {
    const { resources } = this.#api;
    if (this.#documents === undefined || this.#resources !== resources) {
      this.#documents = discoveryDocuments(resources);
      this.#resources = resources;
    }
    return this.#documents;
  }
}

const isCore = ({ kind }: Api["resources"][number]): boolean => kind.group === "";

/** The aggregated form that the client would rather have than the plain one, if any. */
function aggregatedVersion(accept: string | undefined): AggregatedVersion | undefined {
  if (accept === undefined) return undefined;
  for (const { type, parameters } of parseAccept(accept)) {
    if (type === "*/*" || (type === JSON_TYPE && parameters["as"] === undefined)) return undefined;
    const version = versionOf(type, parameters);
    if (version !== undefined) return version;
  }
  return undefined;
}

function versionOf(type: string, parameters: MediaRange["parameters"]): AggregatedVersion | undefined {
  const { as, g, v } = parameters;
  if (type !== JSON_TYPE || as !== AGGREGATED_LIST || g !== "apidiscovery.k8s.io") return undefined;
  return AGGREGATED_VERSIONS.find((version) => version === v);
}

async function sendDocument(exchange: Exchange, { text, etag }: Document, type: string): Promise<void> {
  const { response, request } = exchange;
  response.setHeader("etag", etag);
  if (request.headers["if-none-match"] === etag) {
    setCommonHeaders(exchange);
    response.writeHead(304);
    response.end();
    return;
  }
  await sendText(exchange, 200, type, text);
}
