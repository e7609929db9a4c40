import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "@skerry/base";
import { YamlReader } from "./yaml-reader.ts";

const never = new AbortController().signal;
const keys = (count: number): string => Array.from({ length: count }, (_, n) => `key${n}: value\n`).join("");

describe("YamlReader", () => {
  it("reads short and long texts alike, by the rules of YAML 1.1", async () => {
    await using reader = new YamlReader(systemClock);
    for (const padding of ["", `# ${"x".repeat(10_000)}\n`]) {
      const text = `${padding}a: yes\nb: 010\nc: 2001-01-01\nd: [1, two]\na: no\n"__proto__": 1\n`;
      const { value, problems } = await reader.read(text, never);
      assert.equal(JSON.stringify(value), '{"a":false,"b":8,"c":"2001-01-01","d":[1,"two"],"__proto__":1}');
      assert.deepEqual(problems, [`line ${padding === "" ? 5 : 6}: key "a" already set in map`]);
      await assert.rejects(reader.read(`${padding}a: [`, never), /Cannot read YAML: line \d+: /);
    }
  });

  it("refuses what nests or refers without end, and goes on", async () => {
    await using reader = new YamlReader(systemClock);
    const bomb = `a: &a [1]\nb: &b [${"*a,".repeat(50)}]\nc: [${"*b,".repeat(50)}]`;
    const texts = ["[".repeat(4_000), "[".repeat(50_000), `${bomb}\n# ${"x".repeat(10_000)}`];
    for (const text of texts) await assert.rejects(reader.read(text, never), { reason: "BadRequest" });
    assert.deepEqual((await reader.read(keys(500), never)).problems, []);
  });

  it("keeps the event loop free, and ends what takes too long", async () => {
    await using reader = new YamlReader(systemClock, { patienceMs: 2_000 });
    const text = keys(200_000);
    let turns = 0;
    const turning = setInterval(() => turns++, 1);
    await assert.rejects(reader.read(text, never), /takes longer than 2 s; send it as JSON/);
    clearInterval(turning);
    assert.ok(turns > 20, `${turns} turns of the event loop`);
    assert.equal(Object.keys((await reader.read(keys(500), never)).value as object).length, 500);
  });

  it("lets only so many wait, and forgets who does not wait any more", async () => {
    await using reader = new YamlReader(systemClock);
    const gone = new AbortController();
    const text = keys(500);
    const first = reader.read(text, never);
    const left = reader.read(text, gone.signal);
    gone.abort(new Error("gone"));
    const others = Promise.allSettled(Array.from({ length: 20 }, () => reader.read(text, never)));
    await assert.rejects(left, /gone/);
    await first;
    const outcomes = await others;
    assert.ok(
      outcomes.some((each) => each.status === "rejected" && /wait to be read; send JSON/.test(String(each.reason))),
    );
    assert.ok(outcomes.some(({ status }) => status === "fulfilled"));
  });
});
