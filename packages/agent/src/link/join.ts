import { createHash, timingSafeEqual, X509Certificate, type KeyObject } from "node:crypto";
import { mkdir, readFile, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import {
  createKey,
  isMissingFile,
  keyFromPem,
  keyToPem,
  silentLogger,
  systemClock,
  writeFileAtomic,
  type Clock,
  type Logger,
} from "@skerry/base";
import { CA_PATH, JOIN_PATH } from "@skerry/wire";
import {
  connect,
  dialHub,
  exchange,
  HubRefusedError,
  NotTheHubError,
  type HubAddress,
  type HubSession,
} from "./dial.ts";
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
  const socket = await dialHub({ address, proxy, authority, identity: undefined, clock, log, session, signal });
  try {
    return await withJoinKey(identityFile, (key) =>
      EdgeIdentity.create(identityFile, key, (csr) => {
        const body = { token: `${id}.${secret}`, node: nodeName, csr };
        return exchange(socket, { method: "POST", path: JOIN_PATH, body }, signal);
      }),
    );
  } finally {
    socket.destroy();
  }
}

/**
 * Runs a join with the key of one that was cut off, or a new one. It is on the disk before the hub is asked, beside the identity, and until that
 * is kept or the hub has refused: an answer that is lost may have been a yes, and by the key the hub knows who asks again.
 */
async function withJoinKey<T>(identityFile: string, run: (key: KeyObject) => Promise<T>): Promise<T> {
  const file = `${identityFile}.key`;
  const folder = path.dirname(file);
  const key = (await readJoinKey(file)) ?? createKey();
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, keyToPem(key), { mode: 0o600 });
  try {
    const joined = await run(key);
    await rm(file, { force: true });
    return joined;
  } catch (error) {
    if (error instanceof HubRefusedError && error.status < 500) {
      await rm(file, { force: true });
      if (made !== undefined) await rmdir(folder).catch(() => {}); // another one may be at it
    }
    throw error;
  }
}

async function readJoinKey(file: string): Promise<KeyObject | undefined> {
  try {
    return keyFromPem(await readFile(file, "utf8"));
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw new Error(`Cannot use ${file}, which a join that was cut off has left: remove it`, { cause: error });
  }
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
