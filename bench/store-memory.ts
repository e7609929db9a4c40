/**
 * A process of its own for `store.ts`: opens the store in the file of its first argument, creates as many pods as its second
 * says, and prints the bytes of memory that it then occupies.
 */
import { setTimeout } from "node:timers/promises";

import { createPod, openStore } from "./store.ts";

const [file = "", pods = "0"] = process.argv.slice(2);
const store = await openStore(file);
for (let n = 0; n < Number(pods); n++) await createPod(store, `pod-${n}`);
await setTimeout(500);
console.log(process.memoryUsage.rss());
await store[Symbol.asyncDispose]();
