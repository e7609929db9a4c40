import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { Agent, type MachineFacts } from "@skerry/agent";
import { FakeRuntime, newMachine, noCgroups, noMounts, type Machine } from "@skerry/agent/testing";
import type { Clock, Logger } from "@skerry/base";
import type { Cloud } from "@skerry/cli/cloud";
import { kinds } from "@skerry/machinery";
import type { Node } from "@skerry/machinery/types";
import { type FrameTransport } from "@skerry/wire";
import { memoryPair } from "@skerry/wire/testing";

export interface SimulatedEdgeOptions {
  name: string;
  dataDir: string;
  clock: Clock;
  random: () => number;
  log: Logger;
  /** The cloud, while it is up. */
  cloud: () => Cloud | undefined;
}

const GIB = 1024 ** 3;

/** One edge of a `World`: the product's agent over a fake runtime, which a test can kill, reboot and cut off. */
export class SimulatedEdge implements AsyncDisposable {
  readonly name: string;
  readonly #options: SimulatedEdgeOptions;
  /** Containers and their files: they outlive the agent, and in part a reboot. */
  readonly machine: Machine = newMachine();
  readonly #cuts = new Set<() => void>();
  #runtime: FakeRuntime | undefined;
  #agent: Agent | undefined;
  #uid = "";
  #bootId: string = randomUUID();
  #isCutOff = false;

  constructor(options: SimulatedEdgeOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get agent(): Agent {
    if (!this.#agent) throw new Error(`The agent of ${this.name} does not run`);
    return this.#agent;
  }

  get runtime(): FakeRuntime {
    if (!this.#runtime) throw new Error(`The agent of ${this.name} does not run`);
    return this.#runtime;
  }

  /** Makes its Node, as the hub does when a machine joins. */
  async join(): Promise<void> {
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: this.name } } as Node;
    const made = await this.#cloud().client().create(kinds.Node, node);
    this.#uid = made.decode().metadata.uid ?? "";
  }

  /** Starts the agent over what is on its disk and in its runtime. */
  async start(): Promise<void> {
    const { dataDir, clock, random, log, name } = this.#options;
    const runtime = new FakeRuntime({ clock, machine: this.machine, registry: true });
    this.#runtime = runtime;
    this.#agent = new Agent({
      dataDir,
      nodeName: name,
      runtime,
      cgroups: noCgroups,
      mounts: noMounts,
      readMachine: async () => this.#facts(),
      link: { dial: async () => this.#dial(), retry: { initialMs: 200, maxMs: 5_000 } },
      clock,
      random,
      log: log.child({ edge: name }),
    });
    await this.#agent.start();
  }

  /** Ends the agent alone. Its containers go on. */
  async stop(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.[Symbol.asyncDispose]();
    this.#runtime?.detach();
  }

  /** Power off and on: containers end; with their records removed, the runtime knows nothing of them. */
  async reboot(records: "kept" | "removed" = "kept"): Promise<void> {
    const runtime = this.runtime;
    await this.stop();
    runtime.reboot(records);
    this.#bootId = randomUUID();
    await this.start();
  }

  /** Everything that the agent kept is lost; containers, and what the cloud knows, are not. */
  async loseMemory(): Promise<void> {
    await this.stop();
    await rm(this.#options.dataDir, { recursive: true });
    await this.start();
  }

  /** Breaks the link, and keeps it from coming back until `mendLink`. */
  cutLink(): void {
    this.#isCutOff = true;
    for (const cut of this.#cuts) cut();
    this.#cuts.clear();
  }

  mendLink(): void {
    this.#isCutOff = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #cloud(): Cloud {
    const cloud = this.#options.cloud();
    if (!cloud) throw new Error("The cloud does not answer");
    return cloud;
  }

  #dial(): FrameTransport {
    if (this.#isCutOff) throw new Error("The network is cut");
    const cloud = this.#cloud();
    const pair = memoryPair({ clock: this.#options.clock, latencyMs: 5 });
    this.#cuts.add(() => pair.cut());
    cloud.hub.accept({ node: this.name, uid: this.#uid }, pair.b);
    return pair.a;
  }

  #facts(): MachineFacts {
    return {
      hostname: this.name,
      addresses: ["192.0.2.1"],
      cpus: 4,
      memoryBytes: 4 * GIB,
      memoryAvailableBytes: 3 * GIB,
      storageBytes: 64 * GIB,
      storageAvailableBytes: 48 * GIB,
      maxPids: 32_768,
      pids: 100,
      architecture: "amd64",
      kernel: "6.1.0",
      osImage: "Simulated Linux",
      machineId: path.basename(this.#options.dataDir),
      bootId: this.#bootId,
      dns: { servers: ["192.0.2.53"], ownServers: [], searches: [], options: [] },
      hosts: "127.0.0.1 localhost\n",
    };
  }
}
