import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { PROBLEM_HEADER } from "@skerry/wire";
import { RefusedError } from "./refused-error.ts";

/** A join request is a token, a name and a CSR. */
const MAX_BODY_BYTES = 32 << 10;

/** Reads a bounded JSON object. Throws `RefusedError`. */
export async function jsonBody(body: AsyncIterable<Uint8Array>): Promise<object> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new RefusedError(413, `The request is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new RefusedError(400, "The request is not JSON");
  }
  if (typeof value !== "object" || value === null) throw new RefusedError(400, "The request is not a JSON object");
  return value;
}

/** Retry-After (RFC 9110, 10.2.3) counts whole seconds. */
export const retryHeader = (retryAfterMs: number | undefined): Record<string, string> =>
  retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };

/** Answers with a text, once. */
export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string>,
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close", ...headers });
  response.end(text);
}

/** Answers a request for an upgrade with an HTTP status. */
export function refuseUpgrade(socket: Duplex, { status, message, retryAfterMs, problem }: RefusedError): void {
  const headers = {
    ...retryHeader(retryAfterMs),
    ...(problem && { [PROBLEM_HEADER]: problem }),
    "content-type": "text/plain; charset=utf-8",
    connection: "close",
  };
  const lines = Object.entries({ ...headers, "content-length": String(Buffer.byteLength(message)) });
  const head = [`HTTP/1.1 ${status} Refused`, ...lines.map(([name, value]) => `${name}: ${value}`)].join("\r\n");
  socket.end(`${head}\r\n\r\n${message}`);
}
