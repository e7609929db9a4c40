import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { KubectlSession } from "./session.ts";

/** auth, impersonation, tokens: what those may do who are no administrators. */
export function access(k: KubectlSession): void {
  describe("knows who may what", { concurrency: false }, () => {
    const account = (): string => `system:serviceaccount:${k.namespace}:robot`;
    let kubeconfig = "";
    const robot = (...args: string[]): ReturnType<typeof k.outcome> => k.outcome(args, { kubeconfig });
    const robotFails = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await robot(...args);
      assert.equal(code, 1, stdout);
      return stderr;
    };

    before(async () => {
      await k.ok("create", "serviceaccount", "robot");
      await k.ok("create", "role", "reader", "--verb=get,list,watch", "--resource=pods,pods/log,configmaps");
      await k.ok("create", "rolebinding", "reader", "--role=reader", `--serviceaccount=${k.namespace}:robot`);
      await k.ok("create", "configmap", "readable", "--from-literal=a=b");
      kubeconfig = await k.kubeconfigFor("robot.conf", (await k.ok("create", "token", "robot")).trim());
    });

    it("by a token", async () => {
      assert.match((await robot("auth", "whoami")).stdout, new RegExp(`Username +${account()}\\n`));
      assert.equal((await robot("get", "configmap", "readable", "-o", "name")).stdout, "configmap/readable\n");
      assert.match(
        await robotFails("delete", "configmap", "readable"),
        new RegExp(
          `Error from server \\(Forbidden\\): configmaps "readable" is forbidden: User "${account()}" cannot delete ` +
            `resource "configmaps" in API group "" in the namespace "${k.namespace}"`,
        ),
      );
      assert.match(
        await robotFails("get", "pods", "-n", "default"),
        /pods is forbidden: .* in the namespace "default"/,
      );
      assert.match(await robotFails("get", "nodes"), /nodes is forbidden: .* at the cluster scope/);
      assert.match(await robotFails("get", "configmaps", "--as=skerry-admin"), /cannot impersonate resource "users"/);
      assert.equal((await robot("auth", "can-i", "list", "pods")).stdout, "yes\n");
      assert.deepEqual((await robot("auth", "can-i", "create", "pods")).stdout, "no\n");
      assert.match((await robot("auth", "can-i", "--list")).stdout, /^configmaps +\[\] +\[\] +\[get list watch\]$/m);
    });

    it("until the token is good no more", async () => {
      for (const bad of ["nonsense", "a.b.c"]) {
        const { code, stderr } = await k.outcome(["get", "pods"], {
          kubeconfig: await k.kubeconfigFor("bad.conf", bad),
        });
        assert.equal(code, 1);
        assert.match(stderr, /You must be logged in to the server \(Unauthorized\)/);
      }
      await k.ok("create", "serviceaccount", "leaving");
      const token = (await k.ok("create", "token", "leaving")).trim();
      const leaving = await k.kubeconfigFor("leaving.conf", token);
      assert.equal((await k.outcome(["auth", "whoami"], { kubeconfig: leaving })).code, 0);
      await k.ok("delete", "serviceaccount", "leaving");
      await k.ok("create", "serviceaccount", "leaving");
      const { stderr } = await k.outcome(["auth", "whoami"], { kubeconfig: leaving });
      assert.match(stderr, /Unauthorized/, "another account of the same name is another account");
      assert.match(await k.fails("create", "token", "nobody"), /serviceaccounts "nobody" not found/);
      assert.match(
        await k.fails("create", "token", "robot", "--duration=1s"),
        /may not specify a duration less than 10 minutes/,
      );
    });

    it("as somebody else", async () => {
      assert.equal(await k.ok("auth", "can-i", "get", "pods", `--as=${account()}`), "yes\n");
      assert.equal((await k.outcome(["auth", "can-i", "delete", "pods", `--as=${account()}`])).stdout, "no\n");
      assert.equal(await k.ok("auth", "can-i", "get", "pods", "--subresource=log", `--as=${account()}`), "yes\n");
      assert.match(await k.fails("get", "pods", "--as=joe"), /User "joe" cannot list resource "pods"/);
      await k.ok("get", "pods", "--as=joe", "--as-group=system:masters");
      assert.match(
        await k.ok("auth", "whoami", "--as=joe", "--as-group=crew"),
        /Username +joe\nGroups +\[crew system:authenticated\]/,
      );
      assert.match(await k.ok("auth", "whoami"), /Groups +\[system:masters system:authenticated\]/);
    });

    it("and lets nobody give away more than they have", async () => {
      const { namespace } = k;
      await k.ok(
        "create",
        "role",
        "granter",
        "--verb=create,get,list",
        "--resource=roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io",
      );
      await k.ok("create", "rolebinding", "granter", "--role=granter", `--serviceaccount=${namespace}:robot`);
      assert.equal((await robot("create", "role", "less", "--verb=get", "--resource=pods")).code, 0);
      assert.match(
        await robotFails("create", "role", "more", "--verb=delete", "--resource=pods"),
        /attempting to grant RBAC permissions not currently held/,
      );
      assert.match(
        await robotFails(
          "create",
          "rolebinding",
          "more",
          "--clusterrole=cluster-admin",
          `--serviceaccount=${namespace}:robot`,
        ),
        /attempting to grant RBAC permissions not currently held/,
      );
      const role = {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        metadata: { name: "reconciled", namespace },
        rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }],
      };
      assert.match((await k.given(role, "auth", "reconcile")).stdout, /reconciled/);
    });
  });
}
