import { requestEntityTooLarge, StatusError } from "@skerry/machinery";
import type { HttpRequest } from "./exchange.ts";

/** The largest request body, as in Kubernetes. */
export const MAX_BODY_BYTES = 3 << 20;

/** Reads a whole request body. Throws RequestEntityTooLarge as soon as it is known to be larger than `limit`. */
export async function readBody(request: HttpRequest, signal: AbortSignal, limit = MAX_BODY_BYTES): Promise<Uint8Array> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > limit) throw tooLarge(limit);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += chunk.length;
      if (size > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof StatusError) throw error;
    signal.throwIfAborted();
    throw new StatusError("BadRequest", "Cannot read the request body: the connection broke off", { cause: error });
  }
  signal.throwIfAborted();
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
}

const tooLarge = (limit: number): StatusError => requestEntityTooLarge(`limit is ${limit}`);
