import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { Kind } from "@skerry/machinery";
import type { Api, Resource } from "../api.ts";
import { acceptsGzip, JSON_TYPE, send, sendJson, setCommonHeaders } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import { negotiateForm } from "../http/negotiate.ts";
import { pathsOf } from "./paths.ts";
import { schemasOf, type SchemaSource } from "./schemas.ts";

const compress = promisify(gzip);
const decompress = promisify(gunzip);

const YEAR_SECONDS = 365 * 86_400;

interface GroupDocument {
  readonly hash: string;
  readonly resources: readonly Resource[];
  /** Made when it is first asked for, and kept compressed. */
  compressed: Promise<Uint8Array> | undefined;
}

/** `/openapi/v3`: an index of documents, one a group and version, made from the generated tables when somebody asks. */
export class OpenApi {
  readonly #api: Api;
  readonly #source: SchemaSource;
  readonly #version: string;
  readonly #now: () => number;
  #documents: Map<string, GroupDocument> | undefined;
  #resources: Api["resources"] | undefined;

  /** `version` is the `gitVersion` that the server presents itself with; `now` the wall time. */
  constructor(api: Api, options: { schemas: SchemaSource; version: string; now: () => number }) {
    this.#api = api;
    this.#source = options.schemas;
    this.#version = options.version;
    this.#now = options.now;
  }

  /** Answers the path after `/openapi/v3` when there is a document; false otherwise. */
  async answer(exchange: Exchange, parts: readonly string[]): Promise<boolean> {
    const { request, query, response } = exchange;
    const documents = this.#current();
    if (parts.length === 0) {
      negotiateForm(request.headers.accept, []);
      const paths = Object.fromEntries([...documents].map(([path, { hash }]) => [path, urlOf(path, hash)]));
      await sendJson(exchange, 200, { paths });
      return true;
    }
    const path = parts.join("/");
    const document = documents.get(path);
    if (!document) return false;
    negotiateForm(request.headers.accept, []);
    const asked = query.get("hash");
    if (asked !== null && asked !== document.hash) {
      response.setHeader("location", urlOf(path, document.hash).serverRelativeURL);
      setCommonHeaders(exchange);
      response.writeHead(301);
      response.end();
      return true;
    }
    await this.#send(exchange, document, asked !== null);
    return true;
  }

  async #send(exchange: Exchange, document: GroupDocument, isHashed: boolean): Promise<void> {
    const etag = `"${document.hash}"`;
    const headers: Record<string, string> = { etag, vary: "Accept, Accept-Encoding" };
    if (isHashed) {
      headers["cache-control"] = "public, immutable";
      headers["expires"] = new Date(this.#now() + YEAR_SECONDS * 1000).toUTCString();
    }
    if (exchange.request.headers["if-none-match"] === etag) return send(exchange, 304, JSON_TYPE, [], headers);
    document.compressed ??= this.#make(document.resources);
    const bytes = await document.compressed;
    if (acceptsGzip(exchange))
      return send(exchange, 200, JSON_TYPE, [bytes], { ...headers, "content-encoding": "gzip" });
    return send(exchange, 200, JSON_TYPE, [await decompress(bytes)], headers);
  }

  async #make(resources: readonly Resource[]): Promise<Uint8Array> {
    return compress(JSON.stringify(documentOf(resources, this.#source, this.#version)));
  }

  #current(): Map<string, GroupDocument> {
    const { resources } = this.#api;
    if (this.#documents !== undefined && this.#resources === resources) return this.#documents;
    const grouped = Map.groupBy(resources, ({ kind }) => pathOf(kind));
    // What the descriptions say does not change what clients do with a document: its hash is of the rest, which needs no texts to be loaded.
    const bare: SchemaSource = { definition: this.#source.definition, description: () => undefined };
    this.#documents = new Map(
      [...grouped].map(([path, group]) => {
        const text = JSON.stringify(documentOf(group, bare, this.#version));
        const hash = createHash("sha512").update(text).digest("hex").toUpperCase();
        return [path, { hash, resources: group, compressed: undefined }];
      }),
    );
    this.#resources = resources;
    return this.#documents;
  }
}

const pathOf = ({ group, version }: Pick<Kind, "group" | "version">): string =>
  group === "" ? `api/${version}` : `apis/${group}/${version}`;

const urlOf = (path: string, hash: string): { serverRelativeURL: string } => ({
  serverRelativeURL: `/openapi/v3/${path}?hash=${hash}`,
});

function documentOf(resources: readonly Resource[], source: SchemaSource, version: string): object {
  const own = resources.map(({ kind }) => kind);
  const ofSubresources = resources.flatMap(({ subresources }) => subresources.flatMap(({ kind }) => kind ?? []));
  const listed = resources.filter(({ verbs }) => verbs.includes("list")).map(({ kind }) => kind);
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version },
    paths: Object.assign({}, ...resources.map(pathsOf)) as object,
    components: {
      schemas: schemasOf([...own, ...ofSubresources], listed, source),
      securitySchemes: { BearerToken: { type: "apiKey", name: "authorization", in: "header" } },
    },
  };
}
