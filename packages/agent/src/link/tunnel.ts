import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { shownProxy } from "@skerry/base";

/**
 * A connection to an address through an HTTP proxy (RFC 9110, "CONNECT"). The proxy sees where it leads and how much passes; what proves who is at its
 * other end, and keeps it secret, is the TLS that is spoken over it.
 */
export function openTunnel(proxy: URL, address: { host: string; port: number }, signal: AbortSignal): Promise<Socket> {
  const authority = `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
  const user = decodeURIComponent(proxy.username);
  const password = decodeURIComponent(proxy.password);
  const { request } = proxy.protocol === "https:" ? https : http;
  const asked = request({
    host: proxy.hostname.replace(/^\[|\]$/g, ""),
    // Otherwise the scheme's own.
    ...(proxy.port !== "" && { port: proxy.port }),
    method: "CONNECT",
    path: authority,
    agent: false,
    signal,
    headers: {
      host: authority,
      ...(proxy.username !== "" && {
        "proxy-authorization": `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
      }),
    },
  });
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const through = `the proxy ${shownProxy(proxy)}`;
  asked.once("connect", ({ statusCode = 0, statusMessage = "" }, socket: Socket, head) => {
    if (statusCode >= 200 && statusCode < 300) {
      if (head.length > 0) socket.unshift(head);
      return resolve(socket);
    }
    socket.destroy();
    const why =
      statusCode === 407
        ? "it wants another user and password"
        : `${statusCode} ${statusMessage}; let it allow CONNECT there, or name ${address.host} in NO_PROXY`;
    reject(new Error(`${through} does not let us through to ${authority}: ${why}`));
  });
  asked.once("response", (response) => {
    response.destroy();
    reject(new Error(`${through} answers CONNECT as no proxy does: is it one?`));
  });
  asked.once("error", (error) => {
    reject(signal.aborted ? (signal.reason as Error) : new Error(`${through} is not reached: ${error.message}`));
  });
  asked.end();
  return promise;
}
