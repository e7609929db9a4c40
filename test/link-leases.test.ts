import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "@skerry/base";
import { eventually, FakeClock } from "@skerry/base/testing";
import { conflict, kinds } from "@skerry/machinery";
import type { Lease } from "@skerry/machinery/types";
import { Leases } from "../packages/hub/src/sessions/leases.ts";
import { TestApi } from "./link-world.ts";

const n1 = { node: "n1", uid: "u1" };

/** Leases over the real API, with every write of one held up or failed as the test says. */
class World implements AsyncDisposable {
  readonly api = new TestApi();
  readonly clock = new FakeClock();
  writes = 0;
  readonly warned: unknown[] = [];
  #leases: Leases | undefined;

  get leases(): Leases {
    if (!this.#leases) throw new Error("The world is not started");
    return this.#leases;
  }

  async start(beforeWrite: () => void | Promise<void>): Promise<this> {
    await this.api.start();
    this.api.beforeWrite = (kind) => {
      if (kind.kind !== "Lease") return undefined;
      this.writes++;
      return beforeWrite();
    };
    const log = { ...silentLogger, warn: (fields: { err?: unknown }) => void this.warned.push(fields.err) };
    this.#leases = new Leases({ client: this.api.client, clock: this.clock, random: () => 0.5, log });
    this.#leases.start();
    return this;
  }

  async renewTime(): Promise<string | undefined> {
    const { items } = await this.api.client.list<Lease>(kinds.Lease);
    return items.find(({ key }) => key.name === n1.node)?.decode().spec?.renewTime;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leases?.[Symbol.asyncDispose]();
    await this.api[Symbol.asyncDispose]();
  }
}

describe("Leases", () => {
  it("has one renewal of a node on the way, however often its link comes and goes under a slow API", async () => {
    const gate = Promise.withResolvers<void>();
    await using world = await new World().start(() => gate.promise);
    world.leases.keep(n1);
    await eventually(() => world.writes === 1);
    for (let i = 0; i < 100; i++) {
      world.leases.release("n1");
      world.leases.keep(n1);
      await new Promise(setImmediate);
    }
    assert.equal(world.writes, 1);
    gate.resolve();
    await eventually(() => world.writes === 2, { what: "the renewal of the last session" });
    const before = await eventually(() => world.renewTime());
    await eventually(async () => {
      world.clock.advance(1000);
      return (await world.renewTime()) !== before;
    });
  });

  it("leaves a lease that somebody else writes all the time until the next renewal", async () => {
    await using world = await new World().start(() => {
      if (world.warned.length < 2) throw conflict(kinds.Lease, "n1");
    });
    world.leases.keep(n1);
    await eventually(() => world.warned.length === 1);
    assert.equal(world.writes, 3);
    world.clock.advance(10_000);
    await eventually(() => world.warned.length === 2);
    assert.equal(world.writes, 6);
    world.clock.advance(10_000);
    await eventually(() => world.renewTime());
    assert.equal(world.writes, 7);
  });

  it("writes no lease of a node whose link is gone", async () => {
    await using world = await new World().start(() => {});
    world.leases.keep(n1);
    await eventually(() => world.renewTime());
    world.leases.release("n1");
    world.clock.advance(60_000);
    await new Promise(setImmediate);
    assert.equal(world.writes, 1);
  });
});
