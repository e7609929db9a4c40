import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Deployment, ReplicaSet } from "@skerry/machinery/types";
import fc from "fast-check";
import {
  boundsOf,
  DESIRED_REPLICAS,
  isScaling,
  planCleanup,
  planRecreate,
  planRolling,
  planScaling,
  type Resize,
} from "./plan.ts";

const deployment = (spec: object): Deployment => ({ metadata: { name: "web" }, spec }) as unknown as Deployment;

const set = (name: string, replicas: number, available = replicas, extra: object = {}): ReplicaSet =>
  ({
    metadata: { name, creationTimestamp: "2026-01-01T00:00:00Z", ...extra },
    spec: { replicas },
    status: { replicas, availableReplicas: available },
  }) as unknown as ReplicaSet;

const sizes = (plan: Resize[]): Record<string, number> =>
  Object.fromEntries(plan.map(({ set: each, replicas }) => [each.metadata.name, replicas]));

describe("boundsOf()", () => {
  it("rounds a surge up and unavailability down", () => {
    assert.deepEqual(boundsOf(deployment({ replicas: 3 })), { surge: 1, unavailable: 0 });
    const rollingUpdate = { maxSurge: "50%", maxUnavailable: "50%" };
    assert.deepEqual(boundsOf(deployment({ replicas: 3, strategy: { rollingUpdate } })), { surge: 2, unavailable: 1 });
  });

  it("never lets both be zero, or nothing would move", () => {
    const rollingUpdate = { maxSurge: 0, maxUnavailable: "10%" };
    assert.deepEqual(boundsOf(deployment({ replicas: 3, strategy: { rollingUpdate } })), { surge: 0, unavailable: 1 });
  });
});

describe("planRolling()", () => {
  it("grows the new set by the surge, then shrinks the old one by what became available", () => {
    const three = deployment({ replicas: 3 });
    assert.deepEqual(sizes(planRolling(three, set("new", 0), [set("old", 3)])), { new: 1 });
    assert.deepEqual(sizes(planRolling(three, set("new", 1, 0), [set("old", 3)])), {});
    assert.deepEqual(sizes(planRolling(three, set("new", 1, 1), [set("old", 3)])), { old: 2 });
    assert.deepEqual(sizes(planRolling(three, set("new", 1, 1), [set("old", 2)])), { new: 2 });
    assert.deepEqual(sizes(planRolling(three, set("new", 3, 3), [set("old", 1)])), { old: 0 });
  });

  it("never goes under the availability it promises, whatever the order of what becomes ready", () => {
    for (let wanted = 1; wanted <= 7; wanted++) {
      const wish = deployment({ replicas: wanted });
      const { surge, unavailable } = boundsOf(wish);
      let [fresh, old] = [0, wanted];
      for (let round = 0; round < 50 && (fresh < wanted || old > 0); round++) {
        const plan = sizes(planRolling(wish, set("new", fresh), [set("old", old)]));
        fresh = plan["new"] ?? fresh;
        old = plan["old"] ?? old;
        assert.ok(fresh + old <= wanted + surge, `${fresh} + ${old} of ${wanted}`);
        assert.ok(fresh + old >= wanted - unavailable, `${fresh} + ${old} of ${wanted}`);
      }
      assert.deepEqual([fresh, old], [wanted, 0]);
    }
  });

  it("takes unhealthy old pods first, though the new ones are not available yet", () => {
    const rollingUpdate = { maxSurge: 1, maxUnavailable: 1 };
    const four = deployment({ replicas: 4, strategy: { rollingUpdate } });
    assert.deepEqual(sizes(planRolling(four, set("new", 1, 0), [set("old", 4, 2)])), { old: 3 });
  });
});

describe("planRecreate()", () => {
  it("empties the old sets, waits for their pods, and only then grows the new one", () => {
    const two = deployment({ replicas: 2, strategy: { type: "Recreate" } });
    assert.deepEqual(sizes(planRecreate(two, set("new", 0), [set("old", 2)], true)), { old: 0 });
    assert.deepEqual(sizes(planRecreate(two, set("new", 0), [set("old", 0)], true)), {});
    assert.deepEqual(sizes(planRecreate(two, set("new", 0), [set("old", 0)], false)), { new: 2 });
  });
});

describe("planScaling()", () => {
  it("gives a single set all of the difference", () => {
    assert.deepEqual(sizes(planScaling(deployment({ replicas: 5 }), set("new", 2), [set("old", 0)])), { new: 5 });
    assert.deepEqual(sizes(planScaling(deployment({ replicas: 0 }), set("new", 2), [])), { new: 0 });
  });

  it("shares the difference in the middle of a rollout, and adds up to what is allowed", () => {
    const max = { annotations: { "deployment.kubernetes.io/max-replicas": "13" } };
    const wish = deployment({ replicas: 20, strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } });
    const plan = sizes(planScaling(wish, set("new", 5, 2, max), [set("old", 8, 8, max)]));
    assert.equal((plan["new"] ?? 5) + (plan["old"] ?? 8), 23);
    assert.ok((plan["old"] ?? 0) > (plan["new"] ?? 0), "the larger set takes the larger share");
  });
});

describe("isScaling()", () => {
  it("ends once what planScaling() says is done, whatever the sets noted before", () => {
    const sized = fc.record({ replicas: fc.nat(5), available: fc.nat(5), noted: fc.nat(5) });
    const type = fc.constantFrom("RollingUpdate", "Recreate");
    fc.assert(
      fc.property(fc.nat(5), type, fc.array(sized, { minLength: 1, maxLength: 3 }), (wanted, strategy, found) => {
        const wish = deployment({ replicas: wanted, strategy: { type: strategy } });
        const sets = found.map(({ replicas, available, noted }, i) =>
          set(`s${i}`, replicas, Math.min(available, replicas), { annotations: { [DESIRED_REPLICAS]: String(noted) } }),
        );
        for (let round = 0; isScaling(wish, sets); round++) {
          assert.ok(round < 10, "it goes on for ever");
          const [current, ...old] = sets;
          for (const { set: each, replicas } of planScaling(wish, current, old)) {
            each.spec = { ...each.spec, replicas } as NonNullable<ReplicaSet["spec"]>;
            each.metadata.annotations = { [DESIRED_REPLICAS]: String(wanted) };
          }
        }
      }),
    );
  });
});

describe("planCleanup()", () => {
  it("drops the oldest empty sets beyond the history", () => {
    const old = [3, 1, 2].map((revision) =>
      set(`r${revision}`, 0, 0, { annotations: { "deployment.kubernetes.io/revision": String(revision) } }),
    );
    const names = planCleanup(deployment({ revisionHistoryLimit: 1 }), [...old, set("busy", 1)]).map(
      (each) => each.metadata.name,
    );
    assert.deepEqual(names, ["r1", "r2"]);
  });
});
