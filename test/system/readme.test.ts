import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Machine } from "./machine.ts";

/** The commands of README's tour, in order: what stands after `$ ` in its console blocks. */
const COMMANDS = [
  ...readFileSync(new URL("../../README.md", import.meta.url), "utf8").matchAll(/```console\n([^`]+)```/g),
].flatMap(([, block = ""]) =>
  block
    .split("\n")
    .filter((line) => line.startsWith("$ "))
    .map((line) => line.slice(2)),
);

describe("README's tour", () => {
  it("works word by word, and leaves nothing behind", async () => {
    assert.ok(COMMANDS.length >= 15, "the tour has its commands");
    await using machine = await Machine.create();
    for (const command of COMMANDS) {
      const { code, stdout, stderr } = await machine.exec("bash", ["-c", command]);
      assert.equal(code, 0, `${command}\n${stdout}${stderr}`);
      if (command.endsWith("rollout status deployment hello")) assert.match(stdout, /successfully rolled out/);
      if (command.endsWith("logs -l app=hello")) assert.match(stdout, /hello from hello-/);
      if (command.endsWith("get nodes")) assert.match(stdout, /\bReady\b/);
    }
    const { mounts, processes, links, rules } = await machine.leftovers();
    assert.deepEqual({ mounts, processes, links, rules }, { mounts: [], processes: [], links: [], rules: [] });
  });
});
