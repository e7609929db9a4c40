import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyedLock } from "./keyed-lock.ts";

describe("KeyedLock", () => {
  it("runs tasks for one id one after the other, in their order, failures included", async () => {
    const lock = new KeyedLock();
    const log: string[] = [];
    const task = (name: string) => async (): Promise<void> => {
      log.push(`${name} begins`);
      await new Promise(setImmediate);
      log.push(`${name} ends`);
      if (name === "a") throw new Error("a failed");
    };
    const outcomes = await Promise.allSettled(["a", "b", "c"].map((name) => lock.run("id", task(name))));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["rejected", "fulfilled", "fulfilled"],
    );
    assert.deepEqual(log, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  });

  it("lets others pass", async () => {
    const lock = new KeyedLock();
    const held = Promise.withResolvers<void>();
    const first = lock.run("a", () => held.promise);
    assert.equal(await lock.run("b", async () => 1), 1);
    held.resolve();
    await first;
  });
});
