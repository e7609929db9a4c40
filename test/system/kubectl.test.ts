import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { installKubectl } from "../../tools/kubectl/kubectl.ts";
import { access } from "./kubectl/access.ts";
import { deleting } from "./kubectl/deleting.ts";
import { looking } from "./kubectl/looking.ts";
import { nodes } from "./kubectl/nodes.ts";
import { refusals } from "./kubectl/refusals.ts";
import { rolling } from "./kubectl/rolling.ts";
import { running } from "./kubectl/running.ts";
import { KubectlSession } from "./kubectl/session.ts";
import { writing } from "./kubectl/writing.ts";
import { Machine } from "./machine.ts";

const VERSIONS = ["1.32", "1.35"] as const;

describe("A whole instance", () => {
  let machine: Machine | undefined;
  let last = Promise.resolve();
  const alone = (task: () => Promise<void>): Promise<void> => (last = last.then(task, task));

  before(async () => {
    for (const version of VERSIONS) await installKubectl(version);
    machine = await Machine.create();
    await machine.skerry("up", "--no-sample");
  });

  after(async () => machine?.[Symbol.asyncDispose]());

  describe("obeys", { concurrency: true }, () => {
    for (const version of VERSIONS) {
      const session = new KubectlSession(() => machine ?? assert.fail("There is no machine"), version);
      describe(`kubectl ${version}, which`, { concurrency: false }, () => {
        before(() => session.start());
        looking(session);
        writing(session);
        rolling(session);
        running(session);
        deleting(session);
        nodes(session, alone);
        access(session);
        refusals(session);
      });
    }
  });

  it("is gone without a trace after it", async () => {
    await machine?.skerry("down", "-v");
    assert.deepEqual(await machine?.leftovers(), { mounts: [], processes: [], links: [], rules: [] });
  });
});
