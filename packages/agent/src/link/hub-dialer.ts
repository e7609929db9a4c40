import type { Clock, Logger } from "@skerry/base";
import { connectWebSocket, RENEW_PATH, UpgradeRefusedError, type FrameTransport, type Session } from "@skerry/wire";
import { dialHub, exchange, HubRefusedError, type HubAddress, type HubSession } from "./dial.ts";
import type { EdgeIdentity } from "./edge-identity.ts";

export interface HubDialerOptions {
  address: HubAddress;
  /** The HTTP proxy that leads there. */
  proxy?: URL | undefined;
  identity: EdgeIdentity;
  clock: Clock;
  log: Logger;
}

/** Makes the connections of a link with the edge's certificate, and keeps that certificate fresh. */
export class HubDialer {
  readonly #options: HubDialerOptions;
  /** To be resumed: a third of the work of a full handshake is left then. */
  #tlsSession: HubSession | undefined;
  #renewing: Promise<void> | undefined;
  /** The hub's clock says that the certificate has ended, whatever this one says. */
  #isExpiredThere = false;

  constructor(options: HubDialerOptions) {
    this.#options = options;
  }

  /** Connects to the hub. A certificate that ended while the edge was away is renewed first. */
  async dial(signal: AbortSignal): Promise<FrameTransport> {
    const { address, identity, clock, log } = this.#options;
    if (this.#isExpiredThere || identity.isExpired(clock)) {
      await identity.renew((csr) => this.#askOverHttps(csr, signal));
      this.#tlsSession = undefined;
      this.#isExpiredThere = false;
      log.info({}, "expired certificate was renewed");
    }
    const session = this.#tlsSession;
    this.#tlsSession = undefined;
    const socket = await this.#connect(signal, session);
    try {
      return await connectWebSocket(socket, { host: `${address.host}:${address.port}`, signal });
    } catch (error) {
      if (error instanceof UpgradeRefusedError) this.#isExpiredThere = error.problem === "expired";
      throw error;
    }
  }

  /** Renews the certificate over an open link when it is due. Failing is no harm: the next link tries again. */
  renewIfDue(session: Session, signal: AbortSignal): Promise<void> {
    const { identity, clock, log } = this.#options;
    if (!identity.isRenewalDue(clock)) return Promise.resolve();
    this.#renewing ??= identity
      .renew((csr) => askOverLink(session, csr, signal))
      .then(
        () => {
          // A resumed session would go on showing the old certificate.
          this.#tlsSession = undefined;
          log.info({}, "certificate was renewed");
        },
        (error: unknown) => log.warn({ err: error }, "certificate could not be renewed"),
      )
      .finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  #connect(signal: AbortSignal, session: HubSession | undefined): ReturnType<typeof dialHub> {
    const { address, proxy, identity, clock, log } = this.#options;
    return dialHub({
      address,
      proxy,
      authority: identity.authority,
      identity: identity.current,
      clock,
      log,
      session,
      onSession: (given) => (this.#tlsSession = given),
      signal,
    });
  }

  async #askOverHttps(csr: string, signal: AbortSignal): Promise<unknown> {
    const socket = await this.#connect(signal, undefined);
    try {
      return await exchange(socket, { method: "POST", path: RENEW_PATH, body: { csr } }, signal);
    } finally {
      socket.destroy();
    }
  }
}

async function askOverLink(session: Session, csr: string, signal: AbortSignal): Promise<unknown> {
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(JSON.stringify({ csr }));
  }
  const answer = await session.request({ method: "POST", path: RENEW_PATH, headers: {}, body: body() }, signal);
  let text = "";
  for await (const chunk of answer.body) text += Buffer.from(chunk).toString("utf8");
  if (answer.status !== 200) throw new HubRefusedError(answer.status, text);
  return JSON.parse(text) as unknown;
}
