import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { eventually } from "@skerry/base/testing";
import { Informers } from "@skerry/client";
import { Hub } from "@skerry/hub";
import { kinds } from "@skerry/machinery";
import type { ConfigMap, Event, Node, Pod } from "@skerry/machinery/types";
import { digestOf, MemoryOutbox, projectionHash, type FrameTransport, type Message } from "@skerry/wire";
import { memoryPair } from "@skerry/wire/testing";
import { projectionBytes } from "../packages/hub/src/sync/projection.ts";
import { Edge, leaf, newAuthority, podReport, TestApi } from "./link-world.ts";

const PODS = ["a", "b", "c", "d"];
const EVENTS = 6;
const COMMANDS = 5;
const SEED = Number(process.env["SEED"] ?? 20_260_601);

/** mulberry32: a small generator whose failures can be played again. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("link that is cut", () => {
  const authority = newAuthority();
  const server = leaf(authority);
  let folder: string;
  before(() => void (folder = mkdtempSync(path.join(tmpdir(), "skerry-cuts-"))));
  after(() => rmSync(folder, { recursive: true }));

  /** Runs the scenario with the given frames lost, each breaking the connection; tells how many frames the first connection saw. */
  async function run(name: string, cuts: readonly number[]): Promise<number> {
    await using api = await new TestApi().start();
    const { client } = api;
    await using informers = new Informers({ client });
    const commands = new MemoryOutbox<Message>();
    await using hub = new Hub({ client, informers, authority, server, version: "test", messagesFor: () => commands });
    await hub.start();
    informers.start();
    await informers.synced();

    const metadata = { name: "n1" };
    const node = await client.create<Node>(kinds.Node, { apiVersion: "v1", kind: "Node", metadata });
    const identity = { node: "n1", uid: node.decode().metadata.uid ?? "" };
    const putConfig = (value: string, verb: "create" | "update"): Promise<unknown> =>
      client[verb]<ConfigMap>(kinds.ConfigMap, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { namespace: "default", name: "settings" },
        data: { value, large: "x".repeat(2000) },
      });
    const createPod = async (pod: string): Promise<Pod> =>
      (
        await client.create<Pod>(kinds.Pod, {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { namespace: "default", name: pod },
          spec: {
            nodeName: "n1",
            containers: [{ name: "main", image: "app:1", envFrom: [{ configMapRef: { name: "settings" } }] }],
          },
        })
      ).decode();
    await putConfig("1", "create");
    const pods = new Map<string, Pod>();
    for (const pod of PODS) pods.set(pod, await createPod(pod));

    let connections = 0;
    let frames = 0;
    const dial = (): Promise<FrameTransport> => {
      const cut = cuts[connections++];
      const isFirst = connections === 1;
      const { a, b } = memoryPair({
        fault: (index) => {
          if (isFirst) frames = index + 1;
          return index === cut ? "cut" : "pass";
        },
      });
      hub.accept(identity, a);
      return Promise.resolve(b);
    };
    await using edge = new Edge(folder, { node: "n1", file: name, dial, retry: { initialMs: 1, maxMs: 4 } });

    // Everything happens while the link is being cut.
    for (const [i, pod] of PODS.entries()) {
      const { uid = "" } = pods.get(pod)?.metadata ?? {};
      await edge.cache.report(podReport({ namespace: "default", name: pod, uid }, { phase: "Pending" }));
      await edge.cache.report(
        podReport({ namespace: "default", name: pod, uid }, { phase: "Running", message: `${i}` }),
      );
    }
    for (let i = 0; i < EVENTS; i++) {
      const bytes = Buffer.from(
        JSON.stringify({ metadata: {}, involvedObject: { kind: "Node", name: "n1" }, reason: "Test", message: `${i}` }),
      );
      await edge.cache.send({ id: `event-${i}`, topic: "events", ttlMs: 0, bytes });
    }
    for (let i = 0; i < COMMANDS; i++) {
      commands.add({ id: `command-${i}`, topic: "test", ttlMs: 0, bytes: Buffer.from(`${i}`) });
    }
    await putConfig("2", "update");
    await client.delete(kinds.Pod, { namespace: "default", name: "b" }, { gracePeriodSeconds: 0 });
    await createPod("e");
    await client.delete(kinds.Pod, { namespace: "default", name: "c" }, { gracePeriodSeconds: 0 });
    await createPod("c");

    const wanted = async (): Promise<string> => {
      const all = await Promise.all([kinds.Node, kinds.Pod, kinds.ConfigMap].map((kind) => client.list(kind)));
      const objects = ["nodes", "pods", "configmaps"].flatMap((resource, i) =>
        (all[i]?.items ?? []).map((item) => ({
          resource,
          ...item.key,
          uid: item.decode().metadata.uid ?? "",
          hash: projectionHash(projectionBytes(item.decode())),
        })),
      );
      return digestOf(objects);
    };
    await eventually(async () => digestOf(edge.cache.held()) === (await wanted()), { what: `${name}: state down` });
    await eventually(
      () => edge.cache.reports.after(0, 1).length + edge.cache.messages.after(0, 1).length + commands.size === 0,
      { what: `${name}: everything acknowledged` },
    );
    await eventually(() => edge.link.status.isSynced, { what: `${name}: in sync` });

    for (const [i, pod] of PODS.entries()) {
      const found = (await client.list<Pod>(kinds.Pod)).items.find(({ key }) => key.name === pod)?.decode();
      // What the edge said of "c" was about another pod of that name.
      if (pod === "b" || pod === "c") assert.notEqual(found?.status?.phase, "Running");
      else assert.deepEqual([found?.status?.phase, found?.status?.message], ["Running", `${i}`]);
    }
    const events = (await client.list<Event>(kinds.Event)).items.map((item) => item.decode());
    assert.deepEqual(events.map(({ message = "" }) => message).toSorted(), ["0", "1", "2", "3", "4", "5"]);
    assert.ok(events.every(({ count }) => count === 1));
    await edge[Symbol.asyncDispose]();
    using database = new DatabaseSync(path.join(folder, `${name}.db`), { readOnly: true });
    const inbox = database.prepare("SELECT bytes FROM inbox ORDER BY rowid").all();
    assert.deepEqual(
      inbox.map(({ bytes }) => Buffer.from(bytes as Uint8Array).toString()),
      ["0", "1", "2", "3", "4"],
    );
    return frames;
  }

  it("at every frame of it brings both sides to the same state, and happens twice to nobody", async () => {
    const frames = await run("whole", []);
    assert.ok(frames > 20, `${frames} frames`);
    for (let cut = 0; cut < frames; cut++) await run(`cut-${cut}`, [cut]);
  });

  it(`again and again at random frames does so too (SEED=${SEED})`, async () => {
    const random = randomFrom(SEED);
    for (let round = 0; round < 20; round++) {
      const cuts = Array.from({ length: 6 }, () => Math.floor(random() * 30));
      await run(`round-${round}`, cuts);
    }
  });
});
