import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { layoutOf } from "../instance/layout.ts";
import { roomProblems } from "./machine.ts";

it("roomProblems() says what the disk has less of than it should, also before the folder is there", async () => {
  const layout = layoutOf(path.join(tmpdir(), "skerry-not-made", "yet"));
  const whats = async (leastBytes: number, leastFiles: number): Promise<string[]> =>
    (await roomProblems(layout, { leastBytes, leastFiles })).map(({ what }) => what);
  assert.deepEqual(await whats(0, 0), []);
  const [bytes = ""] = await whats(Number.MAX_VALUE, Number.MAX_VALUE);
  assert.match(bytes, /^Only \d+ MiB are free for .*skerry-not-made\/yet$/);
});
