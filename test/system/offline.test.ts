import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Node, Pod } from "@skerry/machinery/types";
import { eventually } from "@skerry/base/testing";
import { runningContainers, theContainer } from "./containers.ts";
import { Machine } from "./machine.ts";
import { configMap, deployment, documents, pod, SLEEP } from "./manifests.ts";

const podsOf = async (machine: Machine): Promise<Pod[]> => (await machine.get<{ items: Pod[] }>("pods")).items;

const isReady = ({ status }: Pod | Node): boolean =>
  (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True");

/** Which container of which pod runs, how often it was restarted: what must not change when a cloud comes back. */
const lives = (pods: Pod[]): Record<string, string> =>
  Object.fromEntries(
    pods.map(({ metadata, status }) => [
      metadata.name,
      (status?.containerStatuses ?? []).map(({ containerID, restartCount }) => `${containerID} ${restartCount}`).join(),
    ]),
  );

describe("An edge without its cloud", () => {
  it("goes on, restarts what crashes, and tells it when the cloud is back, restarting nothing", async () => {
    await using machine = await Machine.create();
    await machine.skerry("up", "--no-sample");
    const manifests = documents(
      configMap("settings", { WORD: "sea" }),
      deployment("web", 2),
      pod("crasher", { script: `echo "the word is $WORD"; ${SLEEP}`, envFrom: "settings", files: "settings" }),
      pod("retried", { script: SLEEP, restartPolicy: "OnFailure" }),
      pod("once", { script: SLEEP, restartPolicy: "Never" }),
      pod("ended", { script: "exit 0", restartPolicy: "OnFailure" }),
    );
    const applied = await machine.kubectlOutcome(["apply", "-f", "-"], { input: manifests });
    assert.equal(applied.code, 0, applied.stderr);
    await eventually(
      async () => {
        const pods = await podsOf(machine);
        const ended = pods.find(({ metadata }) => metadata.name === "ended");
        return pods.length === 6 && ended?.status?.phase === "Succeeded" && pods.filter(isReady).length === 5;
      },
      { what: "all pods", timeoutMs: 30_000, everyMs: 200 },
    );
    const before = lives(await podsOf(machine));
    const running = await runningContainers(machine);
    assert.equal(running.length, 5);

    await machine.skerry("cloud", "stop");
    for (const name of ["crasher", "retried", "once"]) {
      const { pid } = await theContainer(machine, `default/${name}/main`);
      process.kill(pid, "SIGKILL");
    }
    const after = await eventually(
      async () => {
        const now = await runningContainers(machine);
        const again = now.filter(({ attempt }) => attempt === 1).map(({ name }) => name);
        return again.join() === "default/crasher/main,default/retried/main" && now.length === 4 && now;
      },
      { what: "crashed containers to run again without a cloud" },
    );
    // The agent itself may die meanwhile, too: its successor starts from its own memory.
    await machine.skerry("edge", "kill");
    await machine.skerry("edge", "start");
    const status = await machine.exec("./skerry", ["status", "-o", "json"]);
    const { edge, problems } = JSON.parse(status.stdout) as { edge: { link: string }; problems: { what: string }[] };
    assert.equal(edge.link, "down");
    assert.ok(
      problems.some(({ what }) => what.includes("cloud does not run")),
      status.stdout,
    );

    // Without its cloud it is ready all the same.
    const curl = (page: string) =>
      machine.exec("curl", ["-fsS", "--unix-socket", `${machine.dataDir}/run/agent.sock`, `http://edge/${page}`]);
    await eventually(async () => (await curl("readyz")).stdout === "ok\n");
    const metrics = (await curl("metrics")).stdout;
    assert.match(metrics, /^skerry_edge_link_up 0$/m);
    assert.match(
      metrics,
      /^skerry_edge_container_restarts_total\{namespace="default",pod="crasher",container="main"\} 1$/m,
    );
    assert.match(metrics, /^skerry_edge_runtime_requests_total\{method="ListContainers",outcome="OK"\} [1-9]/m);
    assert.match(metrics, /^skerry_edge_runtime_request_duration_seconds_count\{method="ListContainers"\} [1-9]/m);
    assert.match(metrics, /^skerry_edge_images [1-9]/m);
    const { rssBytes } = JSON.parse((await curl("status")).stdout) as { rssBytes: number };
    assert.ok(rssBytes > 0);

    await machine.skerry("cloud", "start");
    const pods = await eventually(
      async () => {
        const [all, nodes] = [await podsOf(machine), (await machine.get<{ items: Node[] }>("nodes")).items];
        const by = new Map(all.map((each) => [each.metadata.name, each]));
        const restarts = (name: string): number | undefined =>
          by.get(name)?.status?.containerStatuses?.[0]?.restartCount;
        return (
          nodes.every(isReady) &&
          restarts("crasher") === 1 &&
          restarts("retried") === 1 &&
          by.get("once")?.status?.phase === "Failed" &&
          all.filter(isReady).length === 4 &&
          all
        );
      },
      { what: "statuses to be right after the cloud's return", timeoutMs: 15_000, everyMs: 200 },
    );
    const crasher = pods.find(({ metadata }) => metadata.name === "crasher")?.status?.containerStatuses?.[0];
    assert.equal(crasher?.lastState?.terminated?.exitCode, 137);
    const once = pods.find(({ metadata }) => metadata.name === "once")?.status?.containerStatuses?.[0];
    assert.equal(once?.state?.terminated?.exitCode, 137);
    const now = lives(pods);
    for (const name of Object.keys(before).filter((each) => /^(web-|ended)/.test(each)))
      assert.equal(now[name], before[name], `${name} is as it was`);
    assert.match(await machine.kubectl("logs", "crasher"), /the word is sea/);

    await machine.kubectl("scale", "deployment", "web", "--replicas=0");
    await eventually(
      async () => (await runningContainers(machine)).every(({ name }) => !name.startsWith("default/web-")),
      { what: "the scaled Deployment's pods to end" },
    );
    const web = /^default\/web-/;
    assert.deepEqual(
      (await runningContainers(machine)).map(({ id }) => id),
      after.filter(({ name }) => !web.test(name)).map(({ id }) => id),
      "nothing else was restarted since the cloud went away",
    );
    await eventually(async () => (await podsOf(machine)).length === 4, { what: "the pods' objects to go" });
  });
});
