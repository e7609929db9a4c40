import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger, systemClock, type Logger } from "@skerry/base";
import { eventually, FakeClock } from "@skerry/base/testing";
import { Informers } from "@skerry/client";
import { kinds } from "@skerry/machinery";
import type { Event, Pod } from "@skerry/machinery/types";
import { BoundPods } from "../packages/hub/src/sync/bound-pods.ts";
import { MessageRate } from "../packages/hub/src/sync/message-rate.ts";
import { UpSync } from "../packages/hub/src/sync/up-sync.ts";
import { Cloud, never, TestApi, tlsEdge, type Edge } from "./link-world.ts";

const deletePod = (cloud: Cloud, name: string): Promise<void> =>
  cloud.client.delete(kinds.Pod, { namespace: "default", name }, { gracePeriodSeconds: 0 });

const bytesOf = (message: string, involvedObject: object): Buffer =>
  Buffer.from(JSON.stringify({ metadata: {}, involvedObject, reason: "Test", message }));

/** Tells an event about a pod of this name and uid. */
async function tell(edge: Edge, message: string, name: string, uid: string | undefined): Promise<void> {
  const bytes = bytesOf(message, { kind: "Pod", namespace: "default", name, uid });
  await edge.cache.send({ id: message, topic: "events", ttlMs: 0, bytes });
}

/** What the events say that the API has, once it has taken or refused all that the edge had to tell. */
async function told(cloud: Cloud, edge: Edge): Promise<string[]> {
  await eventually(() => edge.cache.messages.after(0, 1).length === 0);
  return (await cloud.client.list<Event>(kinds.Event)).items.map((item) => item.decode().message ?? "").toSorted();
}

describe("events of an edge", () => {
  it("are about pods that are bound to it, or were until lately, by name and uid", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    await cloud.join("n2");
    const pod = async (name: string, node: string): Promise<string> =>
      (await cloud.createPod(name, node)).metadata.uid ?? "";
    const [here, gone, old, other, otherGone] = await Promise.all([
      pod("here", "n1"),
      pod("gone", "n1"),
      pod("again", "n1"),
      pod("other", "n2"),
      pod("other-gone", "n2"),
    ]);
    await using edge = tlsEdge(cloud, identity);
    await eventually(() => edge.holds().includes("pods/again"));
    await Promise.all(["gone", "again", "other-gone"].map((name) => deletePod(cloud, name)));
    const anew = await pod("again", "n1");
    await eventually(() => edge.cache.podNamed("default", "again")?.pod.metadata.uid === anew);
    await eventually(() => !edge.holds().includes("pods/gone"));

    await tell(edge, "of one that runs", "here", here);
    await tell(edge, "of one that is gone", "gone", gone);
    await tell(edge, "of one before the one of its name", "again", old);
    await tell(edge, "of the one after it", "again", anew);
    await tell(edge, "of one that never was", "never", "9f3c");
    await tell(edge, "of none in particular", "here", undefined);
    await tell(edge, "of another by its name", "here", other);
    await tell(edge, "of another by its uid", "elsewhere", gone);
    await tell(edge, "of another node's", "other", other);
    await tell(edge, "of another node's that is gone", "other-gone", otherGone);
    assert.deepEqual(await told(cloud, edge), [
      "of one before the one of its name",
      "of one that is gone",
      "of one that runs",
      "of the one after it",
    ]);
  });

  it("are acknowledged and dropped beyond the rate that a node has, with one warning", async () => {
    await using api = new TestApi();
    await api.start();
    await using informers = new Informers({ client: api.client });
    const warned: string[] = [];
    const log: Logger = { ...silentLogger, warn: (_, message) => void warned.push(message) };
    const clock = new FakeClock();
    let acknowledged = 0;
    const up = new UpSync({
      client: api.client,
      informers,
      bound: new BoundPods(informers.of<Pod>(kinds.Pod)),
      rate: new MessageRate({ burst: 3, perSecond: 1, clock, log }),
      identity: { node: "n1", uid: "u1" },
      acknowledge: { reports: () => {}, messages: (seq) => void (acknowledged = seq) },
      refuse: () => {},
      clock: systemClock,
      random: Math.random,
      log,
      signal: never,
    });
    const say = (seq: number): void => {
      const bytes = bytesOf(`${seq}`, { kind: "Node", name: "n1" });
      up.message(seq, { id: `${seq}`, topic: "events", ttlMs: 0, bytes });
    };
    const written = async (): Promise<string[]> =>
      (await api.client.list<Event>(kinds.Event)).items.map((item) => item.decode().message ?? "").toSorted();
    for (let seq = 1; seq <= 10; seq++) say(seq);
    await eventually(() => acknowledged === 10);
    assert.deepEqual(await written(), ["1", "2", "3"]);
    clock.advance(1000);
    for (let seq = 11; seq <= 20; seq++) say(seq);
    await eventually(() => acknowledged === 20);
    assert.deepEqual(await written(), ["1", "11", "2", "3"]);
    assert.deepEqual(warned, ["node sends more messages than are taken, dropping them"]);
  });
});

describe("BoundPods", () => {
  it("remembers a bounded number of pods that are gone", async () => {
    await using cloud = await new Cloud().start();
    await cloud.join("n1");
    await using informers = new Informers({ client: cloud.client });
    const pods = informers.of<Pod>(kinds.Pod);
    const bound = new BoundPods(pods, { maxGone: 2 });
    bound.start();
    informers.start();
    const names = ["a", "b", "c"];
    const known: { namespace: string; name: string; uid: string }[] = [];
    for (const name of names) {
      const { uid = "" } = (await cloud.createPod(name, "n1")).metadata;
      known.push({ namespace: "default", name, uid });
    }
    await eventually(() => known.every((pod) => bound.has("n1", pod)));
    for (const name of names) await deletePod(cloud, name);
    await eventually(() => pods.size === 0);
    assert.deepEqual(
      known.map((pod) => bound.has("n1", pod)),
      [false, true, true],
    );
    bound.stop();
  });
});
