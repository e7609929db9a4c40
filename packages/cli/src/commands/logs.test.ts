import assert from "node:assert/strict";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { parseCall } from "../command.ts";
import { layoutOf } from "../instance/layout.ts";
import { TEST_SETTINGS } from "../instance/test-settings.ts";
import { logs, usualLog } from "./logs.ts";

it("usualLog() is the edge's, and the cloud's where there is no edge", () => {
  assert.equal(usualLog(["cloud", "edge"]), "edge");
  assert.equal(usualLog(["edge"]), "edge");
  assert.equal(usualLog(["cloud"]), "cloud");
});

it("logs says which daemon an instance does not have, rather than that it has no log yet", async () => {
  await using folder = await mkdtempDisposable(path.join(tmpdir(), "skerry-logs-"));
  const layout = layoutOf(folder.path);
  const refusal = async (word: string, settings: object): Promise<string> => {
    await writeFile(layout.settings, JSON.stringify({ ...TEST_SETTINGS, ...settings }));
    const call = parseCall(logs, [word, "--data-dir", layout.dataDir], {}, new AbortController().signal);
    return await Promise.resolve(logs.run(call)).then(
      () => "",
      (error: Error) => error.message,
    );
  };
  for (const word of ["edge", "containerd"]) {
    assert.match(await refusal(word, { roles: ["cloud"] }), /is a cloud alone and runs no edge; /);
  }
  const edge = { roles: ["edge"], hub: { host: "cloud.example", port: 10_000 } };
  assert.match(await refusal("cloud", edge), /is an edge of the cloud at cloud\.example:10000 and runs no cloud; /);
});
