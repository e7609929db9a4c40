import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { readPidFile } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import type { Pod } from "@skerry/machinery/types";
import { disorder, runningContainers, theContainer, traces, type RunningContainer } from "./containers.ts";
import { Machine } from "./machine.ts";
import { documents, pod, SLEEP } from "./manifests.ts";
import { generator } from "./random.ts";
import type { WriterReport } from "./writer.child.ts";

const KILLS = 20;
const KILLS_OF_CONTAINERD = 3;
/** The container of the pod that writes numbered lines. */
const WRITER = "default/writer/main";

/** Writes to the machine's API until its standard input ends, and then prints what it found. */
function startWriter(machine: Machine, seed: number): { child: ChildProcess; output: Promise<string> } {
  const script = path.join(import.meta.dirname, "writer.child.ts");
  const kubeconfig = path.join(machine.dataDir, "etc/kubeconfig");
  const args = [`--net=/run/netns/${machine.netns}`, "--", process.execPath, script, kubeconfig, String(seed)];
  const child = spawn("nsenter", args, { stdio: ["pipe", "pipe", "inherit"] });
  return { child, output: text(child.stdout) };
}

async function kill(machine: Machine, daemon: "cloud" | "edge" | "containerd/containerd"): Promise<void> {
  const id = await readPidFile(path.join(machine.dataDir, "run", `${daemon}.pid`));
  process.kill(id?.pid ?? assert.fail(`the ${daemon} does not run`), "SIGKILL");
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Containers that run more than once, whatever else is the matter at this moment. */
async function doubles(machine: Machine): Promise<string[]> {
  const running = await runningContainers(machine);
  return [...Map.groupBy(running, ({ podUid, name }) => `${name} of ${podUid}`)]
    .filter(([, all]) => all.length > 1)
    .map(([name]) => name);
}

const podsOf = async (machine: Machine): Promise<Pod[]> => (await machine.get<{ items: Pod[] }>("pods")).items;

describe("kill -9", () => {
  it(`of agent or cloud, ${KILLS} times, and of containerd beside them, loses nothing acknowledged, runs nothing twice and leaks nothing`, async (t) => {
    const seed = Number(process.env["SKERRY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`SKERRY_SEED=${seed}`);
    const random = generator(seed);
    await using machine = await Machine.create();
    await machine.skerry("up", "--no-sample");
    const { child, output } = startWriter(machine, seed);
    try {
      for (let round = 0; round < KILLS; round++) {
        const daemon = random() < 0.5 ? "edge" : "cloud";
        await pause(random() * 1_200); // the waits that are the subject: when it dies, and how long it stays dead
        await kill(machine, daemon);
        await pause(random() * 400);
        // Now and then containerd dies with them; while no agent is there, nobody starts it again.
        if (random() < 0.3) await kill(machine, "containerd/containerd").catch(() => {}); // dead since the last time
        // While containerd does not answer there is nothing to count; once all is over it is counted in any case.
        else assert.deepEqual(await doubles(machine).catch(() => []), []);
        await machine.skerry(daemon, "start");
      }
      child.stdin?.end();
      const report = JSON.parse(await output) as WriterReport;
      t.diagnostic(`${report.acknowledged} writes, ${report.retried} tries in vain`);
      assert.deepEqual([report.lost, report.refused], [[], []]);
      assert.ok(report.acknowledged > 200, `${report.acknowledged} writes are no load`);

      const count = report.pods.length + Object.values(report.deployments).reduce((sum, n) => sum + n, 0);
      const pods = await eventually(
        async () => {
          const all = await podsOf(machine);
          return all.length === count && all.every(({ status }) => status?.containerStatuses?.[0]?.ready) && all;
        },
        { what: `${count} pods to be ready`, timeoutMs: 30_000, everyMs: 300 },
      );
      const uids = new Set(pods.map(({ metadata }) => metadata.uid ?? ""));
      await eventually(async () => assertNothing(await disorder(machine, uids)), {
        what: "nothing to be held but by pods that exist",
        timeoutMs: 30_000,
        everyMs: 300,
      });
      const containers = await runningContainers(machine);
      assert.deepEqual(
        containers.map(({ id }) => `containerd://${id}`).toSorted(),
        pods.map(({ status }) => status?.containerStatuses?.[0]?.containerID ?? "").toSorted(),
        "the API knows the containers that run",
      );

      await machine.kubectl("delete", "deployments,pods", "--all");
      await eventually(async () => assertNothing(await traces(machine)), {
        what: "nothing to be left of pods",
        timeoutMs: 30_000,
        everyMs: 300,
      });
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("of containerd under a pod that writes a lot leaves the process as it is, and loses no line that it writes meanwhile", async () => {
    await using machine = await Machine.create();
    await machine.skerry("up", "--no-sample");
    // Half a megabyte each time it is told to: what the pipe holds is full long before a new containerd reads from it.
    const burst = 500;
    const script =
      `w=$(printf %01000d 0); i=0; n=0; trap 'n=$((n+${burst}))' USR1; ` +
      'while :; do if [ $i -lt $n ]; then i=$((i+1)); echo "line $i $w"; else sleep 0.05; fi; done';
    const { pid } = await startNumbering(machine, script);
    const written = async (bursts: number): Promise<void> => {
      const numbers = await eventually(
        async () => {
          const found = await numbersIn(machine);
          return (found.at(-1) ?? 0) >= bursts * burst && found;
        },
        { what: `${bursts} bursts in the log`, timeoutMs: 60_000 },
      );
      const expected = Array.from({ length: bursts * burst }, (_, n) => n + 1);
      assert.deepEqual(numbers, expected, "no line is lost, doubled or out of order");
    };
    let bursts = 0;
    for (let round = 0; round < KILLS_OF_CONTAINERD; round++) {
      process.kill(pid, "SIGUSR1");
      await written(++bursts); // and containerd holds none that it has not written
      await killContainerd(machine, { meanwhile: () => void process.kill(pid, "SIGUSR1") });
      await written(++bursts);
    }
    assert.equal((await theContainer(machine, WRITER)).pid, pid, "it is the same process");
    assert.equal((await podsOf(machine))[0]?.status?.containerStatuses?.[0]?.restartCount, 0);
  });

  it("of containerd under a pod that writes without a pause costs at most what containerd had read and not written", async (t) => {
    await using machine = await Machine.create();
    await machine.skerry("up", "--no-sample");
    const last = 400_000;
    const script = `i=0; while [ $i -lt ${last} ]; do i=$((i+1)); echo "line $i 0"; done; ${SLEEP}`;
    const before = await startNumbering(machine, script);
    for (let round = 0; round < KILLS_OF_CONTAINERD; round++) {
      await killContainerd(machine);
      assert.deepEqual(await theContainer(machine, WRITER), before, "it is the same process");
      const written = (await numbersIn(machine)).at(-1) ?? 0;
      await eventually(async () => ((await numbersIn(machine)).at(-1) ?? 0) > Math.min(written + 100, last - 1), {
        what: "more lines",
      });
    }
    const numbers = await eventually(
      async () => {
        const found = await numbersIn(machine);
        return found.at(-1) === last && found;
      },
      { what: "the last line", timeoutMs: 60_000, everyMs: 500 },
    );
    const gaps = numbers.map((number, at) => number - (numbers[at - 1] ?? 0) - 1).filter((gap) => gap !== 0);
    t.diagnostic(`${numbers.length} of ${last} lines; missing in a row: ${gaps.join(" ") || "none"}`);
    assert.ok(gaps.length <= KILLS_OF_CONTAINERD, "lines are missing only where containerd died");
    const lineBytes = `line ${last} 0\n`.length;
    for (const gap of gaps) assert.ok(gap > 0 && gap * lineBytes <= 64 * 1024, `${gap} lines in a row are missing`);
  });
});

/** Starts the pod that writes numbered lines, and waits until it runs. */
async function startNumbering(machine: Machine, script: string): Promise<RunningContainer> {
  const input = documents(pod("writer", { script }));
  assert.equal((await machine.kubectlOutcome(["apply", "-f", "-"], { input })).code, 0);
  const isReady = async (): Promise<boolean> =>
    (await podsOf(machine))[0]?.status?.containerStatuses?.[0]?.ready === true;
  await eventually(isReady, { what: "the pod to run" });
  return theContainer(machine, WRITER);
}

/** Kills containerd, and waits until it serves again. What `meanwhile` does happens while there is none. */
async function killContainerd(machine: Machine, { meanwhile }: { meanwhile?: () => void } = {}): Promise<void> {
  const pidFile = path.join(machine.dataDir, "run/containerd/containerd.pid");
  const old = (await readPidFile(pidFile))?.pid ?? assert.fail("containerd does not run");
  process.kill(old, "SIGKILL");
  meanwhile?.();
  await eventually(
    async () => {
      const now = await readPidFile(pidFile);
      return now !== undefined && now.pid !== old && (await runningContainers(machine));
    },
    { what: "containerd to serve again" },
  );
}

function assertNothing(found: object): true {
  assert.deepEqual(Object.entries(found), []);
  return true;
}

/** The numbers of the lines in the writer's log, rotated or not, in the order in which they stand there. */
async function numbersIn(machine: Machine): Promise<number[]> {
  const logs = path.join(machine.dataDir, "edge/logs/pods");
  const [folder = ""] = await readdir(logs);
  const dir = path.join(logs, folder, "main");
  const rotated = (await readdir(dir)).filter((name) => name !== "0.log").toSorted();
  const numbers: number[] = [];
  for (const name of [...rotated, "0.log"]) {
    const bytes = await readFile(path.join(dir, name));
    const content = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
    for (const [, number] of content.matchAll(/^\S+Z stdout F line (\d+) 0+$/gm)) numbers.push(Number(number));
  }
  return numbers;
}
