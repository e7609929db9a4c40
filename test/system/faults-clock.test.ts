import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { globSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import type { Lease, Node, Pod } from "@skerry/machinery/types";
import { runningContainers, theContainer } from "./containers.ts";
import { Machine } from "./machine.ts";
import { deployment, documents, pod, SLEEP } from "./manifests.ts";

const ENTRY = path.resolve(import.meta.dirname, "../../bin/skerry.ts");

/** A daemon in the foreground whose wall clock a test sets; its monotonic clock goes on, as with a real jump. */
class SkewedDaemon implements AsyncDisposable {
  readonly #file: string;
  readonly #output: string[] = [];
  readonly #child: ChildProcess;

  constructor(machine: Machine, daemon: "cloud" | "edge") {
    this.#file = path.join(machine.dataDir, `${daemon}-clock`);
    this.jump("+0");
    const [library = assert.fail("libfaketime is not installed: apt-get install faketime")] = globSync(
      "/usr/lib/*/faketime/libfaketime.so.1",
    );
    const variables = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
    this.#child = spawn(
      "nsenter",
      [
        `--net=/run/netns/${machine.netns}`,
        "--",
        "env",
        ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
        process.execPath,
        ENTRY,
        daemon,
        "--data-dir",
        machine.dataDir,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (chunk: Buffer) => this.#output.push(chunk.toString("utf8")));
  }

  /** Sets its clock apart from the machine's: `+2h`, `-50y`. */
  jump(offset: string): void {
    writeFileSync(this.#file, `${offset}\n`);
  }

  get output(): string {
    return this.#output.join("");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }
}

const isReady = ({ status }: Node | Pod): boolean =>
  (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True");
const nodesOf = async (machine: Machine): Promise<Node[]> => (await machine.get<{ items: Node[] }>("nodes")).items;
const podsOf = async (machine: Machine): Promise<Pod[]> => (await machine.get<{ items: Pod[] }>("pods")).items;

async function apply(machine: Machine, ...items: object[]): Promise<void> {
  const { code, stderr } = await machine.kubectlOutcome(["apply", "-f", "-"], { input: documents(...items) });
  assert.equal(code, 0, stderr);
}

const linkOf = async (machine: Machine): Promise<string> =>
  (JSON.parse((await machine.exec("./skerry", ["status", "-o", "json"])).stdout) as { edge: { link: string } }).edge
    .link;

async function allReady(machine: Machine, count: number): Promise<void> {
  await eventually(
    async () => {
      const pods = await podsOf(machine);
      return (await nodesOf(machine)).every(isReady) && pods.length === count && pods.every(isReady);
    },
    { what: "the node and its pods to be ready", timeoutMs: 40_000, everyMs: 300 },
  );
}

const HOUR_MS = 3_600_000;

/** Since when the node has been what it is. */
async function transitionOf(machine: Machine): Promise<string | undefined> {
  const [node] = await nodesOf(machine);
  return node?.status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime;
}

/** The year in the last line that a daemon wrote. */
const yearIn = (output: string): number =>
  Number(/.*"time":"(\d{4})-/s.exec(output)?.[1] ?? assert.fail(`there is no time in ${output}`));

describe("A clock that jumps", () => {
  it("at the edge costs no pod and no link, and crashed containers are restarted", async () => {
    await using machine = await Machine.create();
    await machine.skerry("up", "--no-sample");
    await apply(machine, deployment("web", 1), pod("crasher", { script: SLEEP }));
    await allReady(machine, 2);
    await machine.skerry("edge", "stop");
    await using edge = new SkewedDaemon(machine, "edge");
    await eventually(async () => (await linkOf(machine)) === "up", { what: "the edge to be back" });
    const [web] = (await runningContainers(machine)).filter(({ name }) => name.startsWith("default/web"));

    let restarts = 0;
    const thisYear = new Date().getUTCFullYear();
    for (const [offset, year] of [
      ["+2h", undefined],
      ["-50y", thisYear - 50],
      ["+0", thisYear],
    ] as const) {
      edge.jump(offset);
      // With the cloud's return the edge must greet, prove and report itself anew, under the wrong time.
      await machine.skerry("cloud", "stop");
      await machine.skerry("cloud", "start");
      await allReady(machine, 2);
      if (year !== undefined)
        assert.ok(Math.abs(yearIn(edge.output) - year) <= 1, `its clock is in ${yearIn(edge.output)}`);
      const { id, pid } = await theContainer(machine, "default/crasher/main");
      process.kill(pid, "SIGKILL");
      restarts++;
      await eventually(async () => (await theContainer(machine, "default/crasher/main")).id !== id, {
        what: `a crashed container to run again with a clock at ${offset}`,
        timeoutMs: 60_000,
        everyMs: 200,
      });
      await eventually(
        async () =>
          (await machine.get<Pod>("pod", "crasher")).status?.containerStatuses?.[0]?.restartCount === restarts,
        { what: "the restart to be told", everyMs: 200 },
      );
    }
    assert.ok(
      (await runningContainers(machine)).some(({ id }) => id === web?.id),
      "the other pod is as it was",
    );
  });

  it("at the cloud costs no pod and no node, and pods are made as before", async () => {
    await using machine = await Machine.create();
    await machine.skerry("up", "--no-sample");
    await apply(machine, deployment("web", 2));
    await allReady(machine, 2);
    const before = await runningContainers(machine);
    const nodeName = (await nodesOf(machine))[0]?.metadata.name ?? "";
    await machine.skerry("cloud", "stop");
    await using cloud = new SkewedDaemon(machine, "cloud");
    await eventually(async () => (await linkOf(machine)) === "up", { what: "the link", everyMs: 200 });
    await allReady(machine, 2);

    const since = await transitionOf(machine);
    let pods = 2;
    for (const [offset, ms] of [
      ["+2h", 2 * HOUR_MS],
      ["-2h", -2 * HOUR_MS],
      ["+0", 0],
    ] as const) {
      cloud.jump(offset);
      await eventually(
        async () => {
          const { spec } = await machine.get<Lease>("lease", "-n", "kube-node-lease", nodeName);
          return Math.abs(Date.parse(spec?.renewTime ?? "") - Date.now() - ms) < HOUR_MS / 2;
        },
        { what: `the lease to be renewed with a clock at ${offset}`, timeoutMs: 40_000, everyMs: 500 },
      );
      await apply(machine, pod(`after-${pods}`, { script: SLEEP }));
      pods++;
      await allReady(machine, pods);
    }
    assert.equal(await transitionOf(machine), since, "the node was never taken for lost");
    const ids = new Set((await runningContainers(machine)).map(({ id }) => id));
    for (const { id, name } of before) assert.ok(ids.has(id), `${name} is as it was`);
  });
});
