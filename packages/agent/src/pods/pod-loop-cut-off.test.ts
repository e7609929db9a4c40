import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "@skerry/machinery/types";
import { RuntimeError } from "../runtime/runtime.ts";
import { assertNothingLeft, deleted, EdgeFixture, pod } from "./edge-fixture.ts";

/** Plays a pod's whole life, each scene over what the one before left. */
const SCENES: { name: string; play: (edge: EdgeFixture, wanted: Pod) => Promise<void> | void; ends?: true }[] = [
  { name: "it is wanted", play: (edge, wanted) => edge.put(wanted) },
  { name: "a container crashed", play: (edge) => edge.runtime.exit("web", "a", 1) },
  { name: "its sandbox died", play: (edge) => edge.runtime.killSandbox("web") },
  { name: "an image changed", play: (edge, wanted) => edge.put(withImage(wanted, "app:2")) },
  { name: "it is deleted", play: (edge, wanted) => edge.put(deleted(withImage(wanted, "app:2"))), ends: true },
];

const withImage = (wanted: Pod, image: string): Pod => ({
  ...wanted,
  spec: {
    ...wanted.spec,
    containers: (wanted.spec?.containers ?? []).map((c) => (c.name === "a" ? { ...c, image } : c)),
  },
});

describe("PodLoop cut off at any call of the runtime", () => {
  for (const [index, scene] of SCENES.entries()) {
    it(`when ${scene.name}, converges in its next life, runs nothing twice and leaks nothing`, async () => {
      // The first time nothing is cut off: it counts the points at which the others are.
      let points = 0;
      for (let point = -1; point < points; point++) {
        await using edge = await EdgeFixture.create({ registry: ["app:1", "app:2"] });
        const wanted = pod({
          containers: [
            { name: "a", image: "app:1" },
            { name: "b", image: "app:1" },
          ],
        });
        await edge.start();
        for (const before of SCENES.slice(0, index)) {
          await before.play(edge, wanted);
          await edge.pass(12_000, 4_000);
        }
        let calls = 0;
        const died = Promise.withResolvers<void>();
        edge.runtime.setHook(() => {
          if (calls++ < point || point < 0) return;
          died.resolve();
          throw new RuntimeError("Unavailable", "the agent is dead");
        });
        await scene.play(edge, wanted);
        await Promise.race([died.promise, edge.settle()]);
        if (point < 0) points = calls;
        await edge.restart();
        await edge.pass(24_000, 4_000);
        assert.deepEqual(edge.machine.violations, [], `cut off at call ${point}`);
        if (scene.ends) {
          assert.equal(edge.reported(wanted)?.gone, true, `cut off at call ${point}`);
          await edge.drop(wanted);
          await edge.settle();
          await assertNothingLeft(edge);
        } else {
          const where = `cut off at call ${point}: ${JSON.stringify(edge.machine)}`;
          assert.equal(edge.runtime.isRunning("web", "a"), true, where);
          assert.equal(edge.runtime.isRunning("web", "b"), true, where);
          assert.equal(Object.keys(edge.machine.sandboxes).length, 1, where);
          assert.equal(Object.keys(edge.machine.containers).length, 2, where);
          assert.equal(edge.reported(wanted)?.status.phase, "Running", where);
        }
      }
      assert.ok(points > 5, `only ${points} points`);
    });
  }
});
