/**
 * The process that `kill.test.ts` kills: writes as fast as it can to the store named by its arguments and says of each write and
 * each event, once they are known to it, a line in a file. A line is out before anything else happens.
 */
import { openSync, writeSync } from "node:fs";

import { SqliteLog, Store } from "./index.ts";
import { encodeThing, PODS } from "./things.ts";

const LEASES = "leases.coordination.k8s.io";
const [file = "", round = "0", report = ""] = process.argv.slice(2);
const output = openSync(report, "a");
const store = new Store({ log: new SqliteLog({ file }), volatile: [LEASES], flushEveryMs: 20 });
await store.start();

const say = (...words: (string | number)[]): void => void writeSync(output, `${words.join(" ")}\n`);
say("start", store.revision);

async function watch(): Promise<void> {
  const { signal } = new AbortController();
  for await (const event of store.watch(PODS, { since: store.revision, signal })) say("event", event.revision);
}

async function write(resource: string, name: string, word: string): Promise<void> {
  const key = { namespace: "a", name };
  for (let turn = 0; ; turn++) {
    const value = Number(round) * 1_000_000 + turn;
    const expect = Number(store.get(resource, key)?.revision ?? 0);
    const gone = expect > 0 && turn % 10 === 9;
    const encode = encodeThing("a", name, value);
    const written = await store.write({ resource, key, expect, encode, delete: gone });
    say(word, name, written.revision, gone ? "gone" : value);
    // Volatile writes are done at once; the others must get their turn.
    if (resource === LEASES) await new Promise(setImmediate);
  }
}

void watch();
for (let n = 0; n < 8; n++) void write(PODS, `n${n}`, "pod");
for (let n = 0; n < 2; n++) void write(LEASES, `l${n}`, "lease");
