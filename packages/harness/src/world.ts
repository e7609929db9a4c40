import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { silentLogger, type Logger } from "@skerry/base";
import { FakeClock } from "@skerry/base/testing";
import { Cloud } from "@skerry/cli/cloud";
import type { Client } from "@skerry/client";
import { MemoryLog } from "@skerry/store";
import { SimulatedEdge } from "./simulated-edge.ts";

export interface WorldOptions {
  /** How many edges there are from the start: `edge-0`, `edge-1`, … */
  edges?: number;
  /** Every random number comes from it, so that a run can be seen again. */
  seed?: number;
  log?: Logger;
}

/** How far the clock moves between two looks, in milliseconds: below every interval that matters. */
const STEP_MS = 50;
/** The same while something starts or stops. */
const START_STEP_MS = 2;
/** Turns of the event loop without which nothing waits any more: a chain of promises takes one for each file or worker that it asks. */
const QUIET_TURNS = 8;

/**
 * A whole cloud and its edges in one process, on a clock that the test moves: the product's own parts put together as in the product,
 * but for the disk (memory), the link's wire (memory, which can be cut) and the container runtime (a fake with a real one's rules).
 */
export class World implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly edges: SimulatedEdge[] = [];
  readonly #dir: string;
  readonly #log: Logger;
  readonly #random: () => number;
  /** What the cloud's disk holds: it outlives the cloud. */
  readonly #disk = new MemoryLog();
  #cloud: Cloud | undefined;

  private constructor(dir: string, { seed = 1, log = silentLogger }: WorldOptions) {
    this.#dir = dir;
    this.#log = log;
    this.#random = seededRandom(seed);
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    const world = new World(await mkdtemp(path.join(tmpdir(), "skerry-world-")), options);
    await world.startCloud();
    for (let i = 0; i < (options.edges ?? 1); i++) await world.addEdge(`edge-${i}`);
    return world;
  }

  /** The API as an administrator. */
  get client(): Client {
    return this.cloud.client();
  }

  get cloud(): Cloud {
    if (!this.#cloud) throw new Error("The cloud of this world is stopped");
    return this.#cloud;
  }

  get isCloudUp(): boolean {
    return this.#cloud !== undefined;
  }

  async startCloud(): Promise<void> {
    const cloud = new Cloud({
      dir: path.join(this.#dir, "cloud"),
      commitLog: this.#disk,
      apiPort: 0,
      linkPort: 0,
      host: "127.0.0.1",
      clusterCidr: "10.42.0.0/16",
      version: "test",
      log: this.#log,
      clock: this.clock,
      random: this.#random,
    });
    await this.#whileTimePasses(cloud.start());
    this.#cloud = cloud;
  }

  /** Stops the cloud; what it has acknowledged is kept. */
  async stopCloud(): Promise<void> {
    const cloud = this.#cloud;
    this.#cloud = undefined;
    if (cloud) await this.#whileTimePasses(cloud[Symbol.asyncDispose]());
  }

  /** Joins another edge and starts its agent. */
  async addEdge(name: string): Promise<SimulatedEdge> {
    const edge = new SimulatedEdge({
      name,
      dataDir: path.join(this.#dir, name),
      clock: this.clock,
      random: this.#random,
      log: this.#log,
      cloud: () => this.#cloud,
    });
    this.edges.push(edge);
    await this.#whileTimePasses(edge.join());
    await this.#whileTimePasses(edge.start());
    return edge;
  }

  /** Lets so much time pass, in small steps, everybody doing what falls due. */
  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.clock.advance(Math.min(STEP_MS, left));
      await settle();
    }
  }

  /** Lets time pass until `check` answers with something; fails after `withinMs` of the world's time with what it waited for. */
  async until<T>(
    what: string,
    check: () => T | undefined | false | Promise<T | undefined | false>,
    withinMs = 120_000,
  ): Promise<T> {
    const deadline = this.clock.monotonic() + withinMs;
    let failure: unknown;
    for (;;) {
      try {
        const found = await check();
        if (found !== undefined && found !== false) return found;
        failure = undefined;
      } catch (error) {
        failure = error;
      }
      if (this.clock.monotonic() >= deadline)
        throw new Error(`After ${withinMs} ms of its time the world has not come to: ${what}`, { cause: failure });
      await this.advance(STEP_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const edge of this.edges) await this.#whileTimePasses(edge[Symbol.asyncDispose]());
    await this.stopCloud();
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** Awaits what itself waits for time to pass. */
  async #whileTimePasses<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = work.finally(() => (isDone = true));
    done.catch(() => {}); // told to whoever awaits it below
    while (!isDone) {
      // Files and sockets take real time: the world's clock does not race ahead of them.
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (!isDone) this.clock.advance(START_STEP_MS);
    }
    return done;
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < QUIET_TURNS; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
