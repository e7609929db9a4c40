import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deepFreeze, type FieldsV1, type ManagedFieldsEntry } from "../object.ts";
import { StatusError } from "../status.ts";
import { lookup } from "../test-schema.ts";
import { applyPatch, type Apply } from "./apply-patch.ts";
import { equalButTimes, managedFieldsOf, withManagedFields } from "./owners.ts";
import { CreatedFields } from "./created-fields.ts";
import { Shapes, type JsonObject } from "./shape.ts";
import { trackUpdate, type Update } from "./track-update.ts";

const shapes = new Shapes(lookup);
const created = new CreatedFields(shapes);
const base = { apiVersion: "v1", subresource: "", ref: "test.v1.Pod", shapes, created };
const T1 = "2026-01-01T00:00:01Z";
const T2 = "2026-01-01T00:00:02Z";

const pod = (spec: JsonObject, metadata: JsonObject = {}): JsonObject =>
  deepFreeze({ apiVersion: "v1", kind: "Pod", metadata: { name: "p", ...metadata }, spec });

const apply = (
  live: JsonObject | undefined,
  manager: string,
  config: JsonObject,
  more: Partial<Apply> = {},
): JsonObject =>
  deepFreeze(applyPatch({ ...base, kind: "Pod", live, config, manager, force: false, time: T1, ...more }));

/** What the registry does on PUT: the new object with tracked owners. */
function update(old: JsonObject | undefined, manager: string, now: JsonObject, more: Partial<Update> = {}): JsonObject {
  const entries = trackUpdate({ ...base, old, now, manager, time: T1, ...more });
  return deepFreeze(withManagedFields(now, entries === undefined ? undefined : [...entries]));
}

/** manager → its fields. */
const owners = (object: JsonObject): Record<string, FieldsV1 | undefined> =>
  Object.fromEntries((managedFieldsOf(object) ?? []).map((entry) => [entry.manager ?? "", entry.fieldsV1]));

const conflictOf = (run: () => unknown): StatusError => {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "no conflict" });
};

describe("applyPatch()", () => {
  it("owns what it sets: leaves, keys of maps, items of lists by their keys", () => {
    const object = apply(
      undefined,
      "a",
      pod(
        {
          replicas: 1,
          selector: { app: "x" },
          nodeSelector: { disk: "ssd" },
          args: ["1"],
          finalizers: ["f"],
          containers: [{ name: "c", ports: [{ containerPort: 80 }], resources: {} }],
          strategy: { rollingUpdate: { maxSurge: 1 } },
        },
        { labels: { app: "x" } },
      ),
    );
    assert.deepEqual(managedFieldsOf(object), [
      {
        manager: "a",
        operation: "Apply",
        apiVersion: "v1",
        time: T1,
        fieldsType: "FieldsV1",
        fieldsV1: {
          "f:metadata": { "f:labels": { "f:app": {} } },
          "f:spec": {
            "f:args": {},
            "f:containers": {
              'k:{"name":"c"}': {
                ".": {},
                "f:name": {},
                "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
                "f:resources": {},
              },
            },
            "f:finalizers": { 'v:"f"': {} },
            "f:nodeSelector": { "f:disk": {} },
            "f:replicas": {},
            "f:selector": {},
            "f:strategy": { "f:rollingUpdate": { "f:maxSurge": {} } },
          },
        },
      },
    ]);
  });

  it("refuses to change what another manager owns, and says what and whose", () => {
    const live = apply(undefined, "a", pod({ replicas: 1, containers: [{ name: "c", image: "1" }] }));
    const one = conflictOf(() => apply(live, "b", pod({ replicas: 2 })));
    assert.equal(one.code, 409);
    assert.equal(one.message, 'Apply failed with 1 conflict: conflict with "a": .spec.replicas');
    assert.deepEqual(one.details, {
      causes: [{ reason: "FieldManagerConflict", message: 'conflict with "a"', field: ".spec.replicas" }],
    });
    const scaled = update(live, "hpa", pod({ replicas: 3, containers: [{ name: "c", image: "1" }] }), {
      subresource: "scale",
    });
    const two = conflictOf(() => apply(scaled, "b", pod({ replicas: 2, containers: [{ name: "c", image: "2" }] })));
    assert.equal(
      two.message,
      'Apply failed with 2 conflicts: conflicts with "a":\n- .spec.containers[name="c"].image\n' +
        'conflicts with "hpa" with subresource "scale" using v1:\n- .spec.replicas',
    );
  });

  it("takes over by force, and shares what it leaves alike", () => {
    const live = apply(undefined, "a", pod({ replicas: 1, nodeName: "n" }));
    const forced = apply(live, "b", pod({ replicas: 2, nodeName: "n" }), { force: true, time: T2 });
    assert.deepEqual(owners(forced), {
      a: { "f:spec": { "f:nodeName": {} } },
      b: { "f:spec": { "f:nodeName": {}, "f:replicas": {} } },
    });
    assert.equal((forced["spec"] as JsonObject)["replicas"], 2);
  });

  it("removes what it no longer applies, unless somebody else owns it too", () => {
    const first = apply(
      undefined,
      "a",
      pod({ replicas: 1, nodeName: "n", nodeSelector: { x: "1" }, finalizers: ["f", "g"] }),
    );
    const shared = apply(first, "b", pod({ nodeName: "n" }));
    const next = apply(shared, "a", pod({ finalizers: ["g"] }), { time: T2 });
    assert.deepEqual(next["spec"], { nodeName: "n", finalizers: ["g"] });
    assert.deepEqual(owners(next), {
      a: { "f:spec": { "f:finalizers": { 'v:"g"': {} } } },
      b: { "f:spec": { "f:nodeName": {} } },
    });
  });

  it("removes an item with all that hung below it, even what an updater set", () => {
    const live = apply(undefined, "a", pod({ containers: [{ name: "c", image: "1" }, { name: "d" }] }));
    const defaulted = withManagedFields(
      pod({ nodeName: "n", containers: [{ name: "c", image: "1", command: ["default"] }, { name: "d" }] }),
      [...(managedFieldsOf(live) ?? [])],
    );
    assert.deepEqual(apply(defaulted, "a", pod({ containers: [{ name: "d" }] }))["spec"], {
      nodeName: "n",
      containers: [{ name: "d" }],
    });
    const kept = update(defaulted, "u", {
      ...defaulted,
      spec: { nodeName: "n", containers: [{ name: "c", image: "1", command: ["mine"] }, { name: "d" }] },
    });
    assert.deepEqual(apply(kept, "a", pod({ containers: [{ name: "d" }] }))["spec"], {
      nodeName: "n",
      containers: [{ name: "d" }],
    });
  });

  it("puts items in the order of the configuration, live ones beside their neighbours", () => {
    const names = (object: JsonObject): string =>
      ((object["spec"] as JsonObject)["containers"] as JsonObject[])
        .map(({ name }) => JSON.stringify(name))
        .join("")
        .replaceAll('"', "");
    const list = (text: string): JsonObject => ({ containers: text.split("").map((name) => ({ name })) });
    const merged = (live: string, config: string): string => names(apply(pod(list(live)), "a", pod(list(config))));
    assert.equal(merged("abc", "c"), "abc");
    assert.equal(merged("abc", "ca"), "bca");
    assert.equal(merged("abc", "dcb"), "adcb");
    assert.equal(merged("", "ba"), "ba");
  });

  it("changes nothing when it is applied again, not even the time", () => {
    const config = pod({ replicas: 1, containers: [{ name: "c" }] });
    const live = apply(undefined, "a", config);
    const again = apply(live, "a", config, { time: T2 });
    assert.deepEqual(again, live);
    assert.ok(equalButTimes(live, again));
  });

  it("gives the fields of an object that was never tracked to before-first-apply", () => {
    const object = apply(pod({ replicas: 1, nodeName: "n" }), "a", pod({ replicas: 1 }));
    assert.deepEqual(owners(object), {
      a: { "f:spec": { "f:replicas": {} } },
      "before-first-apply": { "f:spec": { ".": {}, "f:nodeName": {}, "f:replicas": {} } },
    });
  });

  it("refuses what does not fit", () => {
    const refuse = (config: JsonObject, message: RegExp): void => {
      assert.throws(() => apply(undefined, "a", config), { reason: "BadRequest", message });
    };
    refuse({ apiVersion: "v2", kind: "Pod" }, /Incorrect version specified in apply patch/);
    refuse(pod({}, { managedFields: [] }), /metadata.managedFields must be nil/);
    refuse(
      pod({ foo: 1 }),
      /^failed to create typed patch object \(\/p; v1, Kind=Pod\): \.spec\.foo: field not declared in schema$/,
    );
    refuse(
      pod({ containers: [{ name: "c" }, { name: "c" }] }),
      /\.spec\.containers: duplicate entries for key \[name="c"\]$/,
    );
    refuse(
      pod({ containers: [{ image: "c" }] }),
      /element 0: associative list with keys has an element that omits all key/,
    );
    refuse(
      pod({ containers: [{ name: "c", image: 1 }] }),
      /\.spec\.containers\[name="c"\]\.image: expected string, got 1$/,
    );
  });

  it("does not own what the endpoint resets", () => {
    const object = apply(undefined, "a", deepFreeze({ ...pod({ replicas: 1 }), status: { phase: "x" } }), {
      resetFields: { "f:status": {} },
    });
    assert.deepEqual(owners(object), { a: { "f:spec": { "f:replicas": {} } } });
  });

  it("kubectl takes over what client-side apply left", () => {
    const annotation = "kubectl.kubernetes.io/last-applied-configuration";
    const last = JSON.stringify(pod({ replicas: 1, nodeName: "n" }));
    const live = update(
      undefined,
      "kubectl-client-side-apply",
      pod({ replicas: 1, nodeName: "n" }, { annotations: { [annotation]: last } }),
    );
    const config = pod({ replicas: 2, nodeName: "n" });
    const taken = apply(live, "kubectl", config);
    assert.equal((taken["spec"] as JsonObject)["replicas"], 2);
    const annotations = (taken["metadata"] as JsonObject)["annotations"] as JsonObject;
    assert.equal(annotations[annotation], `${JSON.stringify(config)}\n`);
    const changed = update(live, "hpa", { ...live, spec: { replicas: 5, nodeName: "n" } });
    assert.match(
      conflictOf(() => apply(changed, "kubectl", config)).message,
      /1 conflict: conflict with "hpa" using v1/,
    );
  });
});

describe("trackUpdate()", () => {
  it("gives the creator all but what nobody owns", () => {
    const object = update(
      undefined,
      "c",
      pod({ replicas: 1, containers: [{ name: "c", env: [{ name: "A" }] }] }, { labels: { a: "1" }, uid: "u" }),
    );
    assert.deepEqual(owners(object), {
      c: {
        "f:metadata": { "f:labels": { ".": {}, "f:a": {} } },
        "f:spec": {
          ".": {},
          "f:containers": {
            ".": {},
            'k:{"name":"c"}': {
              ".": {},
              "f:env": { ".": {}, 'k:{"name":"A"}': { ".": {}, "f:name": {} } },
              "f:name": {},
            },
          },
          "f:replicas": {},
        },
      },
    });
  });

  it("moves what changed to who changed it, and forgets what is gone", () => {
    const created = update(undefined, "c", pod({ replicas: 1, nodeName: "n", paused: true }));
    const changed = update(created, "u", { ...created, spec: { replicas: 2, nodeName: "n" } }, { time: T2 });
    assert.deepEqual(owners(changed), {
      c: { "f:spec": { ".": {}, "f:nodeName": {} } },
      u: { "f:spec": { "f:replicas": {} } },
    });
    assert.deepEqual(
      managedFieldsOf(changed)?.map(({ time }) => time),
      [T1, T2],
    );
  });

  it("returns the stored entries when nothing changed hands", () => {
    const created = update(undefined, "c", pod({ replicas: 1 }, { resourceVersion: "1" }));
    const stored = managedFieldsOf(created);
    const copy = structuredClone(created);
    const entries = trackUpdate({ ...base, old: created, now: copy, manager: "u", time: T2 });
    assert.deepEqual(entries, stored);
    const bumped = { ...copy, metadata: { ...(copy["metadata"] as JsonObject), resourceVersion: "2" } };
    assert.deepEqual(trackUpdate({ ...base, old: created, now: bumped, manager: "u", time: T2 }), stored);
  });

  it("tells operations, subresources and managers apart", () => {
    const created = update(undefined, "c", pod({ replicas: 1 }));
    const withStatus = { ...created, status: { phase: "Running" } };
    const reported = update(created, "c", withStatus, { subresource: "status", resetFields: { "f:spec": {} } });
    const applied = apply(reported, "c", pod({ replicas: 1 }));
    assert.deepEqual(
      managedFieldsOf(applied)?.map(({ manager, operation, subresource }) => [manager, operation, subresource]),
      [
        ["c", "Apply", undefined],
        ["c", "Update", undefined],
        ["c", "Update", "status"],
      ],
    );
  });

  it("keeps ten updaters and joins the older ones", () => {
    let object = update(undefined, "m", pod({}, { labels: { m: "" } }));
    for (let i = 0; i < 15; i++) {
      const labels = { ...((object["metadata"] as JsonObject)["labels"] as JsonObject), [`l${i}`]: "" };
      object = update(
        object,
        `m${i}`,
        { ...object, metadata: { ...(object["metadata"] as JsonObject), labels } },
        { time: `2026-01-01T00:01:${String(i).padStart(2, "0")}Z` },
      );
    }
    const entries = managedFieldsOf(object) ?? [];
    assert.equal(entries.length, 10);
    assert.equal(entries[0]?.manager, "ancient-changes");
    const ancient = entries[0]?.fieldsV1?.["f:metadata"]?.["f:labels"] ?? {};
    assert.deepEqual(
      Object.keys(ancient).toSorted(),
      [".", "f:l0", "f:l1", "f:l2", "f:l3", "f:l4", "f:l5", "f:m"].toSorted(),
    );
  });

  it("clears on request, takes what a client sends, and falls back on what is stored", () => {
    const created = update(undefined, "c", pod({ replicas: 1 }));
    const sent = (entries: ManagedFieldsEntry[]): JsonObject => withManagedFields(created, entries);
    assert.equal(trackUpdate({ ...base, old: created, now: sent([{}]), manager: "u", time: T2 }), undefined);
    assert.equal(trackUpdate({ ...base, old: created, now: sent([]), manager: "u", time: T2 }), undefined);
    const broken = sent([{ manager: "x", operation: "Update", apiVersion: "v1", fieldsType: "FieldsV2" }]);
    assert.deepEqual(
      trackUpdate({ ...base, old: created, now: broken, manager: "u", time: T2 }),
      managedFieldsOf(created),
    );
    const own = sent([
      {
        manager: "x",
        operation: "Update",
        apiVersion: "v1",
        fieldsType: "FieldsV1",
        fieldsV1: { "f:spec": { "f:containers": { 'k:{ "b":1, "a":"\\u003c" }': {} }, "z:odd": {} } },
      },
    ]);
    assert.deepEqual(trackUpdate({ ...base, old: created, now: own, manager: "u", time: T2 })?.[0]?.fieldsV1, {
      "f:spec": { "f:containers": { 'k:{"a":"<","b":1}': {} } },
    });
    const untracked = pod({ replicas: 1 });
    assert.equal(
      trackUpdate({ ...base, old: untracked, now: pod({ replicas: 2 }), manager: "u", time: T2 }),
      undefined,
    );
  });

  it("owns duplicates together", () => {
    const ports = (...numbers: number[]): JsonObject =>
      pod({ containers: [{ name: "c", ports: numbers.map((containerPort) => ({ containerPort })) }] });
    const created = update(undefined, "c", ports(80));
    const doubled = update(created, "u", withManagedFields(ports(80, 80), [...(managedFieldsOf(created) ?? [])]));
    const path = (fields: FieldsV1 | undefined): FieldsV1 | undefined =>
      fields?.["f:spec"]?.["f:containers"]?.['k:{"name":"c"}']?.["f:ports"];
    assert.deepEqual(path(owners(doubled)["u"]), { 'k:{"containerPort":80,"protocol":"TCP"}': {} });
    assert.deepEqual(path(owners(doubled)["c"]), {});
  });
});
