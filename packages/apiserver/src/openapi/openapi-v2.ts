import { send, sendJson } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import { parseAccept } from "../http/negotiate.ts";

/** The document as protobuf. Clients ask for it with an "@", which no media type may have: the answer must have a "." in its place. */
const PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/**
 * `/openapi/v2`: a document without definitions. kubectl asks for it when the v3 documents don't have a kind, and refuses to go on without one;
 * what is not defined it leaves to discovery, which says so in clear words. Schemas are in `/openapi/v3`.
 */
export async function answerOpenApiV2(exchange: Exchange, version: string): Promise<void> {
  const info = { title: "Kubernetes", version };
  const [first] = parseAccept(exchange.request.headers.accept ?? "*/*");
  if (first?.type.replace("@", ".") === PROTOBUF) return send(exchange, 200, PROTOBUF, [encode(info)]);
  return sendJson(exchange, 200, { swagger: "2.0", info, paths: {}, definitions: {} });
}

/** openapi.v2.Document: swagger = 1, info = 2 (title = 1, version = 2), paths = 8. */
const encode = ({ title, version }: { title: string; version: string }): Uint8Array =>
  Buffer.concat([
    field(1, Buffer.from("2.0")),
    field(2, Buffer.concat([field(1, Buffer.from(title)), field(2, Buffer.from(version))])),
    field(8, Buffer.alloc(0)),
  ]);

/** A length-delimited field of at most 127 bytes. */
const field = (number: number, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
