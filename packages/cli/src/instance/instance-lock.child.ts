import { lockInstance } from "./instance-lock.ts";
import { layoutOf } from "./layout.ts";

/** Holds the lock of the instance in a folder until it is ended. */
const [dataDir = "", place = ""] = process.argv.slice(2);
using _ = lockInstance(layoutOf(dataDir), "up", place);
console.log("held");
await process.stdin.toArray();
