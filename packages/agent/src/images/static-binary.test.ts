import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { isStaticBinary } from "./static-binary.ts";

it("isStaticBinary() tells a program that needs a dynamic linker from one that does not, and both from a script", async () => {
  assert.equal(isStaticBinary(await readFile("/bin/busybox")), true);
  assert.equal(isStaticBinary(await readFile("/bin/sh")), false);
  assert.equal(isStaticBinary(Buffer.from("#!/bin/sh\n".padEnd(100))), false);
});
