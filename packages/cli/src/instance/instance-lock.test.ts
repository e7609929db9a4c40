import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { UserError } from "../command.ts";
import { lockInstance } from "./instance-lock.ts";
import { layoutOf } from "./layout.ts";

it("lockInstance() lets one command work on an instance at a time, says which, and leaves nothing", () => {
  using stack = new DisposableStack();
  const place = mkdtempSync(path.join(tmpdir(), "skerry-lock-"));
  stack.defer(() => rmSync(place, { recursive: true }));
  const [one, other] = [layoutOf("/tmp/one"), layoutOf("/tmp/other")];
  {
    using _ = lockInstance(one, "up", place);
    assert.throws(
      () => lockInstance(one, "down", place),
      (error) => error instanceof UserError && error.message.includes(`/tmp/one (skerry up, process ${process.pid})`),
    );
    lockInstance(other, "up", place)[Symbol.dispose]();
  }
  lockInstance(one, "down", place)[Symbol.dispose]();
  assert.deepEqual(readdirSync(place), []);
});
