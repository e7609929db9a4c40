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
  assert.match(stderr, /^skerry: The cloud of this instance runs already, .* skerry cloud stop$/m);
});
