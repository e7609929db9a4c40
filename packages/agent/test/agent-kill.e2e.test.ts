import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { loadMachine } from "../src/testing.ts";
import { AGENT_LOG, Cloud, generator } from "./cloud-of-one.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";

/** How many times the agent is killed. */
const KILLS = 100;
const CONTAINERD_KILLS = 20;

it(`an agent that is killed ${KILLS} times loses nothing acknowledged, runs nothing twice and leaks nothing`, async (t) => {
  const seed = Number(process.env["SKERRY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  const random = generator(seed);
  await using cloud = new Cloud(await mkdtemp(path.join(tmpdir(), "skerry-kill-")), random);
  for (let kill = 0; kill < KILLS; kill++) {
    await cloud.startAgent();
    for (let acts = Math.floor(random() * 3); acts >= 0; acts--) cloud.act();
    await new Promise((resolve) => setTimeout(resolve, random() * 120)); // the one wait that is the subject: when it dies
    await cloud.kill();
    assert.deepEqual(loadMachine(path.join(cloud.folder, "machine.json")).violations, []);
  }
  await cloud.startAgent();
  await eventually(() => cloud.isHeard && [...cloud.wanted.values()].every((one) => !one.deleted || cloud.last.gone));
  const living = (): string[] => [...cloud.wanted.values()].map((one) => one.uid).toSorted();
  await eventually(() => String(cloud.last.running?.toSorted()) === String(living()), {
    what: "what is wanted to run",
  });
  const machine = loadMachine(path.join(cloud.folder, "machine.json"));
  assert.deepEqual(machine.violations, []);
  assert.deepEqual(
    Object.values(machine.sandboxes)
      .map((one) => one.spec.podUid)
      .toSorted(),
    living(),
  );
  assert.equal(Object.values(machine.containers).length, living().length * 2);

  for (const pod of cloud.wanted.values()) if (!pod.deleted) cloud.delete(pod);
  await eventually(() => cloud.wanted.size === 0 && cloud.isHeard && cloud.last.pods?.length === 0, {
    what: "nothing left",
  });
  const empty = loadMachine(path.join(cloud.folder, "machine.json"));
  assert.deepEqual([empty.sandboxes, empty.containers], [{}, {}]);
  assert.deepEqual(await readdir(path.join(cloud.folder, "pods")), []);
  assert.deepEqual(await readdir(path.join(cloud.folder, "logs", "pods")), []);
});

it(`an agent over containerd that is killed ${CONTAINERD_KILLS} times runs nothing twice and leaks nothing`, async (t) => {
  const seed = Number(process.env["SKERRY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  const random = generator(seed);
  await using place = await EdgeSandbox.create();
  const containerd = place.open();
  containerd.start();
  await containerd.supervisor.whenServing(AbortSignal.timeout(30_000));
  await containerd.setUpNetwork("10.95.3.0/24", AbortSignal.timeout(30_000));
  await containerd.ensureBuiltinImages(AbortSignal.timeout(60_000));
  const { run: _, ...options } = place.options; // a function, which no command line carries
  await using cloud = new Cloud(path.join(place.dir, "agent"), random, options);
  for (let kill = 0; kill < CONTAINERD_KILLS; kill++) {
    await cloud.startAgent();
    for (let acts = Math.floor(random() * 2); acts >= 0; acts--) cloud.act();
    await new Promise((resolve) => setTimeout(resolve, random() * 700)); // the one wait that is the subject: when it dies
    await cloud.kill();
  }
  await cloud.startAgent();
  const signal = AbortSignal.timeout(300_000);
  const living = (): string[] => [...cloud.wanted.values()].map((one) => one.uid).toSorted();
  const isAsWanted = (): boolean =>
    cloud.isHeard &&
    [...cloud.wanted.values()].every((one) => !one.deleted) &&
    String(cloud.last.running?.toSorted()) === String(living());
  const lastStart = performance.now();
  await eventually(isAsWanted, { what: "what is wanted to run", timeoutMs: 180_000 }).catch(async (error: unknown) => {
    const { wanted, last, isHeard, isAgentAlive } = cloud;
    const runtime = {
      sandboxes: await containerd.runtime.listSandboxes(signal),
      containers: await containerd.runtime.listContainers(signal),
    };
    const said = (await readFile(path.join(cloud.folder, AGENT_LOG), "utf8")).slice(-32_768);
    const seen = { isAgentAlive, isHeard, last, wanted: [...wanted.values()], runtime };
    const text = JSON.stringify(seen, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    throw new Error(`${String(error)}: ${text}\n${said}`, { cause: error });
  });
  t.diagnostic(`settled ${Math.round((performance.now() - lastStart) / 1000)} s after the last start`);
  const sandboxes = await containerd.runtime.listSandboxes(signal);
  assert.deepEqual(sandboxes.map((one) => one.podUid).toSorted(), living());
  const running = (await containerd.runtime.listContainers(signal)).filter((one) => one.state === "running");
  assert.equal(running.length, living().length * 2);
  const statuses = await Promise.all(sandboxes.map(({ id }) => containerd.runtime.sandboxStatus(id, signal)));
  assert.equal(new Set(statuses.map(({ ips }) => ips[0])).size, sandboxes.length, "each has an address of its own");

  for (const pod of cloud.wanted.values()) if (!pod.deleted) cloud.delete(pod);
  const isEmpty = (): boolean => cloud.wanted.size === 0 && cloud.isHeard && cloud.last.pods?.length === 0;
  await eventually(isEmpty, { what: "nothing left", timeoutMs: 60_000 });
  assert.deepEqual(await containerd.runtime.listContainers(signal), []);
  assert.deepEqual(await containerd.runtime.listSandboxes(signal), []);
  assert.deepEqual(await readdir(path.join(place.dir, "agent", "pods")), []);
  // A shim that containerd itself forgets, when it is asked for a sandbox by somebody who dies, is for `AgentOptions.reclaim`.
  const ofPods = /^(?:mount .*(?:netns\/|rootfs)|rule .*CNI-(?:DN|[0-9a-f]))/;
  await eventually(async () => !(await place.traces()).some((trace) => ofPods.test(trace)), {
    what: "nothing of pods being left outside the agent's own records",
  });
});
