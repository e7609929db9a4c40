import { internalError, statusOf, type StatusError } from "@skerry/machinery";
import type { Logger } from "@skerry/base";
import { JSON_TYPE, setCommonHeaders } from "./answer.ts";
import type { Exchange } from "./exchange.ts";

/**
 * The one place where an error becomes an answer. What is no `StatusError` is our mistake: the client gets the request's id only,
 * the log everything.
 */
export function statusFor(
  error: unknown,
  exchange: Pick<Exchange, "id" | "method" | "path">,
  log: Logger,
): StatusError {
  const status = statusOf(error);
  if (status !== undefined) {
    if (status.code >= 500 && status.cause !== undefined)
      log.warn({ err: error, requestId: exchange.id, method: exchange.method, path: exchange.path }, "request failed");
    return status;
  }
  log.error({ err: error, requestId: exchange.id, method: exchange.method, path: exchange.path }, "request failed");
  return internalError(`see the server's log for request ${exchange.id}`);
}

/** Answers with an error's Status. After the head is out it can only break the answer off. */
export function sendStatus(exchange: Exchange, error: StatusError): void {
  const { response, request } = exchange;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = Buffer.from(`${JSON.stringify(error.toStatus())}\n`);
  response.setHeader("content-type", JSON_TYPE);
  response.setHeader("content-length", body.length);
  if (error.retryAfterSeconds !== undefined && error.retryAfterSeconds > 0)
    response.setHeader("retry-after", error.retryAfterSeconds);
  setCommonHeaders(exchange);
  // Whoever sends too much is not listened to until the end of it. HTTP/2 ends the stream alone.
  const isTooMuch = error.reason === "RequestEntityTooLarge" && request.httpVersionMajor === 1;
  if (isTooMuch) response.setHeader("connection", "close");
  response.writeHead(error.code);
  response.end(body);
  // An unread rest of the body would block the connection for the next request.
  if (!isTooMuch) request.resume();
}
