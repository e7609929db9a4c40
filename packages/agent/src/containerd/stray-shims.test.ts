import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProcessId } from "@skerry/base";
import type { Shim } from "./leftovers.ts";
import { StrayShims } from "./stray-shims.ts";

const shim: Shim = { pid: 7, startTime: "70", sandboxId: "s" };

/** A machine on which `shim` runs that nobody knows. */
class Machine {
  server: ProcessId | undefined = { pid: 1, startTime: "10" };
  shims = [shim];
  age = 100;
  listed = new Set<string>();
  records = new Set<string>();
  whileListing = (): void => {};
  readonly strays = new StrayShims({
    server: () => this.server,
    shims: async () => [...this.shims],
    ageMs: async () => this.age,
    listed: async () => {
      const answer = new Set(this.listed);
      this.whileListing();
      return answer;
    },
    hasRecord: async (id) => this.records.has(id),
  });

  look(): Promise<Shim[]> {
    return this.strays.look(60, AbortSignal.timeout(5_000));
  }
}

describe("StrayShims", () => {
  it("finds a shim that nobody knows at the second look, and not before", async () => {
    const machine = new Machine();
    assert.deepEqual(await machine.look(), []);
    assert.deepEqual(await machine.look(), [shim]);
  });

  it("spares one that CRI lists, that containerd has a record of, or that is young", async () => {
    for (const change of [
      (machine: Machine) => machine.listed.add("s"),
      // A sandbox that is being made, or that CRI could not load in time.
      (machine: Machine) => machine.records.add("s"),
      (machine: Machine) => (machine.age = 59),
    ]) {
      const machine = new Machine();
      change(machine);
      for (let n = 0; n < 3; n++) assert.deepEqual(await machine.look(), []);
    }
  });

  it("does not take the shim of a sandbox that is finished while it looks", async () => {
    const machine = new Machine();
    await machine.look();
    machine.whileListing = () => machine.records.add("s");
    assert.deepEqual(await machine.look(), []);
  });

  it("begins anew with another containerd, and one that ends while it is asked says nothing", async () => {
    const machine = new Machine();
    await machine.look();
    machine.server = { pid: 2, startTime: "20" };
    assert.deepEqual(await machine.look(), []);
    machine.whileListing = () => (machine.server = { pid: 3, startTime: "30" });
    assert.deepEqual(await machine.look(), []);
    machine.whileListing = () => {};
    assert.deepEqual(await machine.look(), []);
    assert.deepEqual(await machine.look(), [shim]);
    machine.server = undefined;
    assert.deepEqual(await machine.look(), []);
  });

  it("begins anew after a look that failed, and for another process of the same number", async () => {
    const machine = new Machine();
    await machine.look();
    machine.whileListing = () => {
      throw new Error("containerd does not answer");
    };
    await assert.rejects(machine.look());
    machine.whileListing = () => {};
    assert.deepEqual(await machine.look(), []);
    machine.shims = [{ ...shim, startTime: "71" }];
    assert.deepEqual(await machine.look(), []);
  });
});
