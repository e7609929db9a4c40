import { createGzip } from "node:zlib";
import type { Exchange } from "./exchange.ts";
import { writable } from "./exchange.ts";
import { parseAccept } from "./negotiate.ts";

export const JSON_TYPE = "application/json";

/** Bodies above this are compressed for clients that accept it; below, packets are what costs. */
const COMPRESS_ABOVE_BYTES = 128 << 10;
/** Small pieces are joined up to about this before they are written: each write is a TLS record or an HTTP/2 frame. */
const WRITE_BYTES = 256 << 10;
/** The most warnings, and the longest, that travel with one answer (they are headers, which clients bound). */
const MAX_WARNINGS = 32;
const MAX_WARNING_LENGTH = 256;

/** Answers with a JSON text or another small body. */
export async function sendText(exchange: Exchange, code: number, type: string, text: string): Promise<void> {
  await send(exchange, code, type, [Buffer.from(text)]);
}

/** Answers with a value, in lines when `?pretty` asks for that. */
export async function sendJson(exchange: Exchange, code: number, value: unknown): Promise<void> {
  await sendText(exchange, code, JSON_TYPE, `${JSON.stringify(value, null, wantsPretty(exchange) ? 2 : 0)}\n`);
}

/** Answers with an object's bytes as they are, unless `?pretty` asks for lines. */
export async function sendObject(exchange: Exchange, code: number, bytes: Uint8Array): Promise<void> {
  if (wantsPretty(exchange)) await sendJson(exchange, code, JSON.parse(Buffer.from(bytes).toString("utf8")));
  else await send(exchange, code, JSON_TYPE, [bytes]);
}

export function wantsPretty({ query }: Exchange): boolean {
  const pretty = query.get("pretty");
  return pretty !== null && pretty !== "false" && pretty !== "0";
}

/**
 * Answers with a body in pieces: compressed when it is large, not compressed yet and the client accepts that, and no faster than the client reads.
 * `headers` come last, in place of the common ones.
 */
export async function send(
  exchange: Exchange,
  code: number,
  type: string,
  pieces: readonly Uint8Array[],
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { response } = exchange;
  let size = 0;
  for (const piece of pieces) size += piece.length;
  response.setHeader("content-type", type);
  setCommonHeaders(exchange);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (size > COMPRESS_ABOVE_BYTES && headers["content-encoding"] === undefined && acceptsGzip(exchange)) {
    response.setHeader("content-encoding", "gzip");
    response.setHeader("vary", "Accept-Encoding");
    response.writeHead(code);
    await sendCompressed(exchange, pieces);
    return;
  }
  response.setHeader("content-length", size);
  response.writeHead(code);
  if (pieces.length === 1) {
    response.end(pieces[0]);
    return;
  }
  for (const chunk of joined(pieces)) {
    if (!response.write(chunk)) await writable(response);
    if (exchange.signal.aborted) return;
  }
  response.end();
}

/** What every answer carries. Called before its head is written. */
export function setCommonHeaders({ response, warnings, id }: Exchange): void {
  response.setHeader("audit-id", id);
  response.setHeader("cache-control", "no-cache, private");
  if (warnings.size === 0) return;
  const lines = [...warnings].slice(0, MAX_WARNINGS).map(warningHeader);
  response.setHeader("warning", lines);
}

/** RFC 9111's obsolete `Warning` header, which Kubernetes uses: code 299, no agent, and a quoted text. */
export function warningHeader(text: string): string {
  // Quoted strings hold visible ASCII (RFC 9110 §5.6.4); anything else becomes a question mark rather than a broken header.
  const clean = text
    .slice(0, MAX_WARNING_LENGTH)
    .replaceAll(/[^\x20-\x7e]/g, "?")
    .replaceAll(/["\\]/g, (char) => `\\${char}`);
  return `299 - "${clean}"`;
}

async function sendCompressed({ response, signal }: Exchange, pieces: readonly Uint8Array[]): Promise<void> {
  // The fastest level: what is gained by higher ones is lost in the time they take.
  const gzip = createGzip({ level: 1, chunkSize: 64 << 10 });
  const feed = async (): Promise<void> => {
    for (const chunk of joined(pieces)) {
      if (signal.aborted || gzip.destroyed) return;
      if (!gzip.write(chunk)) await writable(gzip);
    }
    gzip.end();
  };
  const fed = feed();
  try {
    for await (const chunk of gzip as AsyncIterable<Uint8Array>) {
      if (signal.aborted) return;
      if (!response.write(chunk)) await writable(response);
    }
    response.end();
  } finally {
    gzip.destroy();
    await fed;
  }
}

function* joined(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  let batch: Uint8Array[] = [];
  let size = 0;
  for (const piece of pieces) {
    batch.push(piece);
    size += piece.length;
    if (size < WRITE_BYTES) continue;
    yield batch.length === 1 ? piece : Buffer.concat(batch, size);
    batch = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(batch, size);
}

export function acceptsGzip({ request }: Exchange): boolean {
  const accepted = request.headers["accept-encoding"];
  if (typeof accepted !== "string") return false;
  return accepted === "gzip" || parseAccept(accepted).some(({ type }) => type === "gzip" || type === "*");
}
