import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { findProgram, missingNeeds, whyMissing } from "./packages.ts";

describe("findProgram()", () => {
  it("finds a program in PATH, an administrator's one outside it, and an absolute path", () => {
    assert.match(findProgram("sh", { PATH: "/bin" }) ?? "", /\/sh$/);
    assert.match(findProgram("sh", { PATH: "/nowhere" }) ?? "", /\/sh$/);
    assert.equal(findProgram("/bin/sh"), "/bin/sh");
  });

  it("finds nothing where there is nothing, nor what cannot be run", () => {
    assert.equal(findProgram("no-such-program-here"), undefined);
    assert.equal(findProgram("/etc/passwd"), undefined);
  });
});

describe("missingNeeds()", () => {
  it("names only what no alternative satisfies", () => {
    const needs = [
      { name: "a shell", package: "dash", anyOf: ["/no/sh", "sh"] },
      { name: "a ghost", package: "ghost", anyOf: ["/no/ghost"] },
    ];
    assert.deepEqual(
      missingNeeds(needs).map((need) => need.package),
      ["ghost"],
    );
  });
});

/** A little-endian ELF64 executable's header, and the program headers that it has (elf(5)). */
function elf(...programHeaders: number[]): Buffer {
  const file = Buffer.alloc(64 + programHeaders.length * 56);
  file.write("\x7fELF\x02\x01\x01", "latin1");
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(programHeaders.length, 56);
  for (const [i, type] of programHeaders.entries()) file.writeUInt32LE(type, 64 + i * 56);
  return file;
}
const PT_LOAD = 1;
const PT_INTERP = 3;

describe("whyMissing()", () => {
  it("takes only a static program for what becomes part of an image, and says what is wrong with another", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "skerry-needs-"));
    try {
      const [dynamic, fixed] = [path.join(dir, "dynamic"), path.join(dir, "static")];
      await writeFile(dynamic, elf(PT_INTERP, PT_LOAD), { mode: 0o755 });
      await writeFile(fixed, elf(PT_LOAD), { mode: 0o755 });
      const need = { name: "busybox", package: "busybox-static", isStatic: true } as const;
      assert.equal(whyMissing({ ...need, anyOf: [path.join(dir, "none")] }), "busybox is missing");
      assert.equal(
        whyMissing({ ...need, anyOf: [dynamic] }),
        `${dynamic} is linked dynamically, so it cannot run in the built-in images`,
      );
      assert.equal(whyMissing({ ...need, anyOf: [dynamic, fixed] }), undefined);
      assert.equal(whyMissing({ name: "busybox", package: "busybox", anyOf: [dynamic] }), undefined);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
