import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { projectionHash } from "@skerry/wire";
import { loadMachine } from "../src/testing.ts";

/** How many times the agent is killed. */
const KILLS = 100;

interface Told {
  ready?: boolean;
  acknowledged?: number;
  gone?: string[];
  running?: string[];
  pods?: string[];
}

interface WantedPod {
  name: string;
  uid: string;
  deleted: boolean;
}

/** The cloud's part: says what it wants, says it again until it is acknowledged, and drops what it hears is gone. */
class Cloud implements AsyncDisposable {
  readonly folder: string;
  readonly #random: () => number;
  readonly wanted = new Map<string, WantedPod>();
  #child: ChildProcess | undefined;
  #serial = 0;
  /** Not acknowledged yet, by uid: the newest word on each pod. */
  readonly #unsaid = new Map<string, object>();
  last: Told = {};

  constructor(folder: string, random: () => number) {
    this.folder = folder;
    this.#random = random;
  }

  async startAgent(): Promise<void> {
    const child = fork(path.join(import.meta.dirname, "killed-agent.ts"), [this.folder], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    this.last = {};
    child.on("message", (told: Told) => {
      if (told.pods) this.last = told;
      for (const uid of told.gone ?? []) this.#drop(uid);
    });
    await Promise.race([
      once(child, "message"),
      once(child, "exit").then(() => assert.fail("the agent ended by itself as it started")),
    ]);
    for (const [uid, change] of this.#unsaid) this.#send(uid, change);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    const [, signal] = (await exited) as [number | null, string | null];
    assert.equal(signal, "SIGKILL", "the agent lives until it is killed");
    this.#child = undefined;
  }

  /** One of the things that a cloud does. */
  act(): void {
    const pods = [...this.wanted.values()].filter((one) => !one.deleted);
    if (pods.length > 4 || (pods.length > 0 && this.#random() < 0.4)) {
      const pod = pods[Math.floor(this.#random() * pods.length)];
      if (pod) this.delete(pod);
    } else this.#create();
  }

  delete(pod: WantedPod): void {
    pod.deleted = true;
    this.#put(pod);
  }

  /** Everything said was acknowledged. */
  get isHeard(): boolean {
    return this.#unsaid.size === 0;
  }

  #create(): void {
    const pod = { name: `p${this.#serial}`, uid: randomUUID(), deleted: false };
    this.wanted.set(pod.uid, pod);
    this.#put(pod);
  }

  #put({ name, uid, deleted }: WantedPod): void {
    const deletion = { deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: 1 };
    const text = JSON.stringify({
      metadata: { namespace: "default", name, uid, ...(deleted && deletion) },
      spec: {
        restartPolicy: "Always",
        containers: [
          { name: "a", image: "app:1" },
          { name: "b", image: "app:1" },
        ],
      },
    });
    const object = { resource: "pods", namespace: "default", name, uid, hash: projectionHash(Buffer.from(text)) };
    this.#say(uid, { op: "put", object, text });
  }

  #drop(uid: string): void {
    const pod = this.wanted.get(uid);
    if (!pod) return;
    assert.ok(pod.deleted, "only what was deleted is said to be gone");
    this.wanted.delete(uid);
    const object = { resource: "pods", namespace: "default", name: pod.name, uid, hash: "" };
    this.#say(uid, { op: "delete", object, text: "" });
  }

  #say(uid: string, change: object): void {
    this.#unsaid.set(uid, change);
    this.#send(uid, change);
  }

  #send(uid: string, change: object): void {
    const child = this.#child;
    if (!child?.connected) return;
    const serial = ++this.#serial;
    const onMessage = (told: Told): void => {
      if ((told.acknowledged ?? -1) < serial) return;
      child.off("message", onMessage);
      if (this.#unsaid.get(uid) === change) this.#unsaid.delete(uid);
    };
    child.on("message", onMessage);
    child.send({ serial, changes: [change] }, () => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

it(`an agent that is killed ${KILLS} times loses nothing acknowledged, runs nothing twice and leaks nothing`, async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
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
