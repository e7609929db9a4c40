import { existsSync } from "node:fs";
import { KeyedQueue, type Clock, type Logger, type Requeue } from "@skerry/base";
import type { Pod } from "@skerry/machinery/types";
import type { ObjectName } from "@skerry/wire";
import type { CachedPod, EdgeCache } from "../cache/edge-cache.ts";
import type { EndByForce } from "../runtime/runtime.ts";
import type { EventRecorder, EventText } from "./events.ts";
import { absorb } from "./facts.ts";
import { blame, crashEvents, isRuntimeAway, isStuck, PULL_FAILURE_SHOWN_MS, settlePulls } from "./failures.ts";
import { Looker } from "./look.ts";
import type { ObservedPod } from "./observed.ts";
import { OomNotices } from "./oom-notices.ts";
import { podDir } from "./paths.ts";
import { perform, type Means, type Performance } from "./perform.ts";
import { planPod, type WantedPod } from "./plan.ts";
import { Reclaimer } from "./reclaimer.ts";
import { PodRecords } from "./records.ts";
import { RuntimeView, type RuntimePod } from "./runtime-view.ts";
import { containerOf, type Step } from "./steps.ts";
import { gapEvents, gapsOf } from "./supported.ts";
import { noTroubles, type Troubles } from "./troubles.ts";
import { basisOf, deletionOf, mentions, preparationOf } from "./wanted.ts";

export interface PodLoopOptions {
  means: Means;
  cache: EdgeCache;
  events: EventRecorder;
  clock: Clock;
  random: () => number;
  log: Logger;
  /** /proc/sys/kernel/random/boot_id, or whatever else is another after each reboot. */
  bootId: string;
  /** Whether all containers were ended on purpose since the loop last ran: as after a boot, what ended so did not crash. */
  containersEnded?: boolean;
  /** Why pods that want a network of their own cannot be given one yet; empty when they can. */
  networkMissing?: () => string;
  /**
   * Removes what sandboxes left outside the runtime's knowledge when a call was cut off by somebody's death. Called with the ids of
   * all that there are, while none is being made: some time after the start, and after the runtime was away.
   */
  reclaim?: (sandboxes: ReadonlySet<string>, signal: AbortSignal) => Promise<void>;
  /** For what the runtime cannot end; without it, that is asked of the runtime again and again. */
  endByForce?: EndByForce;
}

/** Looks at everything now and then, whatever was heard meanwhile. */
const RESYNC_MS = 60_000;
/** Looks this often while the runtime tells nothing of itself. */
const POLL_MS = 5_000;
/** The runtime went away: it may be back within a second or two, and pods that write much stand still until then. */
const RUNTIME_RETRY = { initialMs: 200, maxMs: 2_000 };
/** Looks within one run of a pod before others get their turn. */
const MAX_ROUNDS = 20;

/** What this life of the agent knows of a pod besides the cache. */
interface PodMemory {
  troubles: Troubles;
  /** What cgroup and volumes were made from; "" before. */
  prepared: string;
  run: AbortController | undefined;
  /** What the current run works from, to tell whether a change makes it pointless. */
  basis: string;
  /** It was looked at in this life: what is known of it is of now. */
  isSeen: boolean;
  /** Instances whose wait after a crash was told. */
  told: Set<string>;
}

/**
 * Brings every pod to what the cache wants, one worker a pod: look, plan, act, look again. The runtime, the cache and the clock
 * are only reasons to look; what is done follows from what is seen. A loop that is killed at any point leaves what the next one
 * can see and go on from.
 */
export class PodLoop implements AsyncDisposable {
  readonly #options: PodLoopOptions;
  readonly #queue: KeyedQueue;
  readonly #stop = new AbortController();
  readonly #view: RuntimeView;
  readonly #looker: Looker;
  readonly #reclaimer: Reclaimer;
  readonly #records: PodRecords;
  readonly #memory = new Map<string, PodMemory>();
  readonly #oomed = new OomNotices();
  #runtimeName = "containerd";
  #tasks: Promise<unknown>[] = [];
  #unsubscribe: (() => void) | undefined;

  constructor(options: PodLoopOptions) {
    this.#options = options;
    const { means, cache, clock, random, log, bootId } = options;
    this.#view = new RuntimeView(means.runtime, this.#stop.signal);
    const { runtime, paths, cgroups } = means;
    this.#looker = new Looker({
      runtime,
      clock,
      paths,
      cgroups,
      nodeDns: () => means.node().dns,
      oomed: this.#oomed.ids,
    });
    this.#records = new PodRecords({
      cache,
      clock,
      log,
      bootId,
      hostIps: () => means.node().hostIps,
      runtimeName: () => this.#runtimeName,
      lookAfter: (uid, ms) => this.#queue.addAfter(uid, ms),
    });
    this.#reclaimer = new Reclaimer({
      means,
      cache,
      clock,
      log,
      reclaim: options.reclaim,
      listed: () => this.#view.last,
      lookAt: (uid) => this.#queue.add(uid),
      signal: this.#stop.signal,
    });
    this.#queue = new KeyedQueue({
      run: (uid, signal) => this.#runPod(uid, signal),
      workers: 64,
      clock,
      random,
      retry: RUNTIME_RETRY,
      onError: (uid, error, failures) => {
        const fields = { pod: this.#nameOf(uid), err: error, failures };
        if (isRuntimeAway(error)) log.debug(fields, "the runtime is away; the pod waits");
        else log.warn(fields, "cannot bring the pod to what is wanted; trying again");
      },
    });
  }

  /** Begins with what the last life left: nothing is assumed to be as it was. */
  async start(): Promise<void> {
    const { cache, bootId, containersEnded = false, log } = this.#options;
    const knownBoot = cache.note("bootId");
    const isNewBoot = knownBoot !== bootId;
    if (isNewBoot && knownBoot !== undefined) log.info({ bootId }, "the machine was booted since this agent last ran");
    if (isNewBoot || containersEnded) await this.#records.dropBackoff();
    this.#unsubscribe = cache.onChange((changed) => this.#cacheChanged(changed));
    this.#queue.start();
    for (const [uid] of cache.pods()) this.#queue.add(uid);
    this.#tasks = [this.#watchRuntime(), this.#resync()];
  }

  /** Resolves when no pod is being worked on and nothing is being cleared away; waits of pods do not count. */
  async idle(): Promise<void> {
    await this.#queue.idle();
    while (this.#reclaimer.running) {
      await this.#reclaimer.running;
      await this.#queue.idle();
    }
  }

  /** Whether a pod was looked at since the start; what the cache says of others is from before. */
  hasSeen(uid: string): boolean {
    return this.#memory.get(uid)?.isSeen ?? false;
  }

  /** What the runtime listed last. */
  get listed(): ReadonlyMap<string, RuntimePod> {
    return this.#view.last;
  }

  /** Looks at every pod soon. */
  lookAtAll(): void {
    const { cache } = this.#options;
    for (const [uid] of cache.pods()) this.#queue.add(uid);
    for (const uid of this.#view.last.keys()) this.#queue.add(uid);
  }

  /** Looks at every pod now, and tries at once what failed before: runtime or network are back. */
  retryAll(): void {
    for (const { troubles } of this.#memory.values()) troubles.pod = undefined;
    this.lookAtAll();
  }

  /** Queues what was last reported of each pod once more: the cloud has written over it. */
  reportAgain(): Promise<void> {
    return this.#records.reportAgain();
  }

  /** Aborts what is being done, at whatever point, and waits until it has ended. Pods go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe?.();
    this.#stop.abort(new Error("The agent stops"));
    await this.#queue[Symbol.asyncDispose]();
    await this.#reclaimer[Symbol.asyncDispose]();
    await Promise.allSettled(this.#tasks);
  }

  #cacheChanged(changed: readonly ObjectName[]): void {
    const { cache } = this.#options;
    if (changed.length === 0) {
      this.lookAtAll(); // the cache became complete: strays can be told now
      void this.#reclaimer.sweep();
      return;
    }
    const references = new Set<string>();
    let hasPods = false;
    for (const { resource, namespace, name } of changed) {
      if (resource === "pods") hasPods = true;
      else references.add(`${namespace}/${resource}/${name}`);
    }
    for (const [uid, cached] of cache.pods()) {
      const memory = this.#memory.get(uid);
      if (hasPods && (memory === undefined || memory.basis !== basisOf(cached))) {
        memory?.run?.abort(new SupersededError());
        this.#queue.add(uid);
      } else if (hasPods && memory?.prepared !== preparationOf(cached, cache)) this.#queue.add(uid);
      else if (references.size > 0 && mentions(cached.pod, references)) {
        memory?.troubles.containers.clear();
        this.#queue.add(uid);
      }
    }
  }

  async #watchRuntime(): Promise<void> {
    const { means, clock, log } = this.#options;
    const { signal } = this.#stop;
    let wait = RUNTIME_RETRY.initialMs;
    let wasAway = false;
    while (!signal.aborted) {
      try {
        this.#runtimeName = (await means.runtime.version(signal)).name;
        await this.#relist();
        if (wasAway) this.retryAll();
        wasAway = false;
        this.#reclaimer.later();
        wait = RUNTIME_RETRY.initialMs;
        for await (const { id, oom } of means.runtime.changes(signal)) {
          if (oom && id !== undefined) this.#ranOutOfMemory(id);
          await this.#relist();
        }
        await clock.sleep(POLL_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.debug({ err: error }, "the container runtime does not answer");
        wasAway = true;
        await clock.sleep(wait, signal).catch(() => {});
        wait = Math.min(RUNTIME_RETRY.maxMs, wait * 2);
      }
    }
  }

  /** Takes the word for it, and has the pod looked at whose status may say another cause by now. */
  #ranOutOfMemory(id: string): void {
    this.#oomed.add(id);
    for (const [uid, { containers }] of this.#view.last)
      if (containers.some((one) => one.id === id)) this.#queue.add(uid);
    for (const [uid] of this.#options.cache.pods()) {
      const known = Object.values(this.#options.cache.facts(uid)?.containers ?? {});
      if (known.some(({ ended, last }) => ended?.id === id || last?.id === id)) this.#queue.add(uid);
    }
  }

  async #resync(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    try {
      for (;;) {
        await clock.sleep(RESYNC_MS, signal);
        this.lookAtAll();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Looks at the pods that changed since this was done before. */
  async #relist(): Promise<void> {
    for (const uid of await this.#view.news()) this.#queue.add(uid);
    this.#looker.forgetAllBut(this.#view.last);
  }

  async #runPod(uid: string, queueSignal: AbortSignal): Promise<Requeue | void> {
    const memory = this.#memoryOf(uid);
    const run = new AbortController();
    memory.run = run;
    const signal = AbortSignal.any([queueSignal, run.signal]);
    try {
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const result = await this.#round(uid, memory, signal);
        if (result !== "again") return result;
      }
      return { requeueAfterMs: 1_000 };
    } catch (error) {
      // Something newer is wanted: its look is queued already.
      if (run.signal.aborted && !queueSignal.aborted) return;
      throw error;
    } finally {
      memory.run = undefined;
    }
  }

  /** One look, one plan, and its steps. */
  async #round(uid: string, memory: PodMemory, signal: AbortSignal): Promise<Requeue | void | "again"> {
    const { cache, clock, bootId } = this.#options;
    const listed = (await this.#view.take()).get(uid);
    const cached = cache.pod(uid) ?? this.#orphan(uid, listed);
    if (!cached) {
      await this.#forget(uid);
      return;
    }
    memory.basis = basisOf(cached);
    const { pod } = cached;
    const now = { wallMs: clock.now(), monotonicMs: clock.monotonic(), bootId };
    const prepared = memory.prepared !== "" && memory.prepared === preparationOf(cached, cache);
    const observed = await this.#looker.look(pod, listed, prepared, signal);
    const before = this.#records.of(pod, now);
    const facts = absorb(before, pod, observed, now);
    const gaps = gapsOf(pod);
    const held = pod.spec?.hostNetwork ? "" : (this.#options.networkMissing?.() ?? "");
    const wanted: WantedPod = { pod, deletion: deletionOf(cached), refused: gaps.refused, held };
    const tell = (text: EventText): void => this.#tell(pod, text);
    const images = new Map((pod.spec?.containers ?? []).map(({ name, image = "" }) => [name, image]));
    for (const text of settlePulls(memory.troubles, (name) => images.get(name) ?? "", now.monotonicMs)) tell(text);

    const steps = planPod({ wanted, observed, facts, troubles: memory.troubles, now });
    const acts = steps.filter((step) => step.do !== "wait");
    if (steps.length > acts.length) for (const text of crashEvents(facts, memory.told, now.wallMs)) tell(text);
    const isTold = facts.told || (gaps.refused === "" && gaps.ignored.length === 0);
    if (!isTold) for (const text of gapEvents(gaps)) tell(text);
    const isFirst = before.status === undefined;
    const isQuick = !acts.some((step) => step.do === "pull");
    // A pod that is about to start says so when it has; one that must wait for its images says so before.
    const isReported = acts.length === 0 || !isFirst || !isQuick || wanted.refused !== "";
    const circumstances = { wanted, observed, troubles: memory.troubles, now };
    await this.#records.save(isTold ? facts : { ...facts, told: true }, circumstances, isReported);

    memory.isSeen = true;
    if (acts.length === 0) {
      if (cached.leaving) await this.#forget(uid);
      const wait = steps.find((step) => step.do === "wait");
      return wait ? { requeueAfterMs: wait.ms } : undefined;
    }
    const failed = await this.#act(acts, { cached, observed, memory, signal, tell });
    if (!failed) return "again";
    const isEnding = wanted.deletion !== undefined || facts.final !== undefined;
    for (const step of failed.stuck) await this.#endByForce(step, { pod, observed, isEnding, tell, signal });
    // Looked at once more, now, so that what is reported is what failed.
    await this.#afterFailure(uid, wanted, memory, signal);
    const isPull = [...memory.troubles.containers.values()].some((one) => one.reason === "ErrImagePull");
    return { requeueAfterMs: isPull ? PULL_FAILURE_SHOWN_MS : 500 };
  }

  /** Carries the steps out in turn. When one failed, and so a part of the plan, resolves with those that the runtime cannot do. */
  async #act(
    acts: Step[],
    {
      cached,
      observed,
      memory,
      signal,
      tell,
    }: {
      cached: CachedPod;
      observed: ObservedPod;
      memory: PodMemory;
      signal: AbortSignal;
      tell: (text: EventText) => void;
    },
  ): Promise<{ stuck: Step[] } | undefined> {
    const { cache, clock, log, means } = this.#options;
    const uid = cached.pod.metadata.uid ?? "";
    const ready = observed.sandboxes.find((sandbox) => sandbox.ready);
    const performance: Performance = {
      pod: cached.pod,
      observed,
      sandbox: ready,
      created: new Map(),
      record: tell,
    };
    const failedContainers = new Set<string>();
    const stuck: Step[] = [];
    const preparation = preparationOf(cached, cache);
    for (const step of acts) {
      const container = containerOf(step);
      if (container !== undefined && failedContainers.has(container)) continue;
      signal.throwIfAborted();
      log.debug({ pod: this.#nameOf(uid), step }, "performing step");
      try {
        if (step.do === "finish") {
          if (cached.leaving) await this.#forget(uid);
          else await this.#records.finish(cached.pod);
          continue;
        }
        if (step.do === "intend") {
          await this.#records.intend(uid, step);
          continue;
        }
        if (step.do === "wait") continue;
        if (step.do === "run-sandbox") await this.#reclaimer.making(() => perform(step, performance, means, signal));
        else await perform(step, performance, means, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isRuntimeAway(error)) throw error;
        log.info({ pod: this.#nameOf(uid), step, err: error }, "a step failed");
        for (const text of blame(step, error, memory.troubles, clock.monotonic())) tell(text);
        if (isStuck(step, error)) stuck.push(step);
        if (container === undefined) return { stuck };
        failedContainers.add(container);
        continue;
      }
      if (step.do === "volumes") memory.prepared = preparation;
      if (step.do === "teardown") memory.prepared = "";
      if (step.do === "run-sandbox" || step.do === "volumes" || step.do === "resolv-conf")
        memory.troubles.pod = undefined;
      if (step.do === "start" && container !== undefined) memory.troubles.containers.delete(container);
    }
    return failedContainers.size > 0 ? { stuck } : undefined;
  }

  /** What the runtime could not end is ended without it; that it is, the next look shows. */
  async #endByForce(
    step: Step,
    circumstances: {
      pod: Pod;
      observed: ObservedPod;
      isEnding: boolean;
      tell: (text: EventText) => void;
      signal: AbortSignal;
    },
  ): Promise<void> {
    const { log, endByForce } = this.#options;
    const { pod, observed, isEnding, tell, signal } = circumstances;
    // A pod that goes on keeps its sandbox, though one of its containers does not stop.
    if (!endByForce || (step.do === "stop" && !isEnding)) return;
    const container = containerOf(step);
    const message =
      container === undefined
        ? "The container runtime cannot end the pod: its processes are ended by force"
        : `The container runtime has lost sight of container ${container}, which runs on: it is ended by force`;
    tell({ type: "Warning", reason: "Killing", message, container });
    const fields = { pod: `${pod.metadata.namespace ?? ""}/${pod.metadata.name ?? ""}`, step };
    log.warn(fields, "ending by force what the runtime cannot end");
    try {
      if (step.do === "remove") await endByForce.container(step.id, signal);
      else if (step.do === "remove-sandbox" || step.do === "stop-sandbox") await endByForce.sandbox(step.id);
      else for (const { id } of observed.sandboxes) await endByForce.sandbox(id);
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ ...fields, err: error }, "cannot end by force what the runtime cannot end");
    }
  }

  async #afterFailure(uid: string, wanted: WantedPod, memory: PodMemory, signal: AbortSignal): Promise<void> {
    const { clock, bootId } = this.#options;
    const { pod } = wanted;
    const listed = (await this.#view.take()).get(uid);
    const observed = await this.#looker.look(pod, listed, memory.prepared !== "", signal);
    const now = { wallMs: clock.now(), monotonicMs: clock.monotonic(), bootId };
    const facts = absorb(this.#records.of(pod, now), pod, observed, now);
    await this.#records.save(facts, { wanted, observed, troubles: memory.troubles, now }, true);
  }

  async #forget(uid: string): Promise<void> {
    await this.#records.forget(uid);
    this.#memory.delete(uid);
    this.#looker.forgetPod(uid);
    this.#queue.forget(uid);
  }

  /** A pod that runs here, or left its folder here, and that nobody wants: as one that leaves. */
  #orphan(uid: string, listed: RuntimePod | undefined): CachedPod | undefined {
    const { cache, means } = this.#options;
    if (!cache.complete) return undefined;
    if (!listed && !existsSync(podDir(means.paths, uid))) return undefined;
    const metadata = { uid, namespace: listed?.namespace ?? "unknown", name: listed?.name ?? "unknown" };
    const containers = [...new Set(listed?.containers.map((one) => one.name))].map((name) => ({ name }));
    return { pod: { metadata, spec: { containers } }, leaving: true, hash: "" };
  }

  #tell(pod: Pod, text: EventText): void {
    const { namespace = "", name = "", uid = "" } = pod.metadata;
    this.#options.events.record({ kind: "Pod", namespace, name, uid }, text);
  }

  #memoryOf(uid: string): PodMemory {
    let memory = this.#memory.get(uid);
    if (!memory) {
      memory = {
        troubles: noTroubles(),
        prepared: "",
        run: undefined,
        basis: "",
        isSeen: false,
        told: new Set(),
      };
      this.#memory.set(uid, memory);
    }
    return memory;
  }

  #nameOf(uid: string): string {
    const metadata = this.#options.cache.pod(uid)?.pod.metadata;
    return metadata ? `${metadata.namespace ?? ""}/${metadata.name ?? ""}` : uid;
  }
}

/** What was being done for a pod is no longer what is wanted. */
class SupersededError extends Error {
  override name = "SupersededError";
}
