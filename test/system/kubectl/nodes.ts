import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { pod, SLEEP } from "../manifests.ts";
import type { KubectlSession } from "./session.ts";

/**
 * label, taint, cordon and drain of the one node, which other tests use meanwhile: each is taken back at once. `alone` runs a task while
 * no other session runs one.
 */
export function nodes(k: KubectlSession, alone: (task: () => Promise<void>) => Promise<void>): void {
  describe("manages nodes", { concurrency: false }, () => {
    let node = "";
    const sleeper = (name: string, more: object = {}): object => {
      const made = pod(name, { namespace: k.namespace, script: SLEEP });
      return { ...made, spec: { ...made.spec, ...more } };
    };

    before(async () => {
      node = (await k.ok("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")).trim();
    });

    it("by labels that pods select", async () => {
      const label = `zone-${k.version}`;
      await k.given(sleeper("zoned", { nodeSelector: { [label]: "shore" } }), "apply");
      await k.ok("wait", "pod/zoned", "--for=condition=PodScheduled=False", "--timeout=10s");
      assert.match(await k.ok("describe", "pod", "zoned"), /FailedScheduling .*0\/1 nodes are available/);
      assert.equal(await k.ok("label", "node", node, `${label}=shore`), `node/${node} labeled\n`);
      await k.ok("wait", "pod/zoned", "--for=condition=Ready", "--timeout=20s");
      await k.ok("label", "node", node, `${label}-`);
      await k.ok("delete", "pod", "zoned");
    });

    it("by taints", async () => {
      // One that the scheduler only prefers to keep away from: the other tests go on.
      const taint = `of-${k.version}=yes:PreferNoSchedule`;
      assert.equal(await k.ok("taint", "node", node, taint), `node/${node} tainted\n`);
      assert.match(await k.ok("describe", "node", node), new RegExp(`${taint.replace(".", "\\.")}`));
      assert.match(
        await k.fails("taint", "node", node, taint.replace("yes", "no")),
        /already has .* taint\(s\) with same effect/,
      );
      assert.equal(await k.ok("taint", "node", node, `of-${k.version}-`), `node/${node} untainted\n`);
      assert.match(await k.fails("taint", "node", node, "a=b:Nonsense"), /invalid taint effect/);
    });

    it("by cordons", () => alone(cordons));

    async function cordons(): Promise<void> {
      try {
        assert.match(await k.ok("cordon", node), /cordoned/);
        assert.match(await k.ok("get", "node", node), /Ready,SchedulingDisabled/);
        await k.given(sleeper("cordoned"), "apply");
        await k.ok("wait", "pod/cordoned", "--for=condition=PodScheduled=False", "--timeout=10s");
        assert.match(await k.ok("describe", "pod", "cordoned"), /FailedScheduling .*unschedulable/);
      } finally {
        await k.ok("uncordon", node);
      }
      await k.ok("wait", "pod/cordoned", "--for=condition=Ready", "--timeout=20s");
      const drained = await k.ok("drain", node, "--dry-run=server", "--force", "--ignore-daemonsets");
      assert.match(drained, new RegExp(`evicting pod ${k.namespace}/cordoned \\(server dry run\\)`));
      await k.ok("delete", "pod", "cordoned");
    }
  });
}
