import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom } from "@skerry/harness";
import { LeaderElection, type Client, type LeaderElectionOptions } from "@skerry/client";
import { kinds, serviceUnavailable } from "@skerry/machinery";
import type { Lease } from "@skerry/machinery/types";
import { registryWorld, type RegistryWorld } from "./registry-world.ts";

const LEASE = { namespace: "default", name: "the-lead" };
const STEP_MS = 100;

/** One candidate, its own view of the API, and whether it does the work. */
class Candidate implements AsyncDisposable {
  readonly election: LeaderElection;
  isWorking = false;
  isCut = false;
  /** What aborted the work, each time. */
  readonly ends: string[] = [];

  constructor(world: RegistryWorld, identity: string, more: Partial<LeaderElectionOptions> = {}) {
    const cable = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
      return (...args: A): Promise<R> => (this.isCut ? Promise.reject(serviceUnavailable("cut")) : call(...args));
    };
    const { client } = world;
    this.election = new LeaderElection({
      client: {
        ...client,
        get: cable(client.get.bind(client)) as Client["get"],
        create: cable(client.create.bind(client)) as Client["create"],
        update: cable(client.update.bind(client)) as Client["update"],
      },
      lease: LEASE,
      identity,
      lead: (signal) => this.#work(signal),
      clock: world.clock,
      random: () => 0,
      ...more,
    });
    this.election.start();
  }

  async #work(signal: AbortSignal): Promise<void> {
    this.isWorking = true;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.ends.push((signal.reason as Error).message);
        this.isWorking = false;
        resolve();
      };
      if (signal.aborted) end();
      else signal.addEventListener("abort", end, { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.election[Symbol.asyncDispose]();
  }
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 6; i++) await new Promise((resolve) => setImmediate(resolve));
};

async function pass(world: RegistryWorld, ms: number, look: () => void = () => undefined): Promise<void> {
  await settle();
  for (let left = ms; left > 0; left -= STEP_MS) {
    world.clock.advance(STEP_MS);
    await settle();
    look();
  }
}

const leaseOf = async (world: RegistryWorld): Promise<Lease> => (await world.client.get(kinds.Lease, LEASE)).decode();

describe("LeaderElection", () => {
  it("lets one lead, and writes down who", async () => {
    await using world = await registryWorld();
    await using a = new Candidate(world, "a");
    await pass(world, 500);
    await using b = new Candidate(world, "b");
    await pass(world, 60_000, () => assert.equal(b.isWorking, false));
    assert.deepEqual([a.isWorking, a.election.isLeader, a.election.holder, b.election.holder], [true, true, "a", "a"]);
    const { spec } = await leaseOf(world);
    assert.deepEqual([spec?.holderIdentity, spec?.leaseDurationSeconds, spec?.leaseTransitions], ["a", 15, 0]);
    assert.match(spec?.renewTime ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.ok(Date.parse(spec?.renewTime ?? "") > Date.parse(spec?.acquireTime ?? ""));
  });

  it("hands over at once when the leader leaves in order", async () => {
    await using world = await registryWorld();
    const a = new Candidate(world, "a");
    await pass(world, 500);
    await using b = new Candidate(world, "b");
    await pass(world, 5_000);
    await a[Symbol.asyncDispose]();
    assert.deepEqual([a.isWorking, a.ends], [false, ["The election is over"]]);
    await pass(world, 2_500);
    assert.equal(b.isWorking, true);
    assert.equal((await leaseOf(world)).spec?.leaseTransitions, 1);
  });

  it("stops a leader that is cut off before another begins, and does not let it lead again beside that one", async () => {
    await using world = await registryWorld();
    await using a = new Candidate(world, "a");
    await pass(world, 500);
    await using b = new Candidate(world, "b");
    await pass(world, 5_000);
    a.isCut = true;
    let stoppedAt = 0;
    let begunAt = 0;
    await pass(world, 30_000, () => {
      assert.ok(!(a.isWorking && b.isWorking), "two lead at once");
      if (!a.isWorking && stoppedAt === 0) stoppedAt = world.clock.monotonic();
      if (b.isWorking && begunAt === 0) begunAt = world.clock.monotonic();
    });
    assert.deepEqual(a.ends, ["The lease was not renewed for 10000 ms"]);
    assert.ok(stoppedAt > 0 && begunAt - stoppedAt >= 4_000, `stopped at ${stoppedAt}, begun at ${begunAt}`);
    a.isCut = false;
    await pass(world, 30_000, () => assert.equal(a.isWorking, false));
    assert.equal(a.election.holder, "b");
  });

  it("doesn't mind that wall clocks jump", async () => {
    await using world = await registryWorld();
    await using a = new Candidate(world, "a");
    await pass(world, 500);
    await using b = new Candidate(world, "b");
    for (const jump of [86_400_000, -172_800_000]) {
      world.clock.jump(jump);
      await pass(world, 20_000, () => assert.deepEqual([a.isWorking, b.isWorking], [true, false]));
    }
  });

  it("stops as soon as it sees another's name in the lease", async () => {
    await using world = await registryWorld();
    await using a = new Candidate(world, "a");
    await pass(world, 500);
    const body = { spec: { holderIdentity: "thief" } };
    await world.client.patch(kinds.Lease, LEASE, { type: "merge-patch+json", body });
    await pass(world, 2_500);
    assert.deepEqual([a.isWorking, a.ends], [false, ["The lease is held by thief"]]);
  });

  it("lets others lead when the work ends by itself or fails", async () => {
    await using world = await registryWorld();
    let runs = 0;
    const lead = async (): Promise<void> => {
      runs += 1;
      if (runs === 2) throw new Error("the work failed");
    };
    await using a = new Candidate(world, "a", { lead });
    await pass(world, 10_000);
    assert.ok(runs >= 3, `${runs} runs`);
    assert.equal(a.election.isLeader, false);
    assert.equal((await leaseOf(world)).spec?.holderIdentity, undefined);
  });

  it("never has two leaders, and always gets one again, whoever is cut off and when", async () => {
    const random = seededRandom(7);
    await using world = await registryWorld();
    await using stack = new AsyncDisposableStack();
    const all = ["a", "b", "c"].map((name) => stack.use(new Candidate(world, name, { random })));
    const leaders = new Set<Candidate>();
    for (let round = 0; round < 60; round++) {
      for (const each of all) each.isCut = random() < 0.4;
      await pass(world, 500 + Math.trunc(random() * 40) * 500, () => {
        const working = all.filter((each) => each.isWorking);
        assert.ok(working.length <= 1, `round ${round}: ${working.length} lead`);
        for (const each of working) leaders.add(each);
      });
    }
    for (const each of all) each.isCut = false;
    await pass(world, 20_000);
    assert.equal(all.filter((each) => each.isWorking).length, 1);
    assert.equal(leaders.size, 3);
  });

  it("refuses durations under which two could lead", async () => {
    await using world = await registryWorld();
    const options = { client: world.client, lease: LEASE, identity: "a", lead: async () => {} };
    assert.throws(() => new LeaderElection({ ...options, renewDeadlineMs: 15_000 }), /Cannot elect leaders/);
    assert.throws(() => new LeaderElection({ ...options, retryMs: 10_000 }), RangeError);
  });
});
