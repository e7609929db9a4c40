import assert from "node:assert/strict";
import path from "node:path";
import { it } from "node:test";
import { namesIn } from "@skerry/base";
import type { Pod, PodStatus } from "@skerry/machinery/types";
import { RuntimeError } from "../runtime/runtime.ts";
import { deleted, EdgeFixture, pod } from "./edge-fixture.ts";

/** mulberry32: a small generator of uniform numbers, the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const SEEDS = 15;
const EVENTS = 30;
const YEARS_MS = 50 * 365 * 86_400_000;
const NAMES = ["red", "green", "blue"];

/** A world of three pod names in which anything happens in any order, and its rules. */
class World {
  readonly edge: EdgeFixture;
  readonly #random: () => number;
  readonly #wanted = new Map<string, Pod>();
  /** Deleted by the cloud, which waits to hear that they are gone. */
  readonly #leaving = new Map<string, Pod>();
  /** What the cloud was last told of a pod. */
  readonly #records = new Map<string, PodStatus>();
  /** Pods that run at most once, as far as the edge's memory reaches back to their beginning. */
  readonly #once = new Set<string>();
  /** How often a pod had been started that was known to have ended when the edge lost its memory. */
  readonly #ended = new Map<string, number>();
  readonly history: string[] = [];

  constructor(edge: EdgeFixture, random: () => number) {
    this.edge = edge;
    this.#random = random;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }

  /** Something happens, and half the time the agent dies at one of the next calls that it makes of the runtime. */
  async happen(): Promise<void> {
    if (this.#random() < 0.5) {
      await this.#event();
      if (this.#random() < 0.5) await this.edge.settle();
    } else await this.#cutOff(Math.floor(this.#random() * 16));
    await this.#forgetGone();
  }

  async #event(): Promise<void> {
    const name = this.pick(NAMES);
    const wanted = this.#wanted.get(name);
    const what = this.pick([
      "create",
      "create",
      "delete",
      "image",
      "exit",
      "sandbox",
      "sandbox",
      "restart",
      "reboot",
      "memory",
      "clock",
      "away",
      "time",
    ]);
    this.history.push(`${what} ${name}`);
    switch (what) {
      case "create":
        if (!wanted && !this.#leaving.has(name)) await this.#put(name, this.#newPod(name));
        break;
      case "delete":
        if (wanted) {
          this.#wanted.delete(name);
          this.#leaving.set(name, deleted(wanted, 1));
          await this.edge.put(deleted(wanted, 1));
        }
        break;
      case "image":
        if (wanted) await this.#put(name, withImage(wanted, this.pick(["app:1", "app:2"])));
        break;
      case "exit":
        if (this.edge.runtime.isRunning(name, "main")) this.edge.runtime.exit(name, "main", this.pick([0, 1, 137]));
        break;
      case "sandbox":
        this.edge.runtime.killSandbox(name);
        break;
      case "restart":
        await this.edge.restart();
        break;
      case "reboot":
        await this.#reboot();
        break;
      case "memory":
        await this.#loseMemory();
        break;
      case "clock":
        this.edge.clock.jump(this.pick([-YEARS_MS, YEARS_MS, -3_600_000, 30_000]));
        break;
      case "away":
        this.edge.runtime.setAvailable(false);
        await this.edge.pass(3_000, 1_000);
        this.edge.runtime.setAvailable(true);
        break;
      case "time":
        await this.edge.pass(this.pick([1_000, 15_000]), 5_000);
        break;
    }
  }

  /** Lets everything come to rest, and compares the machine with what is wanted. */
  async check(): Promise<void> {
    await this.edge.pass(620_000, 62_000); // longer than any wait
    await this.#forgetGone();
    await this.edge.settle();
    assert.deepEqual(this.edge.machine.violations, []);
    for (const [uid, starts] of this.#ended) assert.equal(this.edge.machine.starts[`${uid}/main`] ?? 0, starts, uid);
    for (const uid of this.#once) assert.ok((this.edge.machine.starts[`${uid}/main`] ?? 0) <= 1, `${uid} ran twice`);
    const sandboxes = Object.values(this.edge.machine.sandboxes);
    for (const [name, wanted] of this.#wanted) {
      const facts = this.edge.cache.facts(wanted.metadata.uid ?? "");
      const own = sandboxes.filter((one) => one.spec.podUid === wanted.metadata.uid);
      if (facts?.final) {
        assert.deepEqual(own, [], `${name} has ended`);
        continue;
      }
      assert.equal(own.length, 1, `${name} has one sandbox`);
      assert.ok(this.edge.runtime.isRunning(name, "main"), `${name} runs`);
    }
    const uids = new Set([...this.#wanted.values()].map((one) => one.metadata.uid));
    for (const { spec } of sandboxes) assert.ok(uids.has(spec.podUid), `nobody wants the sandbox of ${spec.podName}`);
  }

  async end(): Promise<void> {
    for (const [name, wanted] of this.#wanted) {
      await this.edge.put(deleted(wanted, 1));
      this.#leaving.set(name, deleted(wanted, 1));
    }
    this.#wanted.clear();
    await this.edge.pass(120_000, 30_000);
    await this.#forgetGone();
    await this.edge.settle();
    assert.deepEqual(this.edge.machine.sandboxes, {});
    assert.deepEqual(this.edge.machine.containers, {});
    assert.deepEqual([...this.edge.cache.pods()], []);
    assert.deepEqual(this.edge.cache.rememberedUids(), []);
    assert.deepEqual(await namesIn(path.join(this.edge.folder, "pods")), []);
  }

  async #put(name: string, wanted: Pod): Promise<void> {
    this.#wanted.set(name, wanted);
    await this.edge.put(wanted);
  }

  #newPod(name: string): Pod {
    const ports = name === "red" ? { ports: [{ containerPort: 80, hostPort: 8080 }] } : {};
    const restartPolicy = this.pick(["Always", "OnFailure", "Never"]);
    const made = pod({ restartPolicy }, ports, name);
    if (restartPolicy === "Never") this.#once.add(uidOf(made));
    return made;
  }

  async #reboot(): Promise<void> {
    await this.edge.cutPower(this.pick(["kept", "removed"] as const));
    await this.edge.start();
  }

  /** The agent dies at one of the next calls, whichever; or the whole machine does, where that costs the most. */
  async #cutOff(calls: number): Promise<void> {
    const { runtime } = this.edge;
    const isPower = this.#random() < 0.4;
    const [name, moment] = [this.pick(["createContainer", "startContainer"]), this.pick(["before", "after"])];
    let left = calls;
    const died = Promise.withResolvers<void>();
    runtime.setHook((call, when) => {
      if (isPower ? call !== name || when !== moment : left-- > 0) return;
      died.resolve();
      throw new RuntimeError("Unavailable", "the agent is dead");
    });
    this.history.push(isPower ? `(the power fails ${moment} ${name})` : `(dies after ${calls} calls)`);
    await this.#event();
    await Promise.race([died.promise, this.edge.settle()]);
    if (isPower) await this.#reboot();
    else await this.edge.restart();
  }

  /** The agent's memory is lost, and the cloud tells it anew what is wanted, with what it had been told. */
  async #loseMemory(): Promise<void> {
    const { edge } = this;
    const told = [...this.#wanted.values(), ...this.#leaving.values()].map((one): Pod => {
      const status = edge.reported(one)?.status ?? this.#records.get(uidOf(one));
      if (status) this.#records.set(uidOf(one), status);
      if (status?.phase === "Succeeded" || status?.phase === "Failed") this.#ended.set(uidOf(one), this.#starts(one));
      return status ? { ...one, status } : one;
    });
    this.#once.clear();
    await edge.loseCache();
    await edge.start();
    for (const one of told) await edge.put(one);
    await edge.cache.inSync();
  }

  #starts(one: Pod): number {
    return this.edge.machine.starts[`${uidOf(one)}/main`] ?? 0;
  }

  /** As the cloud does: what was reported gone is dropped. */
  async #forgetGone(): Promise<void> {
    for (const [name, wanted] of this.#leaving) {
      if (!this.edge.reported(wanted)?.gone) continue;
      this.#leaving.delete(name);
      await this.edge.drop(wanted);
    }
  }
}

const uidOf = ({ metadata }: Pod): string => metadata.uid ?? "";

const withImage = (wanted: Pod, image: string): Pod => ({
  ...wanted,
  spec: { ...wanted.spec, containers: (wanted.spec?.containers ?? []).map((one) => ({ ...one, image })) },
});

it("PodLoop converges whatever happens, runs nothing twice and leaks nothing", async () => {
  const first = Math.floor(Math.random() * 2 ** 31);
  for (let seed = first; seed < first + SEEDS; seed++) {
    await using edge = await EdgeFixture.create({ registry: ["app:1", "app:2"] });
    await edge.start();
    await edge.cache.inSync();
    const world = new World(edge, generator(seed));
    try {
      for (let event = 0; event < EVENTS; event++) await world.happen();
      await world.check();
      await world.end();
    } catch (error) {
      throw new Error(`With seed ${seed}, after: ${world.history.join(", ")}`, { cause: error });
    }
  }
});
