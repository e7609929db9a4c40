import assert from "node:assert/strict";
import { it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { RuntimeError, type ContainerSpec, type Runtime, type SandboxSpec } from "./runtime.ts";

/** A runtime to be tested, with an image that is on its machine. */
export interface RuntimeUnderTest {
  runtime: Runtime;
  image: string;
  /** Words that make a container of the image run until it is stopped, and end with a code at once. */
  runForever: string[];
  endWith: (exitCode: number) => string[];
  /** A folder for logs. */
  logDirectory: string;
  /** Below which pods' cgroups are; the runtime may make it. */
  cgroupParent: string;
}

/** What every runtime must do for the agent's planner to be right. Call it inside a `describe`. */
export function runtimeContract(open: () => RuntimeUnderTest): void {
  let serial = 0;
  const signal = (): AbortSignal => AbortSignal.timeout(30_000);

  const sandboxSpec = (uid: string, attempt = 0): SandboxSpec => ({
    podName: `pod-${uid}`,
    podNamespace: "default",
    podUid: uid,
    attempt,
    hostname: "pod",
    logDirectory: `${open().logDirectory}/${uid}`,
    dns: undefined,
    portMappings: [],
    labels: { app: "contract" },
    annotations: {},
    network: "node",
    pid: "container",
    ipc: "pod",
    cgroupParent: open().cgroupParent,
    sysctls: {},
    security: plain,
    runtimeHandler: "",
  });

  async function containerSpec(args: string[], attempt = 0): Promise<ContainerSpec> {
    const { runtime, image } = open();
    const { id } = (await runtime.imageStatus(image, signal())) ?? assert.fail("the image is not there");
    return {
      name: "main",
      attempt,
      imageRef: id,
      image,
      command: args,
      args: [],
      workingDir: "",
      env: [],
      mounts: [],
      labels: { "skerry.io/container-version": "v1-contract" },
      annotations: {},
      logPath: `main/${attempt}.log`,
      stdin: false,
      tty: false,
      resources: { cpuShares: 2, cpuQuotaUs: 0, cpuPeriodUs: 100_000, memoryLimitBytes: 0, oomScoreAdj: 1000 },
      security: plain,
    };
  }

  /** Runs the work in a sandbox of its own, and takes that down. */
  async function inSandbox(work: (id: string, spec: SandboxSpec, runtime: Runtime) => Promise<void>): Promise<void> {
    const { runtime } = open();
    const spec = sandboxSpec(`00000000-0000-4000-8000-${String(Date.now() + serial++).padStart(12, "0")}`);
    const id = await runtime.runSandbox(spec, signal());
    try {
      await work(id, spec, runtime);
    } finally {
      await runtime.stopSandbox(id, signal());
      await runtime.removeSandbox(id, signal());
    }
  }

  const ends = (runtime: Runtime, id: string) =>
    eventually(async () => {
      const status = await runtime.containerStatus(id, signal());
      return status.state === "exited" && status;
    });

  it("gives back what sandboxes and containers were made for", () =>
    inSandbox(async (id, spec, runtime) => {
      const container = await runtime.createContainer(id, await containerSpec(open().runForever), spec, signal());
      const sandbox = (await runtime.listSandboxes(signal())).find((one) => one.id === id);
      assert.equal(sandbox?.ready, true);
      assert.equal(sandbox.podUid, spec.podUid);
      assert.equal(sandbox.attempt, 0);
      const listed = (await runtime.listContainers(signal())).find((one) => one.id === container);
      assert.equal(listed?.state, "created");
      assert.equal(listed.sandboxId, id);
      assert.equal(listed.name, "main");
      assert.equal(listed.labels["skerry.io/container-version"], "v1-contract");
    }));

  it("tells how a container ended", () =>
    inSandbox(async (id, spec, runtime) => {
      const container = await runtime.createContainer(id, await containerSpec(open().endWith(7)), spec, signal());
      assert.equal((await runtime.containerStatus(container, signal())).startedAtNs, 0n);
      await runtime.startContainer(container, signal());
      const status = await ends(runtime, container);
      assert.equal(status.exitCode, 7);
      assert.equal(status.reason, "Error");
      // containerd takes the start when it has started it, by when a short-lived one may have ended: neither is before the other.
      assert.ok(status.startedAtNs > 0n && status.finishedAtNs > 0n);
    }));

  it("stops what runs, and takes it lightly when it stopped already or never was", () =>
    inSandbox(async (id, spec, runtime) => {
      const container = await runtime.createContainer(id, await containerSpec(open().runForever), spec, signal());
      await runtime.startContainer(container, signal());
      assert.equal((await runtime.containerStatus(container, signal())).state, "running");
      await runtime.stopContainer(container, 0, signal());
      await ends(runtime, container);
      await runtime.stopContainer(container, 0, signal());
      await runtime.stopContainer("0123456789abcdef", 0, signal());
      await runtime.stopSandbox("0123456789abcdef", signal());
      await runtime.removeSandbox("0123456789abcdef", signal());
      await runtime.removeContainer("0123456789abcdef", signal());
    }));

  it("refuses a second container or sandbox of the same name and attempt", () =>
    inSandbox(async (id, spec, runtime) => {
      const container = await containerSpec(open().runForever);
      await runtime.createContainer(id, container, spec, signal());
      const isTaken = (error: unknown): boolean => error instanceof RuntimeError && error.code === "AlreadyExists";
      await assert.rejects(runtime.createContainer(id, container, spec, signal()), isTaken);
      await assert.rejects(runtime.runSandbox(spec, signal()), isTaken);
    }));

  it("starts no container a second time, nor in a sandbox that is stopped", () =>
    inSandbox(async (id, spec, runtime) => {
      const first = await runtime.createContainer(id, await containerSpec(open().endWith(0)), spec, signal());
      const second = await runtime.createContainer(id, await containerSpec(open().runForever, 1), spec, signal());
      await runtime.startContainer(first, signal());
      await ends(runtime, first);
      await assert.rejects(runtime.startContainer(first, signal()), RuntimeError);
      await runtime.stopSandbox(id, signal());
      await assert.rejects(runtime.startContainer(second, signal()), RuntimeError);
    }));

  it("ends containers with their sandbox and removes them with it", async () => {
    let container = "";
    await inSandbox(async (id, spec, runtime) => {
      container = await runtime.createContainer(id, await containerSpec(open().runForever), spec, signal());
      await runtime.startContainer(container, signal());
      await runtime.stopSandbox(id, signal());
      await ends(runtime, container);
      assert.equal((await runtime.listSandboxes(signal())).find((one) => one.id === id)?.ready, false);
    });
    const listed = await open().runtime.listContainers(signal());
    assert.equal(
      listed.some((one) => one.id === container),
      false,
    );
  });

  it("says NotFound for what there is not, and nothing of an image that is not there", async () => {
    const { runtime } = open();
    const isMissing = (error: unknown): boolean => error instanceof RuntimeError && error.code === "NotFound";
    await assert.rejects(runtime.containerStatus("0123456789abcdef", signal()), isMissing);
    await assert.rejects(runtime.sandboxStatus("0123456789abcdef", signal()), isMissing);
    assert.equal(await runtime.imageStatus("skerry.local/no-such-image:1", signal()), undefined);
  });
}

const plain = {
  supplementalGroups: [],
  privileged: false,
  readonlyRootfs: false,
  noNewPrivileges: false,
  addCapabilities: [],
  dropCapabilities: [],
};
