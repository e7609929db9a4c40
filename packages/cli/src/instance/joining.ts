import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { join, parseToken, type HubAddress } from "@skerry/agent";
import { proxyFor, systemClock } from "@skerry/base";
import type { Client } from "@skerry/client";
import { createToken } from "@skerry/hub";
import { UsageError, UserError } from "../command.ts";
import type { Instance } from "./instance.ts";
import { readProxies } from "./proxies.ts";
import type { Layout } from "./layout.ts";

/** A token with which a machine joins the cloud of this instance. */
export async function createJoinToken(client: Client, layout: Layout, ttlMs: number): Promise<string> {
  const authority = new X509Certificate(await readFile(path.join(layout.cloudDir, "pki", "link-ca.crt")));
  return createToken(client, { ttlMs, authority, clock: systemClock });
}

/** Refuses a token that no cloud has made as it stands. */
export function checkToken(token: string): void {
  try {
    parseToken(token);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Makes this instance's machine a node of the cloud at an address. The same path for the edge beside the cloud and for one far away. */
export async function joinEdge(
  { layout, settings }: Instance,
  server: { host: string; port: number },
  token: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const proxy = proxyFor(await readProxies(layout), server);
    await join({ server, proxy, token, nodeName: settings.nodeName, identityFile: layout.identity, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new UserError(`Cannot join ${server.host}:${server.port}: ${whyNotJoined(error as Error, server)}`, {
      cause: error,
    });
  }
}

/** Why a join failed; where the network did, with what to look at. A hub that answers says by itself what to do. */
export function whyNotJoined(error: Error, { host, port }: HubAddress): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error.message;
  // Of a host with several addresses the failure of each is told, and of all of them nothing.
  const message = error.message || (error instanceof AggregateError && String(error.errors[0]?.message)) || code;
  return `${message}; is the cloud up, is ${port} its link port (10000 unless it was given another), and does ${host} lead to it from here?`;
}

/** `HOST:PORT`, `[V6]:PORT`, or a host alone with the usual port. */
export function parseAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? 10_000);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new UserError(`"${text}" is no address; write it like cloud.example:10000`, { exitCode: 2 });
  }
  return { host, port };
}
