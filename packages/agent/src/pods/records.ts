import type { Clock, Logger } from "@skerry/base";
import type { Pod, PodStatus } from "@skerry/machinery/types";
import type { Report } from "@skerry/wire";
import type { EdgeCache } from "../cache/edge-cache.ts";
import { withoutBackoff, type PodFacts } from "./facts.ts";
import type { Instant, ObservedPod } from "./observed.ts";
import type { WantedPod } from "./plan.ts";
import { recall } from "./recall.ts";
import { podStatus } from "./status.ts";
import type { Step } from "./steps.ts";
import { noTroubles, type Troubles } from "./troubles.ts";

export interface PodRecordsOptions {
  cache: EdgeCache;
  clock: Clock;
  log: Logger;
  bootId: string;
  hostIps: () => string[];
  runtimeName: () => string;
  /** Has a pod looked at again after so many milliseconds. */
  lookAfter: (uid: string, ms: number) => void;
}

/** What a status is made from besides the facts. */
export interface Circumstances {
  wanted: Pick<WantedPod, "pod" | "refused">;
  observed: ObservedPod;
  troubles: Troubles;
  now: Instant;
}

/** A disk that took no writes is tried again. */
const UNSAVED_RETRY_MS = 5_000;

/** What is remembered of pods and what the cloud is told of them, which goes into the cache in one transaction. */
export class PodRecords {
  readonly #options: PodRecordsOptions;
  /** What the cloud is to learn of pods whose facts could not be written. */
  readonly #unsaved = new Map<string, Report | undefined>();

  constructor(options: PodRecordsOptions) {
    this.#options = options;
  }

  /** What is remembered of the pod, or else what the cloud has on record. */
  of(pod: Pod, now: Instant): PodFacts {
    return this.#options.cache.facts(pod.metadata.uid ?? "") ?? recall(pod, now);
  }

  /** Keeps what is new and, if it is to be told, queues the status when it is another than the last. */
  async save(facts: PodFacts, circumstances: Circumstances, isReported: boolean): Promise<void> {
    const { cache, log, lookAfter } = this.#options;
    const { uid, namespace, name } = facts;
    const kept = cache.facts(uid);
    let report: Report | undefined;
    let next = facts;
    if (isReported && !facts.finished) {
      const status = this.#status(facts, circumstances);
      if (JSON.stringify(status) !== JSON.stringify(facts.status)) {
        next = { ...facts, status };
        report = reportOf(next, false);
      }
    }
    // A pod that was never reported and of which nothing has run leaves nothing to remember, but what was told once.
    const isBlank =
      next.status === undefined && next.told === (kept?.told ?? false) && Object.keys(next.containers).length === 0;
    if ((next === kept && !this.#unsaved.has(uid)) || isBlank) return;
    report ??= this.#unsaved.get(uid);
    try {
      await cache.saveFacts(next, report);
      this.#unsaved.delete(uid);
    } catch (error) {
      // A full disk must not keep a crashed container from being restarted: remembered in memory, written when it can be.
      cache.holdFacts(next);
      this.#unsaved.set(uid, report);
      lookAfter(uid, UNSAVED_RETRY_MS);
      log.warn({ pod: `${namespace}/${name}`, err: error }, "cannot write what is to be remembered of the pod");
    }
  }

  /** Puts on record that a container is about to be started; fails where it cannot be. See `ContainerFacts.intended`. */
  async intend(uid: string, { container, id }: Extract<Step, { do: "intend" }>): Promise<void> {
    const { cache } = this.#options;
    const facts = cache.facts(uid);
    const known = facts?.containers[container];
    if (!facts || known?.id !== id) throw new Error(`Cannot start container ${container}: it is not the one on record`);
    try {
      await cache.saveFacts({
        ...facts,
        containers: { ...facts.containers, [container]: { ...known, intended: true } },
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(
        `Cannot start container ${container}, which must not run twice, while the node's disk takes no record of it: ${why}`,
        { cause: error },
      );
    }
  }

  /** Nothing of a deleted pod is left here: the cloud may forget it. */
  async finish(pod: Pod): Promise<void> {
    const { cache, clock, bootId } = this.#options;
    const now = { wallMs: clock.now(), monotonicMs: clock.monotonic(), bootId };
    const facts = this.of(pod, now);
    const hasFailed = Object.values(facts.containers).some((container) => container.ended?.exitCode !== 0);
    const final: PodFacts = {
      ...facts,
      finished: true,
      final: facts.final ?? { phase: hasFailed ? "Failed" : "Succeeded" },
    };
    const wanted = { pod, refused: "" };
    const status = this.#status(final, { wanted, observed: NOTHING, troubles: noTroubles(), now });
    const done = { ...final, status };
    await cache.saveFacts(done, reportOf(done, true));
  }

  /** What ended by a reboot, or with the whole instance, did not crash: no pod waits for that. Done once for each boot, or more often where no disk remembers it. */
  async dropBackoff(): Promise<void> {
    const { cache, log, bootId } = this.#options;
    try {
      await cache.rewriteFacts(withoutBackoff);
      await cache.setNote("bootId", bootId);
    } catch (error) {
      for (const [uid] of cache.pods()) {
        const facts = cache.facts(uid);
        if (facts) cache.holdFacts(withoutBackoff(facts));
      }
      log.warn({ err: error }, "cannot write that the machine was booted");
    }
  }

  /** Queues what was last reported of each pod once more: the cloud has written over it. */
  async reportAgain(): Promise<void> {
    const { cache } = this.#options;
    for (const [uid] of cache.pods()) {
      const facts = cache.facts(uid);
      if (facts?.status) await cache.report(reportOf(facts, facts.finished));
    }
  }

  /** Nothing of the pod is left here, and the cloud has forgotten it. */
  async forget(uid: string): Promise<void> {
    const { cache } = this.#options;
    if (cache.facts(uid) || cache.pod(uid)?.leaving) await cache.forgetPod(uid);
    this.#unsaved.delete(uid);
  }

  #status(facts: PodFacts, { wanted, ...rest }: Circumstances): PodStatus {
    const { hostIps, runtimeName } = this.#options;
    return podStatus({ ...wanted, ...rest, facts, hostIps: hostIps(), runtimeName: runtimeName() });
  }
}

const NOTHING: ObservedPod = {
  sandboxes: [],
  containers: [],
  images: new Map(),
  prepared: false,
  resolvConf: false,
  residue: false,
  logs: false,
  oomed: new Set(),
};

function reportOf({ namespace, name, uid, status }: PodFacts, gone: boolean): Report {
  const metadata = { namespace, name, uid };
  const object: Pod = { apiVersion: "v1", kind: "Pod", metadata, ...(status && { status }) };
  return { resource: "pods", namespace, name, uid, gone, bytes: Buffer.from(JSON.stringify(object)) };
}
