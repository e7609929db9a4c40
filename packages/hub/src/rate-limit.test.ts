import assert from "node:assert/strict";
import { it } from "node:test";
import { FakeClock } from "@skerry/base/testing";
import { RateLimit } from "./rate-limit.ts";

it("RateLimit allows a burst, then as many as time gives back, each source for itself", () => {
  const clock = new FakeClock();
  const limit = new RateLimit({ burst: 3, perSecond: 0.5, clock });
  for (let i = 0; i < 3; i++) assert.equal(limit.take("a"), 0);
  assert.equal(limit.take("a"), 2000);
  assert.equal(limit.take("b"), 0);
  clock.advance(1000);
  assert.equal(limit.take("a"), 1000);
  clock.advance(1000);
  assert.equal(limit.take("a"), 0);
  assert.equal(limit.take("a"), 2000);
});

it("RateLimit remembers a bounded number of sources", () => {
  const clock = new FakeClock();
  const limit = new RateLimit({ burst: 1, perSecond: 0.001, maxSources: 2, clock });
  for (const source of ["a", "b", "c"]) assert.equal(limit.take(source), 0);
  assert.ok(limit.take("c") > 0);
  assert.equal(limit.take("a"), 0);
});
