import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { readPidFile } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import type { Node, Pod } from "@skerry/machinery/types";
import { builtinImages, HELLO_IMAGE } from "../../packages/agent/src/images/builtin-images.ts";
import { imageArchive } from "../../packages/agent/src/images/oci-image.ts";
import { lockInstance } from "../../packages/cli/src/instance/instance-lock.ts";
import { layoutOf } from "../../packages/cli/src/instance/layout.ts";
import { runningContainers, theContainer } from "./containers.ts";
import type { Machine } from "./machine.ts";
import { Machine as PlainMachine } from "./machine.ts";
import { configMap, deployment, documents, pod, SLEEP } from "./manifests.ts";
import { RebootableMachine } from "./rebootable-machine.ts";

interface Status {
  problems: { what: string; mend: string }[];
  nodes: { ready: string }[];
}

async function statusOf(machine: Machine): Promise<Status> {
  return JSON.parse((await machine.exec("./skerry", ["status", "-o", "json"])).stdout) as Status;
}

const mainOf = ({ status }: Pod): NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number] | undefined =>
  status?.containerStatuses?.[0];

const conditionOf = ({ status }: Node, type: string): string | undefined =>
  status?.conditions?.find((condition) => condition.type === type)?.status;

async function nodeOf(machine: Machine): Promise<Node> {
  const [node] = (await machine.get<{ items: Node[] }>("nodes")).items;
  return node ?? assert.fail("there is no node");
}

async function apply(machine: Machine, ...items: object[]): Promise<void> {
  const { code, stderr } = await machine.kubectlOutcome(["apply", "-f", "-"], { input: documents(...items) });
  assert.equal(code, 0, stderr);
}

const areReady = async (machine: Machine, count: number): Promise<boolean> => {
  const { items } = await machine.get<{ items: Pod[] }>("pods");
  return items.length === count && items.every((each) => mainOf(each)?.ready);
};

/** Listens on a port of the machine, as somebody else's program does, until disposed of. */
async function occupy(machine: Machine, port: number): Promise<AsyncDisposable> {
  const script = `require("net").createServer().listen(${port}, () => console.log("listens"))`;
  const args = [`--net=/run/netns/${machine.netns}`, "--", process.execPath, "-e", script];
  const child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return {
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

describe("A fault is told where the user looks, and is over when its cause is:", () => {
  it("a port that is taken", async () => {
    await using machine = await PlainMachine.create();
    for (const [port, flag] of [
      [6443, "--api-port"],
      [10_000, "--link-port"],
    ] as const) {
      await using _ = await occupy(machine, port);
      const { code, stderr } = await machine.exec("./skerry", ["up", "--no-sample"]);
      assert.notEqual(code, 0);
      assert.match(stderr, new RegExp(`Port ${port} is taken.*${flag}`, "s"));
      assert.deepEqual(await readdir(machine.dataDir), [], "nothing half-done stays");
      assert.deepEqual(await machine.leftovers(), { mounts: [], processes: [], links: [], rules: [] });
    }
    await machine.skerry("up", "--no-sample");
    await machine.skerry("cloud", "stop");
    {
      await using _ = await occupy(machine, 6443);
      const { code, stderr } = await machine.exec("./skerry", ["cloud", "start"]);
      assert.notEqual(code, 0);
      assert.match(stderr, /6443/);
      assert.match(stderr, /in use|taken/);
      assert.equal(await readPidFile(path.join(machine.dataDir, "run/cloud.pid")), undefined);
    }
    await machine.skerry("cloud", "start");
    await eventually(async () => conditionOf(await nodeOf(machine), "Ready") === "True", { what: "the node's return" });
  });

  it("a containerd whose program is gone", async () => {
    await using machine = await RebootableMachine.create();
    await machine.skerry("up", "--no-sample");
    await apply(machine, deployment("web", 2));
    await eventually(() => areReady(machine, 2), { what: "pods", everyMs: 200 });
    const before = await runningContainers(machine);

    // Over the machine's own file, in this machine's mounts alone.
    const program = (await machine.exec("sh", ["-c", "command -v containerd"])).stdout.trim();
    await machine.exec("mount", ["--bind", "/dev/null", program]);
    const pidFile = path.join(machine.dataDir, "run/containerd/containerd.pid");
    const pid = (await machine.exec("cut", ["-d", " ", "-f", "1", pidFile])).stdout.trim();
    await machine.exec("kill", ["-9", pid]);

    await eventually(
      async () => {
        const { problems } = await statusOf(machine);
        return problems.some(({ what }) => /no containerd.*apt-get install containerd/s.test(what));
      },
      { what: "the status to say so", timeoutMs: 30_000, everyMs: 300 },
    );
    const node = await eventually(
      async () => {
        const found = await nodeOf(machine);
        return conditionOf(found, "Ready") === "False" && found;
      },
      { what: "the node's condition", timeoutMs: 30_000, everyMs: 300 },
    );
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    assert.match(ready?.message ?? "", /containerd/);
    const check = await machine.exec("./skerry", ["check"]);
    assert.notEqual(check.code, 0);
    assert.match(check.stdout + check.stderr, /containerd is missing/);
    for (const { pid: container } of before)
      assert.equal((await machine.exec("kill", ["-0", String(container)])).code, 0, "its pods go on");

    await machine.exec("umount", [program]);
    await eventually(async () => conditionOf(await nodeOf(machine), "Ready") === "True", {
      what: "the node to be ready again",
      timeoutMs: 30_000,
      everyMs: 300,
    });
    assert.deepEqual(await runningContainers(machine), before, "nothing was restarted");
    await eventually(async () => (await statusOf(machine)).problems.length === 0, {
      what: "no problem to be left",
      everyMs: 300,
    });
    await apply(machine, pod("new", { script: SLEEP }));
    await eventually(() => areReady(machine, 3), { what: "a new pod", everyMs: 200 });
  });

  it("a disk that is full", async () => {
    await using machine = await PlainMachine.create();
    const mounted = await machine.exec("mount", ["-t", "tmpfs", "-o", "size=400M", "tmpfs", machine.dataDir]);
    assert.equal(mounted.code, 0, mounted.stderr);
    await machine.skerry("up", "--no-sample");
    await apply(machine, deployment("web", 1), pod("crasher", { script: SLEEP }), configMap("before", { n: "1" }));
    await eventually(() => areReady(machine, 2), { what: "pods", everyMs: 200 });
    const before = await runningContainers(machine);

    const filler = path.join(machine.dataDir, "filler");
    await machine.exec("dd", ["if=/dev/zero", `of=${filler}`, "bs=1M"]);
    const refused = await eventually(
      async () => {
        const input = documents(configMap("refused", { text: "x".repeat(20_000) }));
        const outcome = await machine.kubectlOutcome(["create", "-f", "-"], { input });
        return outcome.code !== 0 && outcome;
      },
      { what: "the API to refuse writes" },
    );
    assert.match(refused.stderr, /disk|space|full/i);
    assert.match(await machine.kubectl("get", "configmap", "before"), /before/, "reading goes on");
    assert.deepEqual(await runningContainers(machine), before, "pods go on");
    const { problems } = await statusOf(machine);
    assert.ok(
      problems.some(({ what }) => /disk|space|MiB/i.test(what)),
      JSON.stringify(problems),
    );

    await rm(filler);
    await eventually(
      async () => {
        const input = documents(configMap("accepted", { n: "2" }));
        return (await machine.kubectlOutcome(["apply", "-f", "-"], { input })).code === 0;
      },
      { what: "writes to be taken again", everyMs: 300 },
    );
    assert.notEqual((await machine.kubectlOutcome(["get", "configmap", "refused"])).code, 0);
    const { pid, id } = await theContainer(machine, "default/crasher/main");
    process.kill(pid, "SIGKILL");
    await eventually(async () => (await theContainer(machine, "default/crasher/main")).id !== id, {
      what: "a crashed container to run again",
    });
    await machine.skerry("cloud", "stop");
    await machine.skerry("cloud", "start");
    assert.match(await machine.kubectl("get", "configmap", "accepted"), /accepted/);
    const web = before.find(({ name }) => name.startsWith("default/web"));
    assert.ok(
      (await runningContainers(machine)).some(({ id: now }) => now === web?.id),
      "nothing else was restarted",
    );
  });

  it("a manifest that is wrong, and an image that does not exist until it is imported", async () => {
    await using machine = await PlainMachine.create();
    await machine.skerry("up", "--no-sample");
    const wrong = pod("wrong", { script: SLEEP });
    const [container] = wrong.spec?.containers ?? [];
    Object.assign(container ?? {}, { imagePullPolice: "Always", ports: [{ containerPort: "many" }] });
    const refused = await machine.kubectlOutcome(["apply", "-f", "-"], { input: documents(wrong) });
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /imagePullPolice|containerPort/);
    assert.deepEqual((await machine.get<{ items: Pod[] }>("pods")).items, []);

    const image = "skerry.invalid/late:1";
    await apply(machine, pod("late", { script: SLEEP, image }));
    await eventually(async () => /ImagePullBackOff/.test(await machine.kubectl("get", "pod", "late")), {
      what: "the pull's failure in the table",
      timeoutMs: 60_000,
      everyMs: 300,
    });
    const described = await machine.kubectl("describe", "pod", "late");
    assert.match(described, /Failed +.*Failed to pull image "skerry\.invalid\/late:1"/);
    assert.match(described, /ErrImagePull|ImagePullBackOff/);
    const { problems } = await statusOf(machine);
    const problem = problems.find(({ what }) => what.includes("default/late"));
    assert.match(problem?.mend ?? "", /skerry image import/);

    const recipe = (await builtinImages(process.arch)).find(({ name }) => name === HELLO_IMAGE);
    const made = (await recipe?.recipe()) ?? assert.fail("there is no sample image");
    const archive = path.join(machine.dataDir, "late.tar");
    await writeFile(archive, Buffer.concat([...imageArchive({ ...made, name: image })]));
    assert.match(await machine.skerry("image", "import", archive), /skerry\.invalid\/late:1/);
    await eventually(() => areReady(machine, 1), { what: "the pod to run by itself", timeoutMs: 60_000, everyMs: 300 });
    await eventually(async () => (await statusOf(machine)).problems.length === 0, {
      what: "no problem to be left",
      everyMs: 300,
    });
  });

  it("a command while another is at work on the instance", async () => {
    await using machine = await PlainMachine.create();
    {
      using _ = lockInstance(layoutOf(machine.dataDir), "up");
      const changing = [
        "up",
        "down",
        "down -v",
        "join a.example t",
        "cloud start",
        "cloud stop",
        "edge start",
        "edge stop",
      ];
      for (const words of changing) {
        const { code, stderr } = await machine.exec("./skerry", words.split(" "));
        assert.equal(code, 1, words);
        assert.match(
          stderr,
          new RegExp(`^skerry: Another skerry up \\(process ${process.pid}\\) is at work on `),
          words,
        );
      }
      for (const words of ["status", "logs", "edge kill"]) {
        const { stderr } = await machine.exec("./skerry", words.split(" "));
        assert.match(stderr, /^skerry: There is no instance in /, words);
      }
    }
    const both = await Promise.all([1, 2].map(() => machine.exec("./skerry", ["up", "--no-sample"])));
    const loser = both.find(({ code }) => code !== 0);
    assert.ok(loser && both.some(({ code }) => code === 0), JSON.stringify(both));
    assert.equal(loser.code, 1);
    assert.match(loser.stderr, /^skerry: Another skerry up /);
    assert.equal(conditionOf(await nodeOf(machine), "Ready"), "True");
  });

  it("a data folder that cannot be made", async () => {
    await using machine = await PlainMachine.create();
    const file = path.join(machine.dataDir, "file");
    await writeFile(file, "");
    const { code, stderr } = await machine.exec("./skerry", [
      "up",
      "--no-sample",
      "--data-dir",
      path.join(file, "data"),
    ]);
    assert.notEqual(code, 0);
    assert.match(stderr, /^skerry: Cannot \w+ .*\/file\/.*choose another place with --data-dir$/m);
    assert.doesNotMatch(stderr, /fault of Skerry/);
  });
});
