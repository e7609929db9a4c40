/** A daemon that logs so many numbered lines, in bursts, and keeps its log small: FILE LINES MAX-BYTES. */
import { setImmediate } from "node:timers/promises";
import { createLogger } from "@skerry/base";

const [file = "", lines, maxBytes] = process.argv.slice(2);
const log = createLogger({ file, limits: { maxBytes: Number(maxBytes), maxFiles: 3 } });
for (let n = 0; n < Number(lines); n++) {
  log.info({ n }, "line");
  if (n % 7 === 0) await setImmediate();
}
