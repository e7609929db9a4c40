import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

import { eventually } from "@skerry/base/testing";

import { SqliteLog, Store } from "./index.ts";
import { PODS, take, valueOf } from "./things.ts";

const LEASES = "leases.coordination.k8s.io";
const CHILD = fileURLToPath(new URL("./kill.child.ts", import.meta.url));

/** Rounds of killing; more for a longer look. */
const ROUNDS = Number(process.env["SKERRY_KILL_ROUNDS"] ?? 5);

/** Uniform numbers in [0, 1) that a seed repeats (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Runs the child until it has said some bytes, and kills it. Returns its whole lines. */
async function runAndKill(file: string, round: number, bytes: number): Promise<string[][]> {
  const report = `${file}.report${round}`;
  const child = spawn(process.execPath, [CHILD, file, String(round), report], { stdio: "inherit" });
  const exited = once(child, "exit");
  await eventually(() => existsSync(report) && statSync(report).size >= bytes, { everyMs: 1, what: "a child at work" });
  child.kill("SIGKILL");
  assert.deepEqual(await exited, [null, "SIGKILL"]);
  return readFileSync(report, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split(" "));
}

it("kill -9 under load loses no acknowledged write, reuses no revision, and published nothing that is not there", async (context) => {
  const seed = Number(process.env["SKERRY_SEED"] ?? Date.now() % 2 ** 31);
  context.diagnostic(`SKERRY_SEED=${seed}`);
  const random = randomFrom(seed);
  const folder = await mkdtemp(path.join(tmpdir(), "skerry-kill-"));
  const file = path.join(folder, "store.db");
  try {
    /** What is known of each pod: the newest acknowledged write. */
    const pods = new Map<string, { revision: number; value: string }>();
    const acknowledged: number[] = [];
    let highest = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const lines = await runAndKill(file, round, 20 + Math.floor(random() * 60_000));
      const before = highest;
      const given = new Set<number>();
      const events: number[] = [];
      for (const [word, ...rest] of lines) {
        if (word === "start") {
          assert.ok(Number(rest[0]) >= before, `round ${round}: starts at ${rest[0]}, after ${before} was given out`);
          continue;
        }
        const revision = Number(word === "event" ? rest[0] : rest[1]);
        assert.ok(revision > before, `round ${round}: ${word} ${rest.join(" ")} is not above ${before}`);
        highest = Math.max(highest, revision);
        if (word === "event") {
          events.push(revision);
          continue;
        }
        assert.ok(!given.has(revision), `round ${round}: revision ${revision} was given out twice`);
        given.add(revision);
        if (word !== "pod") continue;
        acknowledged.push(revision);
        pods.set(rest[0] ?? "", { revision, value: rest[2] ?? "" });
      }
      assert.deepEqual(
        events,
        events.toSorted((a, b) => a - b),
      );

      const store = new Store({ log: new SqliteLog({ file }), volatile: [LEASES] });
      await store.start();
      assert.ok(store.revision >= highest, `round ${round}: revision ${store.revision} is below ${highest}`);
      highest = store.revision;
      for (const [name, { revision, value }] of pods) {
        const object = store.get(PODS, { namespace: "a", name });
        const at = Number(object?.revision ?? 0);
        if (at === revision) assert.equal(String(valueOf(object)), value);
        // A later write may have been committed and killed before it could be acknowledged.
        else if (value !== "gone" || object)
          assert.ok(at > revision || !object, `round ${round}: ${name} is at ${at}, not ${revision}`);
      }
      const { signal } = new AbortController();
      const newest = Math.max(0, ...acknowledged, ...events);
      const log: number[] = [];
      const history = store.watch(PODS, { since: 0, signal });
      while ((log.at(-1) ?? 0) < newest) {
        const [event] = await take(history, 1);
        assert.ok(event);
        log.push(event.revision);
      }
      const kept = new Set(log);
      assert.equal(kept.size, log.length);
      for (const revision of [...acknowledged, ...events])
        assert.ok(kept.has(revision), `round ${round}: ${revision} is lost`);
      // Closed or just left, as chance will have it: both must be a good start for the next round.
      await store[Symbol.asyncDispose]();
      highest = Math.max(highest, store.revision);
    }
    assert.ok(acknowledged.length > 0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
