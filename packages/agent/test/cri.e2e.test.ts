import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { runCommand } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import type { PrivateContainerd } from "../src/containerd/private-containerd.ts";
import { HELLO_IMAGE } from "../src/images/builtin-images.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";
import { containerSpec, openReady, patience, runPod, sandboxSpec, type RunningPod } from "./test-pods.ts";

const get = (place: EdgeSandbox, url: string): Promise<string> =>
  place.run("curl", ["--silent", "--show-error", "--fail", "--max-time", "5", url]);

const hostPort = (port: number) => ({ protocol: "TCP" as const, containerPort: 8080, hostPort: port, hostIp: "" });

/** The lines of a CRI log file, without time and stream; partial ones joined. */
async function logLines(file: string): Promise<string[]> {
  const lines: string[] = [];
  let partial = "";
  for (const line of (await readFile(file, "utf8")).split("\n").filter(Boolean)) {
    const [, tag, text = ""] = /^\S+Z stdout|stderr/.test(line)
      ? (/^\S+ (?:stdout|stderr) (F|P) (.*)$/.exec(line) ?? [])
      : [];
    assert.ok(tag, `"${line}" is no line of a CRI log`);
    partial += text;
    if (tag === "P") continue;
    lines.push(partial);
    partial = "";
  }
  return lines;
}

const stateOf = async (edge: PrivateContainerd, id: string): Promise<string> =>
  (await edge.runtime.containerStatus(id, patience())).state;

describe("PrivateContainerd with real containers", { concurrency: 2 }, () => {
  it("runs a pod that answers on its address and host port, with its log, limits and labels", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    assert.deepEqual(await edge.runtime.problems(patience()), { runtime: [], network: [] });
    assert.deepEqual(await edge.ensureBuiltinImages(patience()), [], "the images are made once");

    const pod = await runPod(edge, sandboxSpec(place, "web", { portMappings: [hostPort(18080)] }), {
      env: [{ name: "POD_NAME", value: "web-0" }],
    });
    assert.match(pod.ip, /^10\.42\.7\.\d+$/);
    await eventually(async () => (await get(place, `http://${pod.ip}:8080/healthz`)) === "ok\n");
    assert.match(await get(place, "http://127.0.0.1:18080/"), /<dd>web-0<\/dd>/);
    const log = path.join(pod.spec.logDirectory, "main/0.log");
    await eventually(async () => (await logLines(log))[0] === "hello from web-0, listening on port 8080");

    const [sandbox] = await edge.runtime.listSandboxes(patience());
    assert.deepEqual(
      { ...sandbox, createdAtNs: undefined },
      {
        id: pod.sandboxId,
        podName: "web",
        podNamespace: "default",
        podUid: "uid-web",
        attempt: 0,
        ready: true,
        createdAtNs: undefined,
        labels: { app: "web" },
        annotations: { note: "kept" },
      },
    );
    const [container] = await edge.runtime.listContainers(patience());
    assert.equal(container?.sandboxId, pod.sandboxId);
    assert.deepEqual(container?.labels, { version: "1" });
    const limit = `/sys/fs/cgroup/memory${pod.spec.cgroupParent}/${pod.containerId}/memory.limit_in_bytes`;
    assert.equal(Number(await readFile(limit, "utf8")), 64 * 1024 * 1024);

    await edge.runtime.stopContainer(pod.containerId, 10, patience());
    const { state, exitCode } = await edge.runtime.containerStatus(pod.containerId, patience());
    assert.equal(state, "exited");
    assert.equal(exitCode, 143, "the sample ends by the signal, not by being killed after its grace");
    await edge.removePods(0, patience());
    await edge.remove({ data: false }, patience());
    assert.deepEqual(await place.traces(), []);
  });

  it("tells of an exit as soon as CRI knows its code", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const gate = path.join(place.dir, "gate");
    await runCommand("mkdir", [gate]);
    const abort = new AbortController();
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const { id = "" } of edge.runtime.changes(abort.signal)) {
        const { state, exitCode, reason } = await edge.runtime.containerStatus(id, patience());
        seen.push({ id, state, exitCode, reason });
      }
    })();
    const { containerId } = await runPod(edge, sandboxSpec(place, "exits"), {
      command: ["/bin/sh", "-c", "until [ -e /gate/open ]; do sleep 0.02; done; exit 7"],
      mounts: [{ containerPath: "/gate", hostPath: gate, readonly: true, propagation: "private" }],
    });
    await runCommand("touch", [path.join(gate, "open")]);
    await eventually(() => seen.length > 0);
    assert.deepEqual(seen, [{ id: containerId, state: "exited", exitCode: 7, reason: "Error" }]);
    abort.abort();
    await assert.rejects(watching, { name: "AbortError" });
  });

  it("tells of a container that ran out of memory, and of no other", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const abort = new AbortController();
    const seen = new Map<string | undefined, boolean>();
    const watching = (async () => {
      for await (const { id, oom } of edge.runtime.changes(abort.signal)) seen.set(id, oom || seen.get(id) === true);
    })();
    const wait = "until [ -e /gate/open ]; do sleep 0.02; done";
    const gate = path.join(place.dir, "gate");
    await runCommand("mkdir", [gate]);
    const mounts = [{ containerPath: "/gate", hostPath: gate, readonly: true, propagation: "private" as const }];
    const hungry = await runPod(edge, sandboxSpec(place, "hungry"), {
      command: ["/bin/sh", "-c", `${wait}; exec tail /dev/zero`],
      mounts,
    });
    const frugal = await runPod(edge, sandboxSpec(place, "frugal"), {
      command: ["/bin/sh", "-c", `${wait}; kill -9 $$`],
      mounts,
    });
    await runCommand("touch", [path.join(gate, "open")]);
    await eventually(() => seen.get(hungry.containerId) === true && seen.has(frugal.containerId));
    assert.equal(seen.get(frugal.containerId), false);
    abort.abort();
    await assert.rejects(watching, { name: "AbortError" });
  });

  it("is adopted and started again after a SIGKILL of containerd, under a pod that goes on writing", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const pod = await runPod(edge, sandboxSpec(place, "writer"), {
      command: ["/bin/sh", "-c", 'n=0; while :; do echo "line $n"; n=$((n+1)); sleep 0.01; done'],
    });
    const log = path.join(pod.spec.logDirectory, "main/0.log");
    const startedAt = (await edge.runtime.containerStatus(pod.containerId, patience())).startedAtNs;
    await eventually(async () => (await logLines(log)).length > 20);

    const killed = edge.supervisor.process?.pid ?? assert.fail("containerd does not run");
    process.kill(killed, "SIGKILL");
    await eventually(() => edge.supervisor.process?.pid !== killed && edge.supervisor.problem === undefined, {
      everyMs: 5,
    });
    const status = await edge.runtime.containerStatus(pod.containerId, patience());
    assert.equal(status.state, "running");
    assert.equal(status.startedAtNs, startedAt, "the same process");
    const before = (await logLines(log)).length;
    await eventually(async () => (await logLines(log)).length > before + 50);

    // Another agent, after this one's death, finds it running and starts none.
    await edge[Symbol.asyncDispose]();
    const next = place.open();
    next.start();
    await next.supervisor.whenServing(patience());
    assert.equal(next.supervisor.starts, 0);
    await next.runtime.stopContainer(pod.containerId, 0, patience());
    const numbers = (await logLines(log)).map((line) => Number(line.slice("line ".length)));
    assert.deepEqual(
      numbers,
      numbers.map((_, n) => n),
      "no line is lost, doubled or out of order",
    );
  });

  for (const removed of [false, true]) {
    it(`brings pods back after a power cut${removed ? " that CRI has forgotten the pods in, besides" : ""}`, async () => {
      await using place = await EdgeSandbox.create();
      const first = await openReady(place);
      const pods: RunningPod[] = [];
      for (const n of [0, 1])
        pods.push(await runPod(first, sandboxSpec(place, `p${n}`, { portMappings: [hostPort(18090 + n)] })));
      if (removed) await first.removePods(0, patience());
      await place.powerCut();
      assert.deepEqual(await place.traces(), [], "the power cut is a real one");

      const edge = await openReady(place);
      const sandboxes = await edge.runtime.listSandboxes(patience());
      assert.equal(sandboxes.length, removed ? 0 : 2);
      for (const sandbox of sandboxes) assert.equal(sandbox.ready, false);
      for (const { containerId } of removed ? [] : pods) {
        const { state, exitCode } = await edge.runtime.containerStatus(containerId, patience());
        assert.deepEqual({ state, exitCode }, { state: "exited", exitCode: 255 });
      }
      const ips = new Set<string>();
      for (const { spec, sandboxId } of pods) {
        // In this order host port and address stay: taken down, made anew, and only then forgotten.
        await edge.runtime.stopSandbox(sandboxId, patience());
        const again = await runPod(edge, { ...spec, attempt: spec.attempt + 1 }, { attempt: 1 });
        await edge.runtime.removeSandbox(sandboxId, patience());
        ips.add(again.ip);
        const port = spec.portMappings[0]?.hostPort;
        await eventually(async () => (await get(place, `http://127.0.0.1:${port}/`)).includes(spec.hostname));
        await eventually(async () => (await get(place, `http://${again.ip}:8080/healthz`)) === "ok\n");
      }
      assert.equal(ips.size, 2);
      await edge.removePods(0, patience());
      await edge.remove({ data: true }, patience());
      assert.deepEqual(await place.traces(), []);
    });
  }

  it("lets two instances live side by side, and takes one away without harm to the other", async () => {
    await using place = await EdgeSandbox.create();
    await using other = await EdgeSandbox.create();
    const a = await openReady(place, "10.42.1.0/24");
    // The second one lives in the first one's network, as on one machine.
    const b = place.openBeside(other);
    b.start();
    await b.supervisor.whenServing(patience());
    await b.ensureBuiltinImages(patience());
    await assert.rejects(
      async () => {
        await runPod(a, sandboxSpec(place, "one", { portMappings: [hostPort(18081)] }));
        await b.setUpNetwork("10.42.1.0/24", patience());
      },
      {
        name: "NetworkConflictError",
        message: /^Cannot use 10\.42\.1\.0\/24 for pods: this machine reaches .* through sk-/,
      },
    );
    await b.setUpNetwork("10.42.2.0/24", patience());
    await runPod(b, sandboxSpec(other, "two", { portMappings: [hostPort(18082)] }));
    assert.equal((await a.runtime.listSandboxes(patience())).length, 1);
    for (const port of [18081, 18082])
      await eventually(async () => (await get(place, `http://127.0.0.1:${port}/healthz`)) === "ok\n");

    await a.removePods(0, patience());
    await a.remove({ data: true }, patience());
    assert.equal(await get(place, "http://127.0.0.1:18082/healthz"), "ok\n");
    await b.removePods(0, patience());
    await b.remove({ data: true }, patience());
    assert.deepEqual(await place.traces(), []);
  });

  it("frees what sandboxes held that vanished without being taken down", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const gone = await runPod(edge, sandboxSpec(place, "gone", { portMappings: [hostPort(18083)] }));
    const stays = await runPod(edge, sandboxSpec(place, "stays", { portMappings: [hostPort(18084)] }));
    assert.deepEqual(await edge.network.holders(patience()), new Set([gone.sandboxId, stays.sandboxId]));
    await edge.network.release({ vanished: new Set([gone.sandboxId]) }, patience());
    const rules = await place.run("iptables-save", []);
    assert.ok(!rules.includes(gone.sandboxId) && !rules.includes(`${gone.ip}/32`));
    assert.ok(rules.includes(stays.sandboxId) && rules.includes(`${stays.ip}/32`));
    await eventually(async () => (await get(place, "http://127.0.0.1:18084/healthz")) === "ok\n");
    // Taking it down afterwards finds nothing to do, and says so to nobody.
    await edge.runtime.stopSandbox(gone.sandboxId, patience());
    await edge.runtime.removeSandbox(gone.sandboxId, patience());
  });

  it("imports archives as docker and OCI tools make them, and refuses one whose bytes are not what it says", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    const work = path.join(place.dir, "work");
    await runCommand("mkdir", ["-p", work]);
    const { archive, damaged } = await dockerArchives(work);
    assert.deepEqual(await edge.images.importArchive(archive, patience()), ["docker.io/library/app:1"]);
    const image = await edge.runtime.imageStatus("app:1", patience());
    const spec = sandboxSpec(place, "imported");
    const sandboxId = await edge.runtime.runSandbox(spec, patience());
    const container = containerSpec(image?.id ?? "");
    const id = await edge.runtime.createContainer(sandboxId, container, spec, patience());
    await edge.runtime.startContainer(id, patience());
    await eventually(async () => (await stateOf(edge, id)) === "exited");
    assert.deepEqual(await logLines(path.join(spec.logDirectory, "main/0.log")), ["from a docker archive"]);

    await assert.rejects(edge.images.importArchive(damaged, patience()), { name: "RuntimeError", code: "Invalid" });
    await assert.rejects(edge.images.importArchive("/bin/busybox", patience()), {
      code: "Invalid",
      message: /^Cannot import \/bin\/busybox: There is no tar header at byte 0$/,
    });
  });

  it("tells apart what is wrong with an image", async () => {
    await using place = await EdgeSandbox.create();
    const edge = await openReady(place);
    assert.equal(await edge.runtime.imageStatus("skerry.local/absent:1", patience()), undefined);
    await assert.rejects(edge.runtime.pullImage("registry.invalid/absent:1", patience()), {
      name: "RuntimeError",
      code: "ImagePullFailed",
    });
    const spec = sandboxSpec(place, "none");
    const sandboxId = await edge.runtime.runSandbox(spec, patience());
    await assert.rejects(
      edge.runtime.createContainer(sandboxId, containerSpec("skerry.local/absent:1"), spec, patience()),
      { code: "ImageNotFound" },
    );
    await assert.rejects(edge.runtime.runSandbox(spec, patience()), { code: "AlreadyExists" });
    await assert.rejects(edge.runtime.startContainer("absent", patience()), { code: "NotFound" });
    await edge.runtime.stopContainer("absent", 0, patience());
    await edge.runtime.removeContainer("absent", patience());
    await edge.runtime.stopSandbox("absent", patience());
    await edge.runtime.removeSandbox("absent", patience());
  });

  it("says that the disk is full, and works again once there is room", async () => {
    await using place = await EdgeSandbox.create();
    const edge = place.open();
    const root = edge.paths.rootDir;
    await runCommand("mkdir", ["-p", root]);
    await runCommand("mount", ["-t", "tmpfs", "-o", "size=2m", "none", root]);
    edge.start();
    await edge.supervisor.whenServing(patience());
    await assert.rejects(edge.ensureBuiltinImages(patience()), { name: "RuntimeError", code: "DiskFull" });
    await runCommand("mount", ["-o", "remount,size=64m", root]);
    await edge.ensureBuiltinImages(patience());
    assert.ok(await edge.runtime.imageStatus(HELLO_IMAGE, patience()));
  });

  it("says what keeps containerd from serving, and starts it as soon as that is mended", async () => {
    await using place = await EdgeSandbox.create();
    const edge = place.open();
    await runCommand("mkdir", ["-p", path.dirname(edge.paths.rootDir)]);
    await runCommand("touch", [edge.paths.rootDir]);
    edge.start();
    await eventually(() => /not a directory|EEXIST/.test(edge.supervisor.problem ?? ""));
    const { runtime } = await edge.runtime.problems(patience());
    assert.match(runtime.join(), /not a directory|EEXIST/);
    await runCommand("rm", [edge.paths.rootDir]);
    await edge.supervisor.whenServing(patience());
    assert.deepEqual((await edge.runtime.problems(patience())).runtime, []);
  });
});

/** An image as `docker save` writes it, made with tar; and one whose layer differs from what its configuration says. */
async function dockerArchives(dir: string): Promise<{ archive: string; damaged: string }> {
  const script = `
    set -e
    mkdir -p root/bin layer
    cp /bin/busybox root/bin/sh
    tar -C root -cf layer/layer.tar .
    make() {
      printf '{"architecture":"%s","os":"linux","config":{"Cmd":["/bin/sh","-c","echo from a docker archive"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$1" "$2" > config.json
      printf '[{"Config":"config.json","RepoTags":["app:1"],"Layers":["layer/layer.tar"]}]' > manifest.json
      tar -cf "$3" config.json manifest.json layer
    }
    make "$1" "$(sha256sum layer/layer.tar | cut -d' ' -f1)" app.tar
    gzip -k app.tar
    make "$1" "$(echo other | sha256sum | cut -d' ' -f1)" damaged.tar
  `;
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  await runCommand("sh", ["-c", `cd "$2"; ${script}`, "sh", architecture, dir]);
  return { archive: path.join(dir, "app.tar.gz"), damaged: path.join(dir, "damaged.tar") };
}
