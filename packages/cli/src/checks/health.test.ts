import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { writePidFile } from "@skerry/base";
import type { Node, NodeStatus, Pod, PodStatus } from "@skerry/machinery/types";
import { commandLine } from "../instance/command-line.ts";
import { layoutOf, pidFileOf, type Layout } from "../instance/layout.ts";
import type { Settings } from "../instance/settings.ts";
import { TEST_SETTINGS as settings } from "../instance/test-settings.ts";
import { lookAt, nodeProblems, podProblems } from "./health.ts";

const never = new AbortController().signal;

async function temporaryLayout(): Promise<AsyncDisposable & { layout: Layout }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry it's "));
  return { layout: layoutOf(dir), [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

describe("lookAt()", () => {
  it("says skerry up of a machine that has not joined, and skerry edge start of one that has", async () => {
    await using temporary = await temporaryLayout();
    const { layout } = temporary;
    const mends = async (roles: Settings["roles"]): Promise<string[]> => {
      const { problems } = await lookAt({ layout, settings: { ...settings, roles } }, never);
      return problems.map(({ mend }) => mend);
    };
    const ours = (words: string): string => commandLine(layout, words);
    assert.deepEqual(await mends(["cloud", "edge"]), [ours("cloud start"), ours("up")]);
    assert.deepEqual(await mends(["edge"]), [ours("join HOST:PORT TOKEN")]);
    await mkdir(layout.edgeDir);
    await writeFile(layout.identity, "");
    assert.deepEqual(await mends(["cloud", "edge"]), [ours("cloud start"), ours("edge start")]);
    assert.deepEqual(await mends(["edge"]), [ours("edge start")]);
  });

  it("says what is wrong with the config file, until it is corrected", async () => {
    await using temporary = await temporaryLayout();
    const { layout } = temporary;
    const found = async (config: string): Promise<string | undefined> => {
      await writeFile(layout.configFile, config);
      const { problems } = await lookAt({ layout, settings }, never);
      return problems.find(({ mend }) => mend.startsWith("correct it"))?.what;
    };
    await mkdir(layout.configDir);
    const wrong = `${layout.configFile}:1: log-level takes debug, info, warn or error, not "loud"`;
    assert.equal(await found("log-level: loud\n"), wrong);
    assert.equal(await found("log-level: debug\n"), undefined);
  });

  it("says that a cloud is starting which has no kubeconfig yet", async () => {
    await using temporary = await temporaryLayout();
    const { layout } = temporary;
    await mkdir(layout.runDir);
    await writePidFile(pidFileOf(layout, "cloud"), process.pid);
    const { cloud, problems } = await lookAt({ layout, settings: { ...settings, roles: ["cloud"] } }, never);
    assert.equal(cloud.running, true);
    assert.deepEqual(
      problems.map(({ what }) => what),
      ["The cloud is starting"],
    );
  });
});

describe("nodeProblems()", () => {
  const instance = { layout: layoutOf("/srv/edge-1"), settings };
  const made = Date.parse("2026-01-01T00:00:00Z");
  const node = (status: NodeStatus): Node => ({
    metadata: { name: "n1", creationTimestamp: "2026-01-01T00:00:00Z" },
    status,
  });
  const unknown = { conditions: [{ type: "Ready", status: "Unknown" }] };
  const whats = (status: NodeStatus, ageMs: number): string[] =>
    nodeProblems(node(status), instance, made + ageMs).map(({ what }) => what);

  it("gives a node that has just joined a minute until its agent is heard of", () => {
    for (const status of [{}, unknown]) {
      assert.deepEqual(whats(status, 59_000), []);
      assert.deepEqual(whats(status, 60_000), ["Node n1 is out of reach"]);
    }
  });

  it("says at once that a node is out of reach which was heard of before, however new it is", () => {
    const nodeInfo = { kubeletVersion: "v1" } as NonNullable<NodeStatus["nodeInfo"]>;
    assert.deepEqual(whats({ ...unknown, nodeInfo }, 59_000), ["Node n1 is out of reach"]);
  });
});

describe("podProblems()", () => {
  const instance = { layout: layoutOf("/srv/edge-1"), settings };
  const waits = (status: PodStatus): Pod => ({
    metadata: { namespace: "default", name: "web" },
    spec: { containers: [{ name: "main" }] },
    status: {
      containerStatuses: [
        {
          name: "main",
          image: "app:1",
          imageID: "",
          ready: false,
          restartCount: 0,
          state: { waiting: { reason: "CreateContainerError" } },
        },
      ],
      ...status,
    },
  });

  it("names a pod that waits in what does not pass by itself, and none that has ended", () => {
    assert.deepEqual(
      podProblems(waits({ phase: "Pending" }), instance, 0).map(({ what }) => what),
      ["Pod default/web: main waits in CreateContainerError"],
    );
    assert.deepEqual(podProblems(waits({ phase: "Failed", reason: "DeadlineExceeded" }), instance, 0), []);
    assert.deepEqual(podProblems(waits({ phase: "Succeeded" }), instance, 0), []);
  });

  it("names a pod that is being made when something is in its way", () => {
    const whats = (message?: string): string[] => {
      const pod = waits({ phase: "Pending" });
      pod.status!.containerStatuses![0]!.state = {
        waiting: { reason: "ContainerCreating", ...(message && { message }) },
      };
      return podProblems(pod, instance, 0).map(({ what }) => what);
    };
    assert.deepEqual(whats(), []);
    assert.deepEqual(whats('configmap "site" not found'), [
      'Pod default/web: main waits in ContainerCreating: configmap "site" not found',
    ]);
  });

  it("names a deleted pod that does not leave, and what it waits for", () => {
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    const after = (ms: number, finalizers?: string[]) => {
      const pod = waits({ phase: "Succeeded" });
      pod.metadata = { ...pod.metadata, deletionTimestamp, ...(finalizers && { finalizers }) };
      return podProblems(pod, instance, Date.parse(deletionTimestamp) + ms);
    };
    assert.deepEqual(after(180_000), []);
    const [stuck] = after(180_001);
    assert.equal(stuck?.what, `Pod default/web was to be gone at ${deletionTimestamp}`);
    assert.ok(stuck.mend.includes(commandLine(instance.layout, "kubectl -n default delete pod web --force")));
    const [held] = after(180_001, ["example.com/billing"]);
    assert.equal(held?.mend, "it waits for whoever is to remove its finalizers: example.com/billing");
  });

  it("mends with commands on this instance, and says plainly which are another machine's", () => {
    const mendOf = (reason: string, nodeName: string): string | undefined => {
      const pod = waits({ phase: "Pending" });
      pod.spec!.nodeName = nodeName;
      pod.status!.containerStatuses![0]!.state = { waiting: { reason } };
      return podProblems(pod, instance, 0)[0]?.mend;
    };
    const ours = (words: string): string => commandLine(instance.layout, words);
    assert.equal(mendOf("CrashLoopBackOff", "n1"), `see why it ends (${ours("kubectl -n default logs web -p")})`);
    const describe = ours("kubectl -n default describe pod web");
    assert.equal(mendOf("Unsupported", "n1"), `leave out the field that its events name (${describe})`);
    assert.ok(mendOf("ErrImagePull", "n1")?.includes(`import it there: ${ours("image import FILE")} (`));
    assert.ok(mendOf("ErrImagePull", "n2")?.includes("import it there: ./skerry image import FILE ("));
  });
});
