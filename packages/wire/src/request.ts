/** A request over the link, in the shape of the kubelet's HTTP API. */
export interface StreamRequest {
  method: string;
  /** Path and query: `/containerLogs/default/web/main?follow=true`. */
  path: string;
  headers: Record<string, string>;
  /** What follows the head; empty for most. */
  body: AsyncIterable<Uint8Array>;
}

/** Its answer: the head at once, the body as it is read. */
export interface StreamResponse {
  status: number;
  headers: Record<string, string>;
  /** Each chunk is asked for: a reader that does not read slows the writer, and nobody else. */
  body: AsyncIterable<Uint8Array>;
}

/** Serves requests that come over the link. The signal aborts when the asker has gone; a throw answers 500. */
export type StreamHandler = (request: StreamRequest, signal: AbortSignal) => Promise<StreamResponse>;
