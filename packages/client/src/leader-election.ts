import { silentLogger, systemClock, type Clock, type Logger } from "@skerry/base";
import { isAlreadyExists, isConflict, isNotFound, kinds, type ObjectKey } from "@skerry/machinery";
import type { Lease, LeaseSpec } from "@skerry/machinery/types";
import type { Client } from "./client.ts";

export interface LeaderElectionOptions {
  client: Client;
  /** The Lease that says who leads. */
  lease: ObjectKey;
  /** Who we are: no two candidates may have the same. */
  identity: string;
  /** What the leader does. The signal aborts as soon as leading can no longer be proven; nobody leads again here before this has ended. */
  lead: (signal: AbortSignal) => Promise<void>;
  /** How long others leave a lease alone that is not renewed, in whole seconds. */
  leaseDurationSeconds?: number;
  /** How long after the last renewal we stop to lead; the rest of the lease's duration is what ending the work may take, in milliseconds. */
  renewDeadlineMs?: number;
  /** How often the lease is renewed, or looked at, in milliseconds. */
  retryMs?: number;
  clock?: Clock;
  /** A source of uniform numbers in [0, 1), so that candidates do not ask in step. */
  random?: () => number;
  log?: Logger;
}

/**
 * One of several candidates, of whom at most one leads at a time: the one whose name stands in a Lease (the fields of coordination.k8s.io/v1,
 * as client-go uses them).
 *
 * No two wall clocks are compared. A candidate takes the lease of another only after it has itself seen it unchanged for the lease's
 * duration; a leader stops `renewDeadlineMs` after it *sent* its last renewal that succeeded. The first is longer than the second, so that the old leader
 * is told to stop before a new one can begin, however long requests take. A process that was frozen meanwhile learns it at its next renewal:
 * whoever must be safe against that as well writes with preconditions.
 */
export class LeaderElection implements AsyncDisposable {
  readonly #options: LeaderElectionOptions;
  readonly #durationSeconds: number;
  readonly #deadlineMs: number;
  readonly #retryMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  /** The lease as it was last seen, and when it was first seen so, in monotonic milliseconds. */
  #seen: { revision: string; spec: LeaseSpec; at: number } | undefined;
  #isLeader = false;
  #running: Promise<void> | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#durationSeconds = options.leaseDurationSeconds ?? 15;
    this.#deadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryMs = options.retryMs ?? 2_000;
    if (this.#deadlineMs >= this.#durationSeconds * 1000 || this.#retryMs >= this.#deadlineMs) {
      throw new RangeError(
        `Cannot elect leaders with a lease of ${this.#durationSeconds} s, a deadline of ${this.#deadlineMs} ms and tries each ` +
          `${this.#retryMs} ms: each must be shorter than the one before`,
      );
    }
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#log = options.log ?? silentLogger;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  /** Who leads as far as is known here; undefined when nobody does. */
  get holder(): string | undefined {
    return this.#seen?.spec.holderIdentity || undefined;
  }

  /** Ends the work, waits for it, and gives the lease back, so that another can lead at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The election is over"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const sentAt = this.#clock.monotonic();
      if ((await this.#try(signal)) && this.#clock.monotonic() - sentAt < this.#deadlineMs) await this.#lead(sentAt);
      await this.#clock.sleep(this.#retryMs * (1 + this.#random() / 5), signal).catch(() => {}); // the loop's condition says so
    }
  }

  /** Leads from a renewal that was sent at `renewedAt` until one is overdue, another holds the lease, the work ends, or we are stopped. */
  async #lead(renewedAt: number): Promise<void> {
    const { lease, identity } = this.#options;
    const log = this.#log.child({ lease: `${lease.namespace}/${lease.name}` });
    const lost = new AbortController();
    const stop = (): void => lost.abort(this.#stop.signal.reason);
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    let cancelDeadline = (): void => {};
    const leadUntilDeadline = (sentAt: number): void => {
      cancelDeadline();
      const leftMs = sentAt + this.#deadlineMs - this.#clock.monotonic();
      const why = new Error(`The lease was not renewed for ${this.#deadlineMs} ms`);
      cancelDeadline = this.#clock.after(leftMs, () => lost.abort(why));
    };
    if (this.#stop.signal.aborted) stop();
    leadUntilDeadline(renewedAt);
    this.#isLeader = true;
    log.info({ identity }, "leading");
    const work = this.#options.lead(lost.signal).then(
      () => lost.abort(new Error("The work is done")),
      (err: unknown) => {
        if (!lost.signal.aborted) log.error({ err }, "leading failed");
        lost.abort(err);
      },
    );
    while (!lost.signal.aborted) {
      await this.#clock.sleep(this.#retryMs, lost.signal).catch(() => {}); // the loop's condition says so
      if (lost.signal.aborted) break;
      const sentAt = this.#clock.monotonic();
      if (await this.#try(lost.signal)) leadUntilDeadline(sentAt);
      else if (this.#seen && this.#seen.spec.holderIdentity !== identity) {
        lost.abort(new Error(`The lease is held by ${this.#seen.spec.holderIdentity || "nobody"}`));
      }
    }
    cancelDeadline();
    this.#stop.signal.removeEventListener("abort", stop);
    this.#isLeader = false;
    log.info({ err: lost.signal.reason as unknown }, "not leading any more");
    await work;
    await this.#release();
  }

  /** Takes or renews the lease; false when it is another's, or when that could not be found out. */
  async #try(signal: AbortSignal): Promise<boolean> {
    const { client, lease, identity } = this.#options;
    try {
      const found = await client.get(kinds.Lease, lease, { signal }).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (!found) return await this.#write(undefined, {}, signal);
      const { spec = {} } = found.decode();
      const now = this.#clock.monotonic();
      if (this.#seen?.revision !== found.revision) this.#seen = { revision: found.revision, spec, at: now };
      const isFree =
        !spec.holderIdentity ||
        spec.holderIdentity === identity ||
        now - this.#seen.at >= (spec.leaseDurationSeconds ?? this.#durationSeconds) * 1000;
      return isFree && (await this.#write(found.decode(), spec, signal));
    } catch (error) {
      if (signal.aborted) return false;
      // Somebody else was faster: seen at the next look.
      if (!isConflict(error) && !isAlreadyExists(error)) {
        this.#log.warn({ lease: lease.name, err: error }, "lease could not be renewed");
      }
      return false;
    }
  }

  async #write(found: Lease | undefined, before: LeaseSpec, signal: AbortSignal): Promise<true> {
    const { client, lease, identity } = this.#options;
    const now = microTime(this.#clock.now());
    const isOurs = before.holderIdentity === identity;
    const transitions = before.leaseTransitions ?? 0;
    const spec: LeaseSpec = {
      ...before,
      holderIdentity: identity,
      leaseDurationSeconds: this.#durationSeconds,
      acquireTime: isOurs ? (before.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: isOurs || !found ? transitions : transitions + 1,
    };
    const written = found
      ? await client.update(kinds.Lease, { ...found, spec }, { signal })
      : await client.create(kinds.Lease, { metadata: { ...lease }, spec } as Lease, { signal });
    this.#seen = { revision: written.revision, spec, at: this.#clock.monotonic() };
    return true;
  }

  /** Gives back a lease that is still ours. A failure costs the next leader the lease's duration, nothing else. */
  async #release(): Promise<void> {
    const { client, lease, identity } = this.#options;
    const limit = new AbortController();
    const cancel = this.#clock.after(this.#retryMs, () => limit.abort(new Error("no answer")));
    try {
      const found = (await client.get(kinds.Lease, lease, { signal: limit.signal })).decode();
      if (found.spec?.holderIdentity !== identity) return;
      const { holderIdentity: _, ...spec } = found.spec;
      const now = microTime(this.#clock.now());
      const released = { ...spec, leaseDurationSeconds: 1, renewTime: now };
      const written = await client.update(kinds.Lease, { ...found, spec: released }, { signal: limit.signal });
      this.#seen = { revision: written.revision, spec: released, at: this.#clock.monotonic() };
    } catch (error) {
      this.#log.debug({ lease: lease.name, err: error }, "lease was not given back");
    } finally {
      cancel();
    }
  }
}

/** A wall time in milliseconds as Kubernetes' MicroTime: RFC 3339 with six digits. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace("Z", "000Z");
