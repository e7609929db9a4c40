import assert from "node:assert/strict";
import { it } from "node:test";
import { Machine } from "./machine.ts";

it("skerry up --foreground brings both daemons up, lets other commands in, and does not take over daemons that run", async () => {
  await using machine = await Machine.create();
  const up = ["up", "--no-sample", "--foreground"];
  const screen = await machine.follow("./skerry", up, (stdout) => stdout.includes("Everything runs after"));
  assert.match(screen, /✓ cloud started[^]*✓ edge started[^]*✓ node .* is Ready/);
  // Only the command itself was ended: its daemons are as any others.
  await machine.skerry("edge", "stop");
  const { code, stderr } = await machine.exec("./skerry", up);
  assert.equal(code, 1);
  const [, hint = ""] =
    /^skerry: The cloud of this instance runs already, .*; stop it first, with (.*)$/m.exec(stderr) ?? [];
  // As a person pastes it, whose shell knows nothing of this instance.
  const pasted = await machine.exec("bash", ["-c", hint], { env: { SKERRY_DATA_DIR: undefined } });
  assert.deepEqual(pasted, { code: 0, stdout: "cloud is stopped\n", stderr: "" });
});
