import { requestEntityTooLarge, StatusError } from "@skerry/machinery";
import type { HttpRequest } from "./exchange.ts";

/** The largest request body, as in Kubernetes. */
export const MAX_BODY_BYTES = 3 << 20;

/**
 * Reads a whole request body. Rejects with RequestEntityTooLarge as soon as it is known to be larger than `limit`: the rest is left unread.
 * By its events: an async iterator costs several times as much, on every write.
 */
export function readBody(request: HttpRequest, signal: AbortSignal, limit = MAX_BODY_BYTES): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const leave = (): void => {
    request.off("data", onData);
    request.off("end", onEnd);
    request.off("error", onBroken);
    request.off("close", onBroken);
    signal.removeEventListener("abort", onAbort);
  };
  const refuse = (): void => {
    leave();
    request.pause();
    reject(requestEntityTooLarge(`limit is ${limit}`));
  };
  const onData = (chunk: Uint8Array): void => {
    size += chunk.length;
    chunks.push(chunk);
    if (size > limit) refuse();
  };
  const onEnd = (): void => {
    leave();
    resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size));
  };
  const onBroken = (cause?: Error): void => {
    leave();
    reject(new StatusError("BadRequest", "Cannot read the request body: the connection broke off", { cause }));
  };
  const onAbort = (): void => {
    leave();
    reject(signal.reason as Error);
  };
  if (signal.aborted) onAbort();
  else if (Number(request.headers["content-length"] ?? 0) > limit) refuse();
  else {
    request.on("data", onData);
    request.on("end", onEnd);
    request.on("error", onBroken);
    request.on("close", onBroken);
    signal.addEventListener("abort", onAbort);
  }
  return promise;
}
