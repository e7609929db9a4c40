import type { IncomingHttpHeaders } from "node:http";
import type { UserInfo } from "../request.ts";

/** What the handlers need of a request, of HTTP/1.1 or HTTP/2 alike. */
export interface HttpRequest {
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: string[];
  readonly httpVersionMajor: number;
  /** Undefined only for responses, which share the type in Node. */
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  /** The body comes as `data` until `end`; `close` without it means that it broke off. */
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  on(event: "error" | "close", listener: (error?: Error) => void): unknown;
  off(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  off(event: "end", listener: () => void): unknown;
  off(event: "error" | "close", listener: (error?: Error) => void): unknown;
  /** Takes no more of the body. */
  pause(): unknown;
  /** Drops what has not been read of the body. */
  resume(): unknown;
}

/** What the handlers need of a response, of HTTP/1.1 or HTTP/2 alike. */
export interface HttpResponse {
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly destroyed?: boolean;
  statusCode: number;
  setHeader(name: string, value: string | number | readonly string[]): unknown;
  writeHead(code: number): unknown;
  flushHeaders(): void;
  write(chunk: Uint8Array | string): boolean;
  end(chunk?: Uint8Array | string): unknown;
  destroy(error?: Error): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  once(event: "close" | "drain" | "finish", listener: () => void): unknown;
  off(event: "close" | "drain" | "finish", listener: () => void): unknown;
}

/** One request with its answer. */
export interface Exchange {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly method: string;
  /** Without the query, as it came. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names the request in our log and in the client's `Audit-Id`. */
  readonly id: string;
  /** Nobody, until authentication has found out who it is. */
  user: UserInfo;
  /** Aborts when the client goes away, the server stops or the request takes too long. */
  readonly signal: AbortSignal;
  /** Texts for `Warning` headers, none twice. */
  readonly warnings: Set<string>;
}

/** Resolves once more can be written, or nobody reads any more. */
export function writable(response: Pick<HttpResponse, "destroyed" | "once" | "off">): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed === true) {
      resolve();
      return;
    }
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.once("drain", done);
    response.once("close", done);
  });
}
