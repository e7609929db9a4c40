import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, open, rm } from "node:fs/promises";
import path from "node:path";
import { projectionHash } from "@skerry/wire";
import { HELLO_IMAGE, type PrivateContainerdOptions } from "../src/index.ts";

/** What an agent says, in its folder. */
export const AGENT_LOG = "agent.log";

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
export class Cloud implements AsyncDisposable {
  readonly folder: string;
  readonly #random: () => number;
  readonly #containers: { name: string; image: string; command?: string[] }[];
  readonly #place: PrivateContainerdOptions | undefined;
  readonly wanted = new Map<string, WantedPod>();
  #child: ChildProcess | undefined;
  #serial = 0;
  /** Not acknowledged yet, by uid: the newest word on each pod. */
  readonly #unsaid = new Map<string, object>();
  last: Told = {};

  constructor(folder: string, random: () => number, place?: PrivateContainerdOptions) {
    this.folder = folder;
    this.#random = random;
    this.#place = place;
    const command = ["/bin/sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"];
    const program = place ? { image: HELLO_IMAGE, command } : { image: "app:1" };
    this.#containers = ["a", "b"].map((name) => ({ name, ...program }));
  }

  async startAgent(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await using log = await open(path.join(this.folder, AGENT_LOG), "a");
    const child = fork(
      path.join(import.meta.dirname, "killed-agent.ts"),
      [this.folder, JSON.stringify(this.#place ?? null)],
      {
        stdio: ["ignore", log.fd, "inherit", "ipc"],
      },
    );
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

  /** The agent was started, and has not ended. */
  get isAgentAlive(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
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
        terminationGracePeriodSeconds: 1,
        containers: this.#containers,
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

/** Uniform numbers in [0, 1), the same for the same seed. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
