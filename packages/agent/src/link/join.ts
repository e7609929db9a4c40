import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import { CA_PATH, JOIN_PATH } from "@skerry/wire";
import { connect, dialHub, exchange, NotTheHubError, type HubAddress, type HubSession } from "./dial.ts";
import { EdgeIdentity } from "./edge-identity.ts";

export interface JoinOptions {
  server: HubAddress;
  /** The HTTP proxy that leads there. */
  proxy?: URL | undefined;
  /** As `./skerry token create` printed it: `skerry.ID.SECRET.PIN`. */
  token: string;
  nodeName: string;
  /** Where key and certificate are kept. */
  identityFile: string;
  clock?: Clock;
  log?: Logger;
  signal: AbortSignal;
}

/**
 * Joins a cloud: learns its CA and holds it against the token's pin, shows the token to a server of that CA and no other, and keeps the
 * certificate it gets. Throws an error whose message says what to do: `HubRefusedError`, `NotTheHubError`, or of the network.
 */
export async function join(options: JoinOptions): Promise<EdgeIdentity> {
  const { server: address, proxy, token, nodeName, identityFile, signal } = options;
  const { clock = systemClock, log = silentLogger } = options;
  const { id, secret, pin } = parseToken(token);
  const { authority, session } = await pinnedAuthority({ address, proxy }, pin, signal);
  return EdgeIdentity.create(identityFile, async (csr) => {
    const socket = await dialHub({ address, proxy, authority, identity: undefined, clock, log, session, signal });
    try {
      const body = { token: `${id}.${secret}`, node: nodeName, csr };
      return await exchange(socket, { method: "POST", path: JOIN_PATH, body }, signal);
    } finally {
      socket.destroy();
    }
  });
}

/** The parts of a token. Throws an error that says what to do when it is not whole. */
export function parseToken(token: string): { id: string; secret: string; pin: Buffer } {
  const [, id, secret, pin] = /^skerry\.([a-z0-9]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/.exec(token.trim()) ?? [];
  if (id === undefined || secret === undefined || pin === undefined) {
    throw new Error(
      "The token is not complete: copy all of what `./skerry token create` printed on the cloud's machine",
    );
  }
  return { id, secret, pin: Buffer.from(pin, "base64url") };
}

/** Reads the CA over a connection that proves nothing: the pin does. With it comes a TLS session, which spares the next connection half its work. */
async function pinnedAuthority(
  { address, proxy }: { address: HubAddress; proxy: URL | undefined },
  pin: Buffer,
  signal: AbortSignal,
): Promise<{ authority: X509Certificate; session: HubSession | undefined }> {
  let session: HubSession | undefined;
  const onSession = (given: HubSession): void => void (session = given);
  const { socket } = await connect({ address, proxy, identity: undefined, onSession, signal });
  let authority: X509Certificate;
  try {
    const answer = (await exchange(socket, { method: "GET", path: CA_PATH }, signal)) as { authority?: unknown };
    authority = new X509Certificate(String(answer.authority));
  } catch (error) {
    throw new NotTheHubError(
      `What answers at ${address.host}:${address.port} is no hub: name the cloud's link port (10000 unless it was given another)`,
      { cause: error },
    );
  } finally {
    socket.destroy();
  }
  const shown = createHash("sha256").update(authority.raw).digest();
  if (shown.length === pin.length && timingSafeEqual(shown, pin)) return { authority, session };
  throw new NotTheHubError(
    `The hub at ${address.host}:${address.port} is of another cloud than the token: make the token on the machine of that cloud`,
  );
}
