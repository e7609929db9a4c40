import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Machine } from "./machine.ts";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The commands of README's tour, in order: what stands after `$ ` in its console blocks. */
const COMMANDS = [...README.matchAll(/```console\n([^`]+)```/g)].flatMap(([, block = ""]) =>
  block
    .split("\n")
    .filter((line) => line.startsWith("$ "))
    .map((line) => line.slice(2)),
);

const words = (text: string): string => text.replaceAll(/ +/g, " ");

/** The heads of the tables in README's picture of `status`: as they stand there, they are printed, but for the width of their columns. */
const STATUS_HEADS = [...README.matchAll(/^(?:NODE|NAMESPACE) .*$/gm)].map(([line]) => words(line));

describe("README's tour", () => {
  it("works word by word, and leaves nothing behind", async () => {
    assert.ok(
      COMMANDS.length >= 15 && STATUS_HEADS.length === 2,
      "the tour has its commands, and the picture its tables",
    );
    await using machine = await Machine.create();
    for (const command of COMMANDS) {
      const { code, stdout, stderr } = await machine.exec("bash", ["-c", command]);
      assert.equal(code, 0, `${command}\n${stdout}${stderr}`);
      if (command.endsWith("rollout status deployment hello")) assert.match(stdout, /successfully rolled out/);
      if (command.endsWith("logs -l app=hello")) assert.match(stdout, /hello from hello-/);
      if (command === "./skerry status") {
        for (const line of STATUS_HEADS) assert.ok(words(stdout).includes(line), stdout);
      }
      if (command.endsWith("get nodes")) assert.match(stdout, /\bReady\b/);
    }
    const { mounts, processes, links, rules } = await machine.leftovers();
    assert.deepEqual({ mounts, processes, links, rules }, { mounts: [], processes: [], links: [], rules: [] });
  });
});
