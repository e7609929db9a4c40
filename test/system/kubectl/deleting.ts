import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { runningContainers } from "../containers.ts";
import { deployment, pod, SLEEP } from "../manifests.ts";
import type { KubectlSession } from "./session.ts";

/** delete in all its ways. */
export function deleting(k: KubectlSession): void {
  describe("deletes", { concurrency: false }, () => {
    const make = async (name: string): Promise<void> => {
      await k.given(deployment(name, 1, { namespace: k.namespace }), "apply");
      await k.ok("rollout", "status", `deployment/${name}`, "--timeout=30s");
    };
    const left = (name: string): Promise<string> => k.ok("get", "deploy,rs,pods", "-l", `app=${name}`, "-o", "name");
    /** Containers of pods whose name begins so, as containerd knows them. */
    const containersOf = async (name: string): Promise<number> =>
      (await runningContainers(k.machine)).filter((each) => each.name.startsWith(`${k.namespace}/${name}`)).length;
    const gone = (name: string): Promise<unknown> =>
      eventually(async () => (await left(name)) === "" && (await containersOf(name)) === 0, {
        what: `everything of ${name} to go`,
        timeoutMs: 30_000,
        everyMs: 100,
      });

    it("what it owns in the background", async () => {
      await make("background");
      assert.match(await k.ok("delete", "deployment", "background"), /^deployment\.apps "background" deleted/);
      assert.doesNotMatch(await left("background"), /deployment/);
      await gone("background");
    });

    it("what it owns first, in the foreground", async () => {
      await make("foreground");
      await k.ok("delete", "deployment", "foreground", "--cascade=foreground");
      assert.equal(await left("foreground"), "", "the owner goes last");
      await gone("foreground");
    });

    it("an owner alone, and leaves the orphans to the next one", async () => {
      await make("orphaned");
      await k.ok("delete", "deployment", "orphaned", "--cascade=orphan");
      const orphans = await left("orphaned");
      assert.match(
        orphans,
        /^pod\/orphaned-\S+\nreplicaset\.apps\/orphaned-\S+\n$|^replicaset\.apps\/orphaned-\S+\npod\/orphaned-\S+\n$/,
      );
      assert.equal(
        await k.ok("get", "rs", "-l", "app=orphaned", "-o", "jsonpath={.items[0].metadata.ownerReferences}"),
        "",
      );
      await make("orphaned");
      assert.equal((await left("orphaned")).replace("deployment.apps/orphaned\n", ""), orphans, "the same are adopted");
      await k.ok("delete", "deployment", "orphaned");
      await gone("orphaned");
    });

    it("a pod in the time that it is given, or at once", async () => {
      const stubborn = (name: string): object =>
        pod(name, { namespace: k.namespace, script: "trap '' TERM; while :; do sleep 1; done" });
      await k.given(stubborn("stubborn"), "apply");
      await k.ok("wait", "pod/stubborn", "--for=condition=Ready", "--timeout=20s");
      const began = performance.now();
      await k.ok("delete", "pod", "stubborn", "--grace-period=1");
      const tookMs = performance.now() - began;
      assert.ok(tookMs > 900 && tookMs < 10_000, `${tookMs} ms`);

      await k.given(stubborn("waiting"), "apply");
      await k.ok("wait", "pod/waiting", "--for=condition=Ready", "--timeout=20s");
      await k.ok("delete", "pod", "waiting", "--grace-period=300", "--wait=false");
      assert.match(await k.ok("get", "pod", "waiting"), /^waiting +1\/1 +Terminating /m);
      const { stderr } = await k.outcome(["delete", "pod", "waiting", "--force", "--grace-period=0"]);
      assert.match(stderr, /Immediate deletion does not wait for confirmation/);
      assert.match(await k.fails("get", "pod", "waiting"), /NotFound/);
      await gone("waiting");
    });

    it("a pod that a finalizer holds only when it lets go", async () => {
      await k.given(pod("held", { namespace: k.namespace, script: SLEEP }), "apply");
      await k.ok("wait", "pod/held", "--for=condition=Ready", "--timeout=20s");
      await k.ok("patch", "pod/held", "-p", '{"metadata":{"finalizers":["example.com/hold"]}}');
      assert.match(await k.fails("delete", "pod", "held", "--timeout=1s"), /timed out waiting for the condition/);
      await eventually(async () => (await containersOf("held")) === 0, {
        what: "its container to end",
        timeoutMs: 20_000,
      });
      await k.ok("patch", "pod/held", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]');
      assert.match(await k.fails("get", "pod", "held"), /NotFound/);
    });

    it("a selection, a list, and whole namespaces", async () => {
      for (const name of ["one", "two", "three"]) await k.ok("create", "configmap", name);
      await k.ok("label", "cm", "one", "two", "doomed=yes");
      assert.equal((await k.ok("delete", "cm", "-l", "doomed=yes")).trim().split("\n").length, 2);
      await k.ok("delete", "cm/three");
      assert.match(await k.fails("delete", "cm", "three"), /configmaps "three" not found/);
      assert.equal(await k.ok("delete", "cm", "three", "--ignore-not-found"), "");
      assert.match(await k.ok("delete", "node", "--all", "--dry-run=server"), /deleted \(server dry run\)/);

      const other = `${k.namespace}-doomed`;
      await k.ok("create", "namespace", other);
      await k.given({ ...deployment("inside", 1, { namespace: other }) }, "apply", "-n", other);
      await k.ok("rollout", "status", "deployment/inside", "-n", other, "--timeout=30s");
      await k.ok("delete", "namespace", other, "--timeout=50s");
      assert.match(await k.fails("get", "namespace", other), /NotFound/);
      assert.equal((await runningContainers(k.machine)).filter(({ name }) => name.startsWith(`${other}/`)).length, 0);
      for (const kept of ["default", "kube-system"]) {
        assert.match(await k.fails("delete", "namespace", kept), /this namespace may not be deleted/);
      }
    });
  });
}
