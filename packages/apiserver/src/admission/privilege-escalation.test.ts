import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kinds, type Kind, type KubeObject } from "@skerry/machinery";
import { kindRows } from "../kinds/rows.ts";
import type { RequestContext } from "../request.ts";
import type { AdmissionRequest } from "./admission.ts";
import { privilegeEscalation } from "./privilege-escalation.ts";

const ROWS = kindRows(() => 0);
const RULES = [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }];
const ROLE_REF = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "edit" };
const SUBJECTS = [{ kind: "User", name: "joe" }];
const context = { user: { name: "jane", groups: [] } } as unknown as RequestContext;

/** What the plugin asks the authorizer about a write. */
function questionsOf(kind: Kind, object: object, old?: object, operation: AdmissionRequest["operation"] = "UPDATE") {
  const questions: object[] = [];
  const plugin = privilegeEscalation({
    checkEscalation: (user, { rules }) => questions.push({ user: user.name, rules }),
    checkBinding: (user, { roleRef }) => questions.push({ user: user.name, roleRef }),
  });
  const row = ROWS.find((candidate) => candidate.kind === kind);
  assert.ok(row);
  const key = { namespace: "x", name: "r" };
  const [draft, was] = [object as KubeObject, old as KubeObject | undefined];
  void plugin.admit({
    context,
    row,
    operation: old ? operation : "CREATE",
    subresource: "",
    key,
    object: draft,
    old: was,
  });
  return questions;
}

describe("privilegeEscalation()", () => {
  it("asks about the rules of a new or changed role", () => {
    assert.deepEqual(questionsOf(kinds.Role, { rules: RULES }), [{ user: "jane", rules: RULES }]);
    assert.deepEqual(questionsOf(kinds.ClusterRole, { rules: RULES }, { rules: [] }), [{ user: "jane", rules: RULES }]);
  });

  it("asks about everything when a role is made of others", () => {
    const [question] = questionsOf(kinds.ClusterRole, { aggregationRule: { clusterRoleSelectors: [{}] } });
    assert.deepEqual((question as { rules: object[] }).rules.length, 2);
    assert.ok(JSON.stringify(question).includes('"nonResourceURLs":["*"]'));
  });

  it("asks about the role of a new binding, and of one that gets more subjects", () => {
    const binding = { roleRef: ROLE_REF, subjects: SUBJECTS };
    const asked = [{ user: "jane", roleRef: ROLE_REF }];
    assert.deepEqual(questionsOf(kinds.RoleBinding, binding), asked);
    assert.deepEqual(questionsOf(kinds.ClusterRoleBinding, binding, { roleRef: ROLE_REF, subjects: [] }), asked);
  });

  it("lets pass what gives nothing to anybody", () => {
    const binding = { roleRef: ROLE_REF, subjects: SUBJECTS };
    assert.deepEqual(questionsOf(kinds.Role, { rules: RULES }, { rules: RULES }), []);
    assert.deepEqual(questionsOf(kinds.RoleBinding, binding, binding), []);
    assert.deepEqual(questionsOf(kinds.Role, { rules: RULES }, { rules: RULES }, "DELETE"), []);
    assert.deepEqual(questionsOf(kinds.ConfigMap, { data: {} }), []);
  });
});
