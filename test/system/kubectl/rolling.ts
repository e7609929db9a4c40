import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { deployment } from "../manifests.ts";
import { rowsOf, type KubectlSession } from "./session.ts";

/** scale, set, rollout. */
export function rolling(k: KubectlSession): void {
  describe("rolls", { concurrency: false }, () => {
    const status = (): Promise<string> => k.ok("rollout", "status", "deployment/rolled", "--timeout=40s");
    const history = async (): Promise<string[]> =>
      (await k.ok("rollout", "history", "deployment/rolled"))
        .split("\n")
        .slice(2)
        .filter(Boolean)
        .map((line) => line.replace(/\s+/, " "));
    /** Sizes of the ReplicaSets that have any, by their image. */
    const sets = async (): Promise<string> =>
      k.ok(
        "get",
        "rs",
        "-l",
        "app=rolled",
        "-o",
        "jsonpath={range .items[?(@.spec.replicas>0)]}{.status.readyReplicas} {.spec.template.spec.containers[0].env}{'\\n'}{end}",
      );

    before(async () => {
      await k.given(deployment("rolled", 1, { namespace: k.namespace }), "apply");
      assert.match(await status(), /deployment "rolled" successfully rolled out/);
    });

    it("to another number of pods", async () => {
      assert.equal(await k.ok("scale", "deployment/rolled", "--replicas=3"), "deployment.apps/rolled scaled\n");
      await status();
      assert.match(await k.ok("get", "deployment", "rolled"), /^rolled +3\/3 +3 +3/m);
      assert.match(
        await k.fails("scale", "deployment/rolled", "--current-replicas=9", "--replicas=1"),
        /Expected replicas to be 9, was 3/,
      );
      await k.ok("scale", "deployment/rolled", "--replicas=2");
      await k.ok("wait", "deployment/rolled", "--for=jsonpath={.status.replicas}=2", "--timeout=20s");
      assert.deepEqual(await history(), ["1 <none>"], "a number is no new revision");
    });

    it("to another template and back", async () => {
      await k.ok("set", "env", "deployment/rolled", "WORD=sea");
      await k.ok("annotate", "deployment/rolled", "kubernetes.io/change-cause=the sea");
      await status();
      assert.equal(await sets(), '2 [{"name":"WORD","value":"sea"}]\n');
      assert.deepEqual(await history(), ["1 <none>", "2 the sea"]);
      assert.match(await k.ok("rollout", "history", "deployment/rolled", "--revision=2"), /WORD:\tsea/);
      assert.equal(await k.ok("rollout", "undo", "deployment/rolled"), "deployment.apps/rolled rolled back\n");
      await status();
      assert.equal(await sets(), "2 \n");
      assert.deepEqual(
        (await history()).map((line) => line.split(" ")[0]),
        ["2", "3"],
      );
      await k.ok("rollout", "undo", "deployment/rolled", "--to-revision=2");
      await status();
      assert.equal(await sets(), '2 [{"name":"WORD","value":"sea"}]\n');
      assert.match(
        await k.fails("rollout", "undo", "deployment/rolled", "--to-revision=99"),
        /unable to find specified revision 99/,
      );
    });

    it("again, when it is told to restart", async () => {
      const names = async (): Promise<string> =>
        k.ok("get", "pods", "-l", "app=rolled", "-o", "name", "--field-selector=status.phase=Running");
      const old = await names();
      assert.equal(await k.ok("rollout", "restart", "deployment/rolled"), "deployment.apps/rolled restarted\n");
      await status();
      await k.ok("wait", ...old.trim().split("\n"), "--for=delete", "--timeout=20s");
      for (const name of (await names()).trim().split("\n")) assert.ok(!old.includes(name), name);
    });

    it("nothing while it is paused", async () => {
      assert.equal(await k.ok("rollout", "pause", "deployment/rolled"), "deployment.apps/rolled paused\n");
      assert.match(await k.fails("rollout", "pause", "deployment/rolled"), /already paused/);
      await k.ok("set", "env", "deployment/rolled", "WORD=shore");
      await k.ok("wait", "deployment/rolled", "--for=condition=Progressing=Unknown", "--timeout=10s");
      assert.match(await k.ok("describe", "deployment", "rolled"), /Progressing +Unknown +DeploymentPaused/);
      assert.equal(await sets(), '2 [{"name":"WORD","value":"sea"}]\n');
      await k.ok("rollout", "resume", "deployment/rolled");
      await status();
      assert.equal(await sets(), '2 [{"name":"WORD","value":"shore"}]\n');
    });

    it("slowly into what cannot run, and lets the old pods serve meanwhile", async () => {
      await k.ok("set", "image", "deployment/rolled", "main=skerry.local/missing:1");
      await eventually(
        async () => {
          const rows = rowsOf(await k.ok("get", "pods", "-l", "app=rolled"));
          return rows.filter((row) => / 0\/1 +(ErrImagePull|ImagePullBackOff) /.test(row)).length === 1;
        },
        { what: "the new pod to fail", timeoutMs: 20_000, everyMs: 100 },
      );
      const { code, stderr } = await k.outcome(["rollout", "status", "deployment/rolled", "--timeout=2s"]);
      assert.equal(code, 1);
      assert.match(stderr, /timed out waiting for the condition/);
      assert.match(await k.ok("get", "deployment", "rolled"), /^rolled +2\/2 +1 +2/m);
      assert.match(await k.ok("events", "--types=Warning"), /Failed to pull image "skerry\.local\/missing:1"/);
      assert.match(await k.fails("logs", "deployment/rolled", "--tail=1", "-c", "nope"), /container nope is not valid/);
      await k.ok("rollout", "undo", "deployment/rolled");
      await status();
      assert.equal(await sets(), '2 [{"name":"WORD","value":"shore"}]\n');
      assert.match(
        await k.fails("set", "image", "deployment/rolled", "nope=x:1"),
        /unable to find container named "nope"/,
      );
    });

    it("all at once, when all pods must go before the first new one comes", async () => {
      const strategy = { type: "Recreate", rollingUpdate: null };
      await k.ok("patch", "deployment/rolled", "-p", JSON.stringify({ spec: { strategy } }));
      await k.ok("set", "resources", "deployment/rolled", "--limits=memory=64Mi", "--requests=cpu=1m");
      await status();
      assert.match(await k.ok("describe", "deployment", "rolled"), /StrategyType: +Recreate[^]*memory: +64Mi/);
      await k.ok("delete", "deployment", "rolled");
    });
  });
}
