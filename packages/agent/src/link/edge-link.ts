import { randomUUID } from "node:crypto";
import { backoff, silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import {
  UpgradeRefusedError,
  type EndReason,
  type FrameTransport,
  type Session,
  type StreamHandler,
} from "@skerry/wire";
import { EdgeSession } from "./edge-session.ts";
import type { LinkCache } from "./ports.ts";

/** How the link is, for people and health checks. */
export interface LinkStatus {
  state: "starting" | "connecting" | "connected" | "waiting" | "stopped";
  /** Connected, and everything that the cloud wanted is committed here. */
  isSynced: boolean;
  /** Wall time of the last change of state, in milliseconds since the Unix epoch. */
  since: number;
  /** Why the last attempt or session ended; absent while connected. */
  problem?: string;
  reason?: EndReason | "unreachable" | "refused";
}

export interface EdgeLinkOptions {
  /** Makes a connection to the hub, whoever is at its other end having been checked. */
  dial: (signal: AbortSignal) => Promise<FrameTransport>;
  node: string;
  version: string;
  cache: LinkCache;
  /** Answers what the cloud asks of this node: the kubelet's paths. */
  serve: StreamHandler;
  clock?: Clock;
  random?: () => number;
  log?: Logger;
  /** Distinguishes this life of the agent from others. */
  instance?: string;
  /** The first and the longest wait between attempts, in milliseconds; each is random between 0 and that. */
  retry?: { initialMs: number; maxMs: number };
  /** Called each time the link is up, before it is in sync. */
  onOpened?: (session: Session) => void;
  /**
   * The cloud took this node for lost meanwhile and wrote so over what was reported: the node and all its pods are to be reported again,
   * changed or not.
   */
  onResend?: () => void;
  onStatus?: (status: LinkStatus) => void;
}

/** A session that lived this long was a good one: the next attempt is made soon again. */
const STABLE_MS = 30_000;
/** A hub may ask for patience, but not for ever. */
const MAX_RETRY_AFTER_MS = 10 * 60_000;

/** The edge's end of the link: dials, serves one session after the other, and never gives up. The edge works without it. */
export class EdgeLink implements AsyncDisposable {
  readonly #options: EdgeLinkOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Logger;
  readonly #instance: string;
  readonly #stop = new AbortController();
  #status: LinkStatus;
  #running: Promise<void> | undefined;
  #epochAtLeast = 1;
  #session: Session | undefined;
  readonly #counts = { sessions: 0, failures: 0 };

  constructor(options: EdgeLinkOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#log = options.log ?? silentLogger;
    this.#instance = options.instance ?? randomUUID();
    this.#status = { state: "starting", isSynced: false, since: this.#clock.now() };
  }

  get status(): LinkStatus {
    return this.#status;
  }

  /** How many sessions there were, and attempts that came to none. */
  get counts(): Readonly<{ sessions: number; failures: number }> {
    return this.#counts;
  }

  /** What the last heartbeat of the session took there and back, in milliseconds. */
  get roundTripMs(): number | undefined {
    return this.#session?.roundTripMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The link is closed"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { initialMs, maxMs } = this.#options.retry ?? { initialMs: 1000, maxMs: 10_000 };
    const newWaits = (): Generator<number, never> => backoff({ initialMs, maxMs, random: this.#random });
    let waits = newWaits();
    while (!signal.aborted) {
      const startedAt = this.#clock.monotonic();
      const retryAfterMs = await this.#attempt(signal);
      if (signal.aborted) break;
      if (this.#clock.monotonic() - startedAt >= STABLE_MS) waits = newWaits();
      // The hub's wish is a minimum; what comes on top keeps those it sent away from coming back together.
      const asked = Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
      const wait = asked + waits.next().value + asked * this.#random() * 0.5;
      await this.#clock.sleep(wait, signal).catch(() => {});
    }
    this.#set({ state: "stopped", isSynced: false });
  }

  /** One connection, from dialling to its end. Never throws; resolves with how long the hub asks to wait. */
  async #attempt(signal: AbortSignal): Promise<number | undefined> {
    this.#set({ ...this.#status, state: "connecting", isSynced: false });
    try {
      const transport = await this.#options.dial(signal);
      const epoch = await this.#nextEpoch(transport);
      const session = new EdgeSession({
        ...this.#options,
        transport,
        epoch,
        instance: this.#instance,
        clock: this.#clock,
        log: this.#log,
        onOpened: (opened) => {
          this.#session = opened;
          this.#counts.sessions++;
          this.#set({ state: "connected", isSynced: false });
          this.#options.onOpened?.(opened);
        },
        onResend: () => this.#options.onResend?.(),
        onSynced: () => this.#set({ state: "connected", isSynced: true }),
      });
      const end = await session.run(signal);
      if (!this.#session && !signal.aborted) this.#counts.failures++;
      this.#session = undefined;
      if (end.epoch !== undefined) this.#epochAtLeast = end.epoch + 1;
      this.#log.info({ reason: end.reason, by: end.by, detail: end.message }, "link ended");
      this.#set({ state: "waiting", isSynced: false, problem: end.message, reason: end.reason });
      return end.retryAfterMs;
    } catch (error) {
      if (signal.aborted) return undefined;
      this.#counts.failures++;
      const isRefused = error instanceof UpgradeRefusedError;
      const problem = error instanceof Error ? error.message : String(error);
      // The same failure again and again is told once.
      if (problem !== this.#status.problem) this.#log.warn({ err: error }, "hub could not be reached");
      this.#set({ state: "waiting", isSynced: false, problem, reason: isRefused ? "refused" : "unreachable" });
      return isRefused ? error.retryAfterMs : undefined;
    }
  }

  async #nextEpoch(transport: FrameTransport): Promise<number> {
    try {
      return await this.#options.cache.nextEpoch(this.#epochAtLeast);
    } catch (error) {
      transport.close();
      throw new Error("Cannot write the cache", { cause: error });
    }
  }

  #set(status: Omit<LinkStatus, "since">): void {
    const since = status.state === this.#status.state ? this.#status.since : this.#clock.now();
    this.#status = { ...status, since };
    this.#options.onStatus?.(this.#status);
  }
}
