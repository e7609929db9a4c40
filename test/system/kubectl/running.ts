import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import type { Pod } from "@skerry/machinery/types";
import { IMAGE, pod, SLEEP } from "../manifests.ts";
import type { KubectlSession } from "./session.ts";

/** run, wait, logs, and what a pod cannot do yet. */
export function running(k: KubectlSession): void {
  describe("runs", { concurrency: false }, () => {
    it("a pod and waits for what becomes of it", async () => {
      assert.equal(
        await k.ok("run", "ran", `--image=${IMAGE}`, "--env=A=b", "--labels=x=y", "--restart=Never"),
        "pod/ran created\n",
      );
      assert.match(await k.ok("wait", "pod/ran", "--for=condition=Ready", "--timeout=20s"), /condition met/);
      await k.ok("wait", "pod/ran", "--for=jsonpath={.status.phase}=Running", "--timeout=1s");
      assert.match(
        await k.fails("wait", "pod/ran", "--for=condition=Nonsense", "--timeout=1s"),
        /timed out waiting for the condition/,
      );
      assert.match(await k.fails("wait", "pod/nope", "--for=condition=Ready", "--timeout=1s"), /pods "nope" not found/);
      const status = JSON.parse(await k.value("pod/ran", ".status")) as NonNullable<Pod["status"]>;
      assert.equal(status.containerStatuses?.[0]?.image, IMAGE);
      assert.equal(status.qosClass, "BestEffort");

      await k.given(
        pod("failing", { namespace: k.namespace, script: "echo sorry; exit 3", restartPolicy: "Never" }),
        "apply",
      );
      await k.ok("wait", "pod/failing", "--for=jsonpath={.status.phase}=Failed", "--timeout=20s");
      assert.match(await k.ok("get", "pod", "failing"), /^failing +0\/1 +Error +0 /m);
      assert.match(await k.ok("describe", "pod", "failing"), /State: +Terminated\n +Reason: +Error\n +Exit Code: +3/);
      assert.equal(await k.ok("logs", "failing"), "sorry\n");
      await k.ok("delete", "pod", "failing", "ran", "--grace-period=1");
    });

    it("containers whose logs it reads, all of them, some of them, since then, and as they come", async () => {
      const two: Pod = pod("talking", {
        namespace: k.namespace,
        script: `i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.2; done`,
      });
      const quiet = {
        name: "quiet",
        image: IMAGE,
        command: ["sh", "-c", `echo first; echo second; echo third; ${SLEEP}`],
      };
      two.spec?.containers.push(quiet);
      await k.given(two, "apply");
      await k.ok("wait", "pod/talking", "--for=condition=Ready", "--timeout=20s");
      const quietly = (...args: string[]): Promise<string> => k.ok("logs", "talking", "-c", "quiet", ...args);
      await eventually(async () => (await quietly()) === "first\nsecond\nthird\n", { what: "three lines" });
      assert.equal(await quietly("--tail=1"), "third\n");
      assert.equal(await quietly("--limit-bytes=7"), "first\ns");
      assert.equal(await quietly("--since-time=2100-01-01T00:00:00Z"), "");
      assert.equal(await quietly("--since=1h"), "first\nsecond\nthird\n");
      assert.match(await quietly("--timestamps", "--tail=1"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z third\n$/);
      // It goes on talking while its log is read.
      assert.match(await k.ok("logs", "talking", "--tail=1"), /^line \d+\n/);
      assert.match(
        (await k.outcome(["logs", "talking", "--tail=1"])).stderr,
        /Defaulted container "main" out of: main, quiet/,
      );
      const all = await k.ok("logs", "-l", "app=talking", "--all-containers", "--prefix", "--tail=-1");
      assert.match(all, /^\[pod\/talking\/quiet\] third$/m);
      assert.match(all, /^\[pod\/talking\/main\] line 1$/m);
      const followed = await k.follow(
        ["logs", "-f", "talking", "-c", "main", "--tail=1"],
        (out) => out.split("\n").length > 5,
      );
      const numbers = [...followed.matchAll(/^line (\d+)$/gm)].map(([, n]) => Number(n));
      assert.deepEqual(
        numbers,
        numbers.map((_, i) => (numbers[0] ?? 0) + i),
        "no line is lost or told twice",
      );
      assert.match(
        await k.fails("logs", "talking", "-c", "quiet", "--previous"),
        /previous terminated container "quiet" in pod "talking" not found/,
      );
      assert.match(await k.fails("logs", "nope"), /pods "nope" not found/);
      await k.ok("delete", "pod", "talking", "--grace-period=1");
    });

    it("a pod that fails, and reads what it said before it was restarted", async () => {
      const script = `[ -e /config/../tmp/ran ] || { mkdir -p /tmp; }; echo "I am $HOSTNAME"; sleep 0.5; exit 1`;
      await k.given(pod("again", { namespace: k.namespace, script, restartPolicy: "OnFailure" }), "apply");
      await k.ok("wait", "pod/again", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "--timeout=30s");
      assert.equal(await k.ok("logs", "again", "--previous"), "I am again\n");
      await eventually(async () => /CrashLoopBackOff +[1-9]\d* \(\d+s ago\)/.test(await k.ok("get", "pod", "again")), {
        what: "a back-off to be shown",
        timeoutMs: 30_000,
        everyMs: 200,
      });
      assert.match(
        await k.ok("describe", "pod", "again"),
        /Warning +BackOff +.*Back-off restarting failed container main/,
      );
      await k.ok("delete", "pod", "again", "--grace-period=0", "--force");
    });

    it("nothing inside a container yet, and says so", async () => {
      await k.given(pod("closed", { namespace: k.namespace, script: SLEEP }), "apply");
      await k.ok("wait", "pod/closed", "--for=condition=Ready", "--timeout=20s");
      const file = await k.write("copied", "x");
      const unbuilt: [string[], string][] = [
        [["exec", "closed", "--", "ls"], "exec"],
        [["attach", "closed"], "attach"],
        [["port-forward", "closed", "18080:8080"], "portforward"],
        [["cp", "closed:/etc/hostname", `${file}.out`], "exec"],
        [["debug", "closed", `--image=${IMAGE}`], "ephemeralcontainers"],
      ];
      for (const [args, name] of unbuilt) {
        assert.match(await k.fails(...args), new RegExp(`Skerry does not have ${name} yet`), args.join(" "));
      }
      assert.match(await k.fails("top", "pods"), /Metrics API not available/);
      await k.ok("delete", "pod", "closed");
    });
  });
}
