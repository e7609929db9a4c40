import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RoleIndex, type BindingObject, type RoleObject } from "./role-index.ts";

const clusterRole = (name: string, rest: Partial<RoleObject>): RoleObject => ({ metadata: { name }, ...rest });

const binding = (role: string, ...subjects: NonNullable<BindingObject["subjects"]>): BindingObject => ({
  metadata: {},
  roleRef: { kind: "ClusterRole", name: role },
  subjects,
});

const names = (index: RoleIndex, name: string, groups: string[], namespace = ""): string[] =>
  [...index.grantsOf({ name, groups }, namespace)].map(({ roleRef }) => roleRef.name).sort();

describe("RoleIndex", () => {
  it("finds what users, groups and service accounts have been given", () => {
    const index = new RoleIndex();
    index.putBinding({ namespace: "", name: "a" }, binding("viewer", { kind: "User", name: "jane" }));
    index.putBinding({ namespace: "", name: "b" }, binding("editor", { kind: "Group", name: "dev" }));
    index.putBinding(
      { namespace: "", name: "c" },
      binding("robot", { kind: "ServiceAccount", name: "r", namespace: "x" }),
    );
    assert.deepEqual(names(index, "jane", []), ["viewer"]);
    assert.deepEqual(names(index, "jane", ["dev"]), ["editor", "viewer"]);
    assert.deepEqual(names(index, "system:serviceaccount:x:r", []), ["robot"]);
    assert.deepEqual(names(index, "joe", []), []);
  });

  it("keeps what is given in a namespace there", () => {
    const index = new RoleIndex();
    index.putBinding({ namespace: "x", name: "a" }, binding("viewer", { kind: "User", name: "jane" }));
    assert.deepEqual(names(index, "jane", [], "x"), ["viewer"]);
    assert.deepEqual(names(index, "jane", [], "y"), []);
    assert.deepEqual(names(index, "jane", []), []);
  });

  it("forgets what a changed or deleted binding gave", () => {
    const index = new RoleIndex();
    const key = { namespace: "", name: "a" };
    index.putBinding(key, binding("viewer", { kind: "User", name: "jane" }));
    index.putBinding(key, binding("viewer", { kind: "User", name: "joe" }));
    assert.deepEqual(names(index, "jane", []), []);
    assert.deepEqual(names(index, "joe", []), ["viewer"]);
    index.putBinding(key, undefined);
    assert.deepEqual(names(index, "joe", []), []);
  });

  it("adds to a role what its selectors find, and notices when that changes", () => {
    const index = new RoleIndex();
    const label = { "to-view": "true" };
    const rule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
    const put = (role: RoleObject): void =>
      index.putRole("ClusterRole", { namespace: "", name: role.metadata.name ?? "" }, role);
    put(clusterRole("view", { aggregationRule: { clusterRoleSelectors: [{ matchLabels: label }] }, rules: [] }));
    const view = { kind: "ClusterRole", name: "view" };
    assert.deepEqual(index.rulesOf(view, ""), []);
    put({ metadata: { name: "more", labels: label }, rules: [rule] });
    assert.deepEqual(index.rulesOf(view, ""), [rule]);
    put({ metadata: { name: "more" }, rules: [rule] });
    assert.deepEqual(index.rulesOf(view, ""), []);
  });

  it("tells a Role from a ClusterRole of the same name", () => {
    const index = new RoleIndex();
    const rule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
    index.putRole("Role", { namespace: "x", name: "a" }, { metadata: { name: "a" }, rules: [rule] });
    assert.deepEqual(index.rulesOf({ kind: "Role", name: "a" }, "x"), [rule]);
    assert.deepEqual(index.rulesOf({ kind: "Role", name: "a" }, "y"), []);
    assert.deepEqual(index.rulesOf({ kind: "ClusterRole", name: "a" }, "x"), []);
  });
});
