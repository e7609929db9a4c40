import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { deployment } from "../manifests.ts";
import { columnsOf, rowsOf, type KubectlSession } from "./session.ts";

/** get, describe, explain and what tells of the API itself. */
export function looking(k: KubectlSession): void {
  describe("looks", { concurrency: false }, () => {
    before(async () => {
      await k.given(deployment("seen", 2, { namespace: k.namespace }), "apply");
      await k.ok("create", "configmap", "seen", "--from-literal=a=b");
      await k.ok("create", "secret", "generic", "seen", "--from-literal=password=hidden");
      await k.ok("create", "role", "seen", "--verb=get", "--resource=pods");
      await k.ok("create", "rolebinding", "seen", "--role=seen", "--user=joe");
      await k.ok("rollout", "status", "deployment/seen", "--timeout=30s");
    });

    it("at tables with the columns that users know", async () => {
      const wide: [string, string][] = [
        ["nodes", "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME"],
        ["pods", "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED_NODE READINESS_GATES"],
        ["deployments", "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR"],
        ["replicasets", "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR"],
        ["namespaces", "NAME STATUS AGE"],
        ["configmaps", "NAME DATA AGE"],
        ["secrets", "NAME TYPE DATA AGE"],
        ["serviceaccounts", "NAME SECRETS AGE"],
        ["leases --all-namespaces", "NAMESPACE NAME HOLDER AGE"],
        ["events", "LAST_SEEN TYPE REASON OBJECT SUBOBJECT SOURCE MESSAGE FIRST_SEEN COUNT NAME"],
        ["roles", "NAME CREATED_AT"],
        ["rolebindings", "NAME ROLE AGE USERS GROUPS SERVICEACCOUNTS"],
        ["clusterroles", "NAME CREATED_AT"],
        ["clusterrolebindings", "NAME ROLE AGE USERS GROUPS SERVICEACCOUNTS"],
      ];
      for (const [what, columns] of wide) {
        const table = await k.ok("get", ...what.split(" "), "-o", "wide");
        assert.deepEqual(
          columnsOf(table),
          columns.split(" ").map((word) => word.replace("_", " ")),
          what,
        );
      }
      assert.deepEqual(columnsOf(await k.ok("get", "pods")), ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
      assert.deepEqual(columnsOf(await k.ok("get", "events")), ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
      assert.match(rowsOf(await k.ok("get", "deploy", "seen"))[0] ?? "", /^seen +2\/2 +2 +2 +\d+s$/);
      assert.match(await k.ok("get", "pods", "-l", "app=seen"), /^seen-\S+ +1\/1 +Running +0 +\d+s$/m);
      assert.match(await k.ok("get", "nodes"), /Ready +edge +\S+ +v1\.35\.0\+skerry$/m);
      const everything = await k.ok("get", "all", "-l", "app=seen");
      for (const kind of ["pod", "deployment.apps", "replicaset.apps"]) {
        assert.match(everything, new RegExp(`^${kind}/seen`, "m"));
      }
    });

    it("at objects in every format", async () => {
      assert.equal(await k.ok("get", "cm", "seen", "-o", "jsonpath={.data.a}"), "b");
      assert.equal(await k.ok("get", "cm", "seen", "-o", "go-template={{.data.a}}"), "b");
      assert.equal(await k.ok("get", "cm", "seen", "-o", "custom-columns=A:.data.a"), "A\nb\n");
      assert.equal(await k.ok("get", "cm/seen", "secret/seen", "-o", "name"), "configmap/seen\nsecret/seen\n");
      assert.match(
        await k.ok("get", "cm", "seen", "-o", "yaml"),
        /^apiVersion: v1\ndata:\n {2}a: b\nkind: ConfigMap\n/,
      );
      const list = JSON.parse(await k.ok("get", "pods", "-l", "app=seen", "-o", "json")) as {
        kind: string;
        items: { kind: string; status: { podIP: string } }[];
      };
      assert.deepEqual([list.kind, list.items.length, list.items[0]?.kind], ["List", 2, "Pod"]);
      assert.ok(list.items.every(({ status }) => /^10\.\d+\.\d+\.\d+$/.test(status.podIP)));
      assert.match(
        await k.ok("get", "deploy", "seen", "-o", "yaml", "--show-managed-fields"),
        /manager: kubectl-client-side-apply/,
      );
      assert.doesNotMatch(await k.ok("get", "deploy", "seen", "-o", "yaml"), /managedFields/);
      assert.match(await k.ok("get", "deploy", "seen", "--show-labels", "-L", "app"), /LABELS\s+APP|APP\s+LABELS/);
    });

    it("at a selection, in an order, page by page", async () => {
      const names = async (...args: string[]): Promise<string[]> =>
        (await k.ok("get", "pods", "-o", "name", ...args)).trim().split("\n").filter(Boolean);
      assert.equal((await names("-l", "app=seen")).length, 2);
      assert.equal((await names("-l", "app in (seen,other),!absent", "--chunk-size=1")).length, 2);
      assert.equal((await names("-l", "app=seen,app!=seen")).length, 0);
      assert.equal(
        (await names("-l", "app=seen", "--field-selector", "status.phase=Running,spec.nodeName!=")).length,
        2,
      );
      assert.equal((await names("-l", "app=seen", "--field-selector", "status.phase=Failed")).length, 0);
      const addresses = await k.ok(
        "get",
        "pods",
        "-l",
        "app=seen",
        "--sort-by={.status.podIP}",
        "-o",
        "jsonpath={range .items[*]}{.status.podIP}{'\\n'}{end}",
      );
      const sorted = addresses.trim().split("\n");
      assert.deepEqual(
        sorted.toSorted((a, b) => Number(a.split(".")[3]) - Number(b.split(".")[3])),
        sorted,
      );
      assert.match(
        await k.fails("get", "pods", "--field-selector", "spec.foo=bar"),
        /field label not supported: spec\.foo/,
      );
      assert.match(await k.fails("get", "pods", "-l", "a=b=c"), /unable to parse requirement|found '='/);
      assert.match(
        (await k.outcome(["get", "pods", "-n", "nowhere"])).stderr,
        /No resources found in nowhere namespace/,
      );
    });

    it("while things change", async () => {
      const seen = k.follow(["get", "configmaps", "--watch"], (out) => /^later +1 [^]*^later +2 /m.test(out));
      const named = k.follow(["get", "configmaps", "-o", "name", "--watch-only"], (out) =>
        out.includes("configmap/later"),
      );
      let enough = false;
      const both = Promise.all([seen, named]).finally(() => (enough = true));
      // When the watches have begun is not to be seen from here, so it happens until they saw it.
      while (!enough) {
        await k.ok("create", "configmap", "later", "--from-literal=a=b");
        await k.ok("patch", "configmap", "later", "-p", '{"data":{"c":"d"}}');
        await k.ok("delete", "configmap", "later");
      }
      await both;
      assert.equal((await seen).split("\n").filter((line) => line.startsWith("NAME")).length, 1, "one line of words");
    });

    it("closely, at every kind", async () => {
      const described: [string, RegExp][] = [
        [
          "pods -l app=seen",
          /^Status: +Running\nIP: +10\.[^]*^Controlled By: +ReplicaSet\/seen-[^]*^QoS Class: +BestEffort/m,
        ],
        [
          "deployment seen",
          /^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available[^]*^NewReplicaSet: +seen-\S+ \(2\/2/m,
        ],
        ["replicaset -l app=seen", /^Replicas: +2 current \/ 2 desired\nPods Status: +2 Running/m],
        [
          "nodes",
          /^ +Ready +True [^]*KubeletReady[^]*^Capacity:\n +cpu: [^]*^Non-terminated Pods: [^]*RegisteredNode/m,
        ],
        [`namespace ${k.namespace}`, /^Status: +Active/m],
        ["configmap seen", /^Data\n====\na:\n----\nb\n/m],
        ["secret seen", /^Type: +Opaque\n\nData\n====\npassword: +6 bytes/m],
        ["serviceaccount default", /^Name: +default/m],
        ["role seen", /^ +pods +\[\] +\[\] +\[get\]/m],
        ["rolebinding seen", /^Role:\n +Kind: +Role\n +Name: +seen\nSubjects:[^]*^ +User +joe/m],
        ["clusterrole view", /^ +pods\/log +\[\] +\[\] +\[get list watch\]/m],
        ["clusterrolebinding cluster-admin", /^ +Group +system:masters/m],
        ["lease -n kube-node-lease", /^ +Holder Identity: +\S+/m],
      ];
      for (const [what, expected] of described)
        assert.match(await k.ok("describe", ...what.split(" ")), expected, what);
      assert.doesNotMatch(await k.ok("describe", "secret", "seen"), /hidden/);
    });

    it("at what happened, in the order in which it did", async () => {
      const [pod = ""] = (await k.ok("get", "pods", "-l", "app=seen", "-o", "name")).split("\n");
      const described = await k.ok("describe", pod);
      const reasons = [...described.matchAll(/^ +(?:Normal|Warning) +(\S+) /gm)].map(([, reason]) => reason);
      assert.deepEqual(reasons, ["Scheduled", "Pulled", "Created", "Started"]);
      assert.match(await k.ok("events", "--for", "deployment/seen"), /ScalingReplicaSet +Deployment\/seen +Scaled up/);
      assert.match(await k.ok("events", "--types=Normal"), /Scheduled/);
      const selected = ["--field-selector", `reason=Started,involvedObject.name=${pod.replace("pod/", "")}`];
      assert.equal(rowsOf(await k.ok("get", "events", ...selected)).length, 1);
      assert.match(await k.ok("get", "events", "--sort-by=.lastTimestamp"), /SuccessfulCreate/);
    });

    it("at the API itself", async () => {
      assert.match(await k.ok("version"), /Server Version: v1\.35\.0\+skerry/);
      const resources = await k.ok("api-resources");
      for (const [name, short, of, scoped, kind] of RESOURCES) {
        assert.match(resources, new RegExp(`^${name} +${short} *${of} +${scoped} +${kind}$`, "m"));
      }
      assert.match(await k.ok("api-resources", "--verbs=deletecollection", "-o", "name"), /^deployments\.apps$/m);
      assert.deepEqual((await k.ok("api-versions")).trim().split("\n"), [
        "apps/v1",
        "authentication.k8s.io/v1",
        "authorization.k8s.io/v1",
        "coordination.k8s.io/v1",
        "rbac.authorization.k8s.io/v1",
        "v1",
      ]);
      assert.match(await k.ok("explain", "pods.spec.restartPolicy"), /FIELD: restartPolicy <string>/);
      assert.match(await k.ok("explain", "deployment", "--recursive"), /containers\t<\[\]Container>/);
      for (const [name] of RESOURCES) assert.match(await k.ok("explain", name), /^DESCRIPTION:\n {4}\S/m);
      assert.match(await k.fails("explain", "pod.spec.nope"), /field "nope" does not exist/);
      assert.equal(await k.ok("get", "--raw", "/readyz"), "ok");
      assert.match(
        await k.ok("get", "--raw", `/api/v1/namespaces/${k.namespace}/configmaps/seen`),
        /^\{"apiVersion":"v1"|^\{"kind"/,
      );
      assert.match(await k.ok("get", "--raw", "/metrics"), /^apiserver_request_total/m);
    });

    it("for what is not there", async () => {
      assert.match(await k.fails("get", "pod", "nope"), /^Error from server \(NotFound\): pods "nope" not found$/m);
      assert.match(await k.fails("get", "pod/nope", "cm/nope"), /configmaps "nope" not found/);
      assert.equal(await k.ok("get", "pod", "nope", "--ignore-not-found"), "");
      assert.match(await k.fails("get", "gizmos"), /the server doesn't have a resource type "gizmos"/);
      assert.match(await k.fails("get", "--raw", "/nowhere"), /NotFound/);
    });
  });
}

/** Name, short name, group and version, namespaced, kind. */
const RESOURCES = [
  ["configmaps", "cm", "v1", "true", "ConfigMap"],
  ["events", "ev", "v1", "true", "Event"],
  ["namespaces", "ns", "v1", "false", "Namespace"],
  ["nodes", "no", "v1", "false", "Node"],
  ["pods", "po", "v1", "true", "Pod"],
  ["secrets", "", "v1", "true", "Secret"],
  ["serviceaccounts", "sa", "v1", "true", "ServiceAccount"],
  ["deployments", "deploy", "apps/v1", "true", "Deployment"],
  ["replicasets", "rs", "apps/v1", "true", "ReplicaSet"],
  ["leases", "", "coordination.k8s.io/v1", "true", "Lease"],
  ["clusterrolebindings", "", "rbac.authorization.k8s.io/v1", "false", "ClusterRoleBinding"],
  ["clusterroles", "", "rbac.authorization.k8s.io/v1", "false", "ClusterRole"],
  ["rolebindings", "", "rbac.authorization.k8s.io/v1", "true", "RoleBinding"],
  ["roles", "", "rbac.authorization.k8s.io/v1", "true", "Role"],
] as const;
