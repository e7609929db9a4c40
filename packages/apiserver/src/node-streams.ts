/**
 * Reaches a node's kubelet-shaped API: the port that the hub implements. Requests speak the kubelet's paths
 * (`/containerLogs/{namespace}/{pod}/{container}?follow=true&tailLines=…`), so that API server and kubelet gateway share one handler.
 */
export interface NodeStreams {
  /**
   * Sends a request to a node and resolves with the head of its answer. Throws `StatusError` ServiceUnavailable when the node has no link.
   * Aborting the signal cancels the request and its body on the node too.
   */
  request(node: string, request: NodeRequest, signal: AbortSignal): Promise<NodeResponse>;
}

export interface NodeRequest {
  method: "GET" | "POST";
  /** Path and query. */
  path: string;
  headers?: Record<string, string>;
}

export interface NodeResponse {
  status: number;
  headers: Record<string, string>;
  /** A slow reader slows the node's writer: each chunk is asked for. */
  body: AsyncIterable<Uint8Array>;
}
