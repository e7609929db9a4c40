import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findProgram, missingNeeds } from "./packages.ts";

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
