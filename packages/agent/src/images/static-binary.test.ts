import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { isStaticBinary } from "./static-binary.ts";

it("isStaticBinary() tells a program that needs a dynamic linker from one that does not, and both from a script", async () => {
  const program = await readFile(process.execPath);
  assert.equal(isStaticBinary(program), false);
  assert.equal(isStaticBinary(withoutInterpreter(program)), true);
  assert.equal(isStaticBinary(Buffer.from("#!/bin/sh\n".padEnd(100))), false);
});

/** The same 64-bit program whose table (elf(5)) has nothing where it named its dynamic linker. */
function withoutInterpreter(program: Buffer): Buffer {
  const [PT_NULL, PT_INTERP] = [0, 3];
  const entries = program.readUInt16LE(56);
  for (let n = 0; n < entries; n++) {
    const at = Number(program.readBigUInt64LE(32)) + n * program.readUInt16LE(54);
    if (program.readUInt32LE(at) === PT_INTERP) program.writeUInt32LE(PT_NULL, at);
  }
  return program;
}
