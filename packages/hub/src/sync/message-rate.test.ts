import assert from "node:assert/strict";
import { it } from "node:test";
import { silentLogger } from "@skerry/base";
import { FakeClock } from "@skerry/base/testing";
import { MessageRate } from "./message-rate.ts";

it("MessageRate takes a whole backlog, then one a second, each node for itself, and warns once", () => {
  const clock = new FakeClock();
  const warned: object[] = [];
  const rate = new MessageRate({ clock, log: { ...silentLogger, warn: (fields) => void warned.push(fields) } });
  for (let i = 0; i < 2000; i++) assert.ok(rate.admits("loud"));
  for (let i = 0; i < 100; i++) assert.ok(!rate.admits("loud"));
  assert.ok(rate.admits("quiet"));
  assert.deepEqual(warned, [{ node: "loud" }]);
  clock.advance(1000);
  assert.ok(rate.admits("loud"));
  assert.ok(!rate.admits("loud"));
  assert.equal(warned.length, 1);
});
