import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { eventually, FakeClock } from "@skerry/base/testing";
import { Informers } from "@skerry/client";
import { internalError, kinds, type Kind, type KubeObject } from "@skerry/machinery";
import type { Event, Lease, Pod, Secret } from "@skerry/machinery/types";
import { deleteToken, listTokens } from "@skerry/hub";
import { silentLogger, systemClock } from "@skerry/base";
import { Agent } from "../packages/agent/src/agent.ts";
import { noCgroups } from "../packages/agent/src/pods/cgroups.ts";
import { FakeRuntime } from "../packages/agent/src/runtime/fake/fake-runtime.ts";
import { noMounts } from "../packages/agent/src/volumes/mounts.ts";
import { join } from "../packages/agent/src/link/join.ts";
import { HubDialer } from "../packages/agent/src/link/hub-dialer.ts";
import { EdgeIdentity } from "../packages/agent/src/link/edge-identity.ts";
import { Cloud, Edge, never, newAuthority, tlsEdge } from "./link-world.ts";

/** Ends the session of node n1 and waits for the next. */
async function relink(cloud: Cloud): Promise<void> {
  const link = await eventually(() => cloud.hub.sessions.locate("n1"));
  link.close({ reason: "shutdown", message: "again" });
  await eventually(() => ![undefined, link].includes(cloud.hub.sessions.locate("n1")));
}

/** A token of this cloud whose secret is certainly another one. */
const withWrongSecret = (token: string): string =>
  token.replace(/^(skerry\.\w+\.)(.)/, (_, before: string, first: string) => before + (first === "A" ? "B" : "A"));

/** Lets no write of a pod through before the gate opens; `reached` resolves when one waits there. */
function holdPodWrites(cloud: Cloud): Record<"gate" | "reached", PromiseWithResolvers<void>> {
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  cloud.api.beforeWrite = (kind) => {
    if (kind.kind !== "Pod") return undefined;
    reached.resolve();
    return gate.promise;
  };
  return { gate, reached };
}

describe("join", () => {
  it("makes the Node, and a certificate for it that only its owner can read", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const node = await cloud.node("n1");
    assert.equal(identity.node, "n1");
    assert.equal(identity.uid, node?.metadata.uid);
    const file = path.join(cloud.folder, "n1.pem");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal((await EdgeIdentity.load(file))?.uid, identity.uid);
  });

  it("refuses an existing node's name and says how to mend it", async () => {
    await using cloud = await new Cloud().start();
    await cloud.join("n1");
    await assert.rejects(
      cloud.join("n1", { file: "other" }),
      /exists already: join under another name.*kubectl delete node n1/,
    );
  });

  it("lets the machine in whose answer was lost, and nobody else under its name", async () => {
    await using cloud = await new Cloud().start();
    const token = await cloud.token();
    const hasJoined = Promise.withResolvers<void>();
    const lost = new AbortController();
    cloud.api.beforeWrite = (kind) => {
      // The Node is made, and the machine hears nothing of it any more.
      if (kind.kind === "Node") queueMicrotask(() => lost.abort(new Error("the power failed")));
      hasJoined.resolve();
    };
    const identityFile = path.join(cloud.folder, "edge", "n1.pem");
    const options = { server: cloud.address, token, nodeName: "n1", identityFile };
    await assert.rejects(join({ ...options, signal: lost.signal }), /aborted/);
    await hasJoined.promise;
    const node = await eventually(() => cloud.node("n1"));
    cloud.api.beforeWrite = () => {};
    await assert.rejects(cloud.join("n1", { token, file: "other" }), /exists already/);
    assert.equal(existsSync(path.join(cloud.folder, "other.pem.key")), false, "a refusal leaves nothing behind");
    const identity = await join({ ...options, signal: AbortSignal.timeout(20_000) });
    assert.equal(identity.uid, node.metadata.uid);
    assert.deepEqual(readdirSync(path.dirname(identityFile)), ["n1.pem"]);
  });

  it("refuses a token that is wrong, expired, deleted, cut, or of another cloud, and says which", async () => {
    await using cloud = await new Cloud().start();
    await using other = await new Cloud().start();
    const token = await cloud.token();
    const [, id = ""] = token.split(".");
    await assert.rejects(
      cloud.join("n1", { token: withWrongSecret(token) }),
      /not known to this cloud: make one with `\.\/skerry token create`/,
    );
    await assert.rejects(cloud.join("n1", { token: await cloud.token(-1000) }), /has expired: make another/);
    await assert.rejects(cloud.join("n1", { token: await other.token() }), /of another cloud than the token/);
    await assert.rejects(cloud.join("n1", { token: token.slice(0, -5) }), /not complete/);
    const tokens = await listTokens(cloud.client, systemClock);
    assert.equal(tokens.length, 2);
    assert.ok(tokens.every((info) => info.isExpired === (info.id !== id)));
    await deleteToken(cloud.client, id);
    await assert.rejects(cloud.join("n1", { token }), /not known to this cloud/);
    assert.equal(await cloud.node("n1"), undefined);
  });

  it("keeps no token in the API, only its hash", async () => {
    await using cloud = await new Cloud().start();
    const token = await cloud.token();
    const secrets = (await cloud.client.list<Secret>(kinds.Secret)).items.map((item) =>
      Buffer.from(item.bytes).toString(),
    );
    const secret = token.split(".")[2] ?? "";
    const encoded = Buffer.from(secret).toString("base64");
    assert.ok(secrets.length === 1 && secrets.every((text) => !text.includes(secret) && !text.includes(encoded)));
  });

  it("slows down a guesser and not those who know", async () => {
    await using cloud = await new Cloud().start();
    const token = await cloud.token();
    const wrong = withWrongSecret(token);
    const attempts = await Promise.allSettled(Array.from({ length: 14 }, () => cloud.join("n1", { token: wrong })));
    const messages = attempts.map((attempt) => (attempt.status === "rejected" ? String(attempt.reason) : "in"));
    assert.ok(
      messages.some((message) => /Too many failed attempts/.test(message)),
      messages.join("\n"),
    );
    await using fresh = await new Cloud().start();
    const shared = await fresh.token();
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
    await Promise.all(names.map((name) => fresh.join(name, { token: shared })));
  });
});

describe("link", () => {
  it("brings an edge its node, its pods and what they refer to, and nothing else", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    await cloud.join("n2");
    await cloud.putConfigMap("settings", { a: "1" });
    await cloud.putConfigMap("strange", { a: "1" });
    await cloud.createPod("web", "n1", { volumes: [{ name: "v", configMap: { name: "settings" } }] });
    await cloud.createPod("other", "n2", { volumes: [{ name: "v", configMap: { name: "strange" } }] });
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    assert.deepEqual(edge.holds(), ["configmaps/settings", "nodes/n1", "pods/web"]);
    assert.ok(edge.cache.complete);
    const [, held] = [...edge.cache.pods()][0] ?? [];
    assert.equal(held?.pod.metadata.resourceVersion, undefined);

    await cloud.putConfigMap("settings", { a: "2" });
    await eventually(() => edge.cache.configMap("default", "settings")?.data?.["a"] === "2");
    await cloud.client.delete(kinds.Pod, { namespace: "default", name: "web" }, { gracePeriodSeconds: 0 });
    await eventually(() => edge.holds().join() === "nodes/n1");
  });

  it("keeps the node's lease while it lives, and not after", async () => {
    await using cloud = await new Cloud().start();
    const edge = tlsEdge(cloud, await cloud.join("n1"));
    await edge.synced();
    const lease = await eventually(() => cloud.get<Lease>(kinds.Lease, "n1", "kube-node-lease"));
    assert.equal(lease.spec?.holderIdentity, "n1");
    assert.match(lease.spec?.renewTime ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    await edge[Symbol.asyncDispose]();
    await eventually(() => cloud.hub.sessions.size === 0);
  });

  it("writes reported statuses, and does not send them back", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const pod = await cloud.createPod("web", "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    const commits: string[] = [];
    edge.cache.onChange((changed) => commits.push(...changed.map(({ resource, name }) => `${resource}/${name}`)));
    const condition = { type: "Ready", status: "True" };
    await edge.reportPod(pod, { phase: "Running", conditions: [condition] });
    const bytes = Buffer.from(
      JSON.stringify({
        metadata: { name: "n1", labels: { "kubernetes.io/arch": "amd64", "node-role.kubernetes.io/master": "" } },
        status: { capacity: { cpu: "4" }, conditions: [condition] },
      }),
    );
    await edge.cache.report({ resource: "nodes", namespace: "", name: "n1", uid: "", gone: false, bytes });
    await eventually(async () => (await cloud.pod("web"))?.status?.phase === "Running");
    const node = await eventually(async () => {
      const found = await cloud.node("n1");
      return found?.status?.capacity ? found : undefined;
    });
    assert.equal(node.metadata.labels?.["kubernetes.io/arch"], "amd64");
    assert.ok(!("node-role.kubernetes.io/master" in (node.metadata.labels ?? {})));
    await eventually(() => edge.cache.reports.after(0, 1).length === 0);
    // Something that does travel comes after whatever would have come back.
    await cloud.putConfigMap("settings", { a: "1" });
    await cloud.createPod("last", "n1", { volumes: [{ name: "v", configMap: { name: "settings" } }] });
    await eventually(() => edge.holds().includes("pods/last"));
    assert.ok(!commits.includes("pods/web"), commits.join());
    // The label is no status: the edge learns its own Node as the cloud has it.
    assert.ok(commits.includes("nodes/n1"));
  });

  it("tells an edge that lost its memory what it once reported of its pods", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const pod = await cloud.createPod("job", "n1");
    const status = { phase: "Succeeded", startTime: "2026-06-01T00:00:00Z" };
    let hash = "";
    {
      await using edge = tlsEdge(cloud, identity);
      await edge.synced();
      assert.equal(edge.cache.podNamed("default", "job")?.pod.status, undefined, "no node has taken it on yet");
      hash = edge.cache.hashOf({ resource: "pods", namespace: "default", name: "job" });
      await edge.reportPod(pod, status);
      await eventually(async () => (await cloud.pod("job"))?.status?.phase === "Succeeded");
    }
    await using edge = tlsEdge(cloud, identity, { file: "new" });
    await edge.synced();
    const held = edge.cache.podNamed("default", "job")?.pod;
    assert.equal(held?.status?.phase, "Succeeded");
    assert.equal(held?.status?.startTime, status.startTime);
    assert.equal(edge.cache.hashOf({ resource: "pods", namespace: "default", name: "job" }), hash);
  });

  it("completes a deletion once the edge has taken the pod down, and not a minute sooner", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const pod = await cloud.createPod("web", "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    await edge.reportPod(pod, { phase: "Running" }, true);
    await eventually(() => edge.cache.reports.after(0, 1).length === 0);
    assert.ok(await cloud.pod("web"), "a pod that nobody deleted stays");
    await cloud.client.delete(kinds.Pod, { namespace: "default", name: "web" });
    await eventually(() => edge.cache.podNamed("default", "web")?.pod.metadata.deletionTimestamp !== undefined);
    await edge.reportPod(pod, { phase: "Succeeded" }, true);
    await eventually(async () => (await cloud.pod("web")) === undefined);
    await eventually(() => !edge.holds().includes("pods/web"));
  });

  it("takes no word of an edge on what is not its own", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    await cloud.join("n2");
    const others = await cloud.createPod("other", "n2");
    const mine = await cloud.createPod("mine", "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    await edge.reportPod(others, { phase: "Failed" });
    await edge.reportPod({ ...mine, metadata: { ...mine.metadata, uid: "another" } }, { phase: "Failed" });
    const bytes = Buffer.from(JSON.stringify({ metadata: { name: "n2" }, status: { capacity: { cpu: "0" } } }));
    await edge.cache.report({ resource: "nodes", namespace: "", name: "n2", uid: "", gone: false, bytes });
    await edge.cache.report({ resource: "secrets", namespace: "kube-system", name: "x", uid: "", gone: false, bytes });
    const event = { involvedObject: { kind: "Pod", namespace: "default", name: "other" }, reason: "X", message: "x" };
    await edge.cache.send({
      id: "1",
      topic: "events",
      ttlMs: 0,
      bytes: Buffer.from(JSON.stringify({ metadata: {}, ...event })),
    });
    await eventually(() => edge.cache.reports.after(0, 1).length === 0 && edge.cache.messages.after(0, 1).length === 0);
    assert.equal((await cloud.pod("other"))?.status?.phase, "Pending");
    assert.equal((await cloud.pod("mine"))?.status?.phase, "Pending");
    assert.equal((await cloud.node("n2"))?.status, undefined);
    assert.equal((await cloud.client.list<Event>(kinds.Event)).items.length, 0);
  });

  it("delivers an event once however often it is sent, and counts a series as the edge counted", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const pod = await cloud.createPod("web", "n1");
    await using edge = tlsEdge(cloud, identity);
    const event = (name: string | undefined, count: number) =>
      Buffer.from(
        JSON.stringify({
          metadata: name === undefined ? {} : { name },
          involvedObject: { kind: "Pod", namespace: "default", name: "web", uid: pod.metadata.uid },
          reason: "BackOff",
          message: "Back-off restarting failed container",
          type: "Warning",
          count,
        }),
      );
    for (const id of ["a", "a2", "a"])
      await edge.cache.send({ id, topic: "events", ttlMs: 0, bytes: event(undefined, 1) }, undefined).catch(() => {});
    for (const count of [1, 2, 5, 3])
      await edge.cache.send({ id: `s${count}`, topic: "events", ttlMs: 0, bytes: event("series", count) });
    await eventually(() => edge.cache.messages.after(0, 1).length === 0);
    const counts = (await cloud.client.list<Event>(kinds.Event)).items.map((item) => item.decode().count);
    assert.deepEqual(
      counts.toSorted((a = 0, b = 0) => a - b),
      [1, 1, 5],
    );
  });

  it("asks for every status again when the cloud took the node for lost", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    let asked = 0;
    await using edge = tlsEdge(cloud, identity, { onResend: () => void asked++ });
    await edge.synced();
    assert.equal(asked, 0);
    const say = async (status: string): Promise<void> => {
      const node = await cloud.node("n1");
      assert.ok(node);
      const changed = { ...node, status: { ...node.status, conditions: [{ type: "Ready", status }] } };
      await cloud.client.update(kinds.Node, changed, { subresource: "status" });
    };
    await say("Unknown");
    await eventually(() => asked > 0);
    const before = asked;
    await relink(cloud);
    await eventually(() => asked > before, { what: "another question, of the next session" });
    await say("True");
    await relink(cloud);
    await edge.synced();
    const last = asked;
    // What somebody else does not know of the node is nothing that the edge could tell.
    const node = await cloud.node("n1");
    assert.ok(node);
    const conditions = [...(node.status?.conditions ?? []), { type: "example.com/Lit", status: "Unknown" }];
    await cloud.client.update(kinds.Node, { ...node, status: { ...node.status, conditions } } as never, {
      subresource: "status",
    });
    await relink(cloud);
    await edge.synced();
    assert.equal(asked, last);
  });

  it("gets every status of an agent again, though the agent has nothing new to say", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    await cloud.createPod("web", "n1");
    const dialer = new HubDialer({ address: cloud.address, identity, clock: systemClock, log: silentLogger });
    await using agent = new Agent({
      dataDir: path.join(cloud.folder, "agent"),
      nodeName: "n1",
      runtime: new FakeRuntime({ registry: ["app:1"] }),
      cgroups: noCgroups,
      mounts: noMounts,
      link: { dial: (signal) => dialer.dial(signal), retry: { initialMs: 10, maxMs: 50 } },
    });
    await agent.start();
    const isWell = async (): Promise<boolean> => {
      const [node, pod] = await Promise.all([cloud.node("n1"), cloud.pod("web")]);
      const ready = [node, pod].map((one) => one?.status?.conditions?.find(({ type }) => type === "Ready")?.status);
      return pod?.status?.phase === "Running" && ready.every((status) => status === "True");
    };
    await eventually(isWell);
    for (const object of [await cloud.pod("web"), await cloud.node("n1")]) {
      assert.ok(object?.status?.conditions);
      const conditions = object.status.conditions.map((condition) => ({ ...condition, status: "Unknown" }));
      const kind: Kind = object.kind === "Node" ? kinds.Node : kinds.Pod;
      const changed: KubeObject & { status: object } = { ...object, status: { ...object.status, conditions } };
      await cloud.client.update(kind, changed, { subresource: "status" });
    }
    await eventually(isWell);
  });

  it("gets the status of a pod again that the cloud wrote over while the node was back already", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const created = await cloud.createPod("web", "n1");
    let asked = 0;
    await using edge = tlsEdge(cloud, identity, { onResend: () => void asked++ });
    await edge.synced();
    const say = async (condition: object): Promise<void> => {
      const pod = await cloud.pod("web");
      assert.ok(pod);
      const changed = { ...pod, status: { ...pod.status, conditions: [{ type: "Ready", ...condition }] } } as Pod;
      await cloud.client.update<Pod>(kinds.Pod, changed, { subresource: "status" });
    };
    await edge.reportPod(created, { phase: "Running", conditions: [{ type: "Ready", status: "True" }] });
    await eventually(async () => (await cloud.pod("web"))?.status?.phase === "Running");
    await say({ status: "False", reason: "ContainersNotReady" });
    await relink(cloud);
    await edge.synced();
    assert.equal(asked, 0);
    await say({ status: "False", reason: "NodeNotReady" });
    await relink(cloud);
    await eventually(() => asked > 0);
  });

  it("acknowledges a report only after the API has committed it", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const pod = await cloud.createPod("web", "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    const { gate, reached } = holdPodWrites(cloud);
    await edge.reportPod(pod, { phase: "Running" });
    await reached.promise;
    const answer = await cloud.hub.request("n1", { method: "GET", path: "/" }, never);
    assert.equal(answer.status, 404);
    assert.equal(edge.cache.reports.after(0, 9).length, 1, "still waits, though the link is alive");
    gate.resolve();
    await eventually(() => edge.cache.reports.after(0, 1).length === 0);
    assert.equal((await cloud.pod("web"))?.status?.phase, "Running");
  });

  it("takes what is told of a pod and of the one whose name it has for two things", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const pod = await cloud.createPod("web", "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    const { gate, reached } = holdPodWrites(cloud);
    await edge.reportPod(pod, { phase: "Pending" });
    await reached.promise;
    await edge.reportPod(pod, { phase: "Running" });
    const former = { ...pod, metadata: { ...pod.metadata, uid: "00000000-0000-4000-8000-00000000000f" } };
    await edge.reportPod(former, { phase: "Failed" });
    await cloud.hub.request("n1", { method: "GET", path: "/" }, never); // answered behind the reports
    gate.resolve();
    await eventually(() => edge.cache.reports.after(0, 1).length === 0);
    assert.equal((await cloud.pod("web"))?.status?.phase, "Running");
  });

  it("keeps reports through an API that fails, and loses none", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const pod = await cloud.createPod("web", "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    let failures = 3;
    cloud.api.beforeWrite = (kind) => {
      if (kind.kind === "Pod" && failures-- > 0) throw new Error("disk full");
    };
    await edge.reportPod(pod, { phase: "Running" });
    await eventually(async () => (await cloud.pod("web"))?.status?.phase === "Running");
    assert.ok(failures < 0);
  });

  it("gives up a report that the API cannot digest, and the others go on", async () => {
    await using cloud = await new Cloud({ random: () => 0 }).start();
    const identity = await cloud.join("n1");
    const bad = await cloud.createPod("bad", "n1");
    const good = await cloud.createPod("good", "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    let tries = 0;
    cloud.api.beforeWrite = (kind, name) => {
      if (kind.kind !== "Pod" || name !== "bad") return;
      tries++;
      throw internalError("cannot be digested");
    };
    await edge.reportPod(bad, { phase: "Running" });
    await edge.reportPod(good, { phase: "Running" });
    await eventually(async () => (await cloud.pod("good"))?.status?.phase === "Running");
    await eventually(() => edge.cache.reports.after(0, 1).length === 0);
    assert.equal(tries, 10);
  });

  it("is in sync again after the cloud restarted, having carried only what changed", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    for (let i = 0; i < 50; i++) await cloud.createPod(`p${i}`, "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    await cloud.stop();
    await eventually(() => edge.link.status.state !== "connected");
    const commits: string[] = [];
    edge.cache.onChange((changed) => commits.push(...changed.map(({ resource, name }) => `${resource}/${name}`)));
    await cloud.client.delete(kinds.Pod, { namespace: "default", name: "p7" }, { gracePeriodSeconds: 0 });
    await cloud.createPod("p50", "n1");
    await cloud.start();
    await edge.synced();
    assert.deepEqual(commits.toSorted(), ["pods/p50", "pods/p7"]);
    await cloud.stop();
    commits.length = 0;
    await cloud.start();
    await edge.synced();
    assert.deepEqual(commits, []);
  });

  it("reaches the node through NodeStreams, and says so when it cannot", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    await assert.rejects(cloud.hub.request("n1", { method: "GET", path: "/" }, never), {
      reason: "ServiceUnavailable",
    });
    await using edge = tlsEdge(cloud, identity, {
      serve: ({ method, path: asked, headers }) =>
        Promise.resolve({
          status: 200,
          headers: { "content-type": "text/plain" },
          body: (async function* () {
            yield Buffer.from(`${method} ${asked} ${headers["x-a"]}`);
          })(),
        }),
    });
    await edge.synced();
    const log = "/containerLogs/default/web/main?follow=true";
    const answer = await cloud.hub.request("n1", { method: "GET", path: log, headers: { "x-a": "b" } }, never);
    assert.equal(answer.headers["content-type"], "text/plain");
    let text = "";
    for await (const chunk of answer.body) text += Buffer.from(chunk).toString();
    assert.equal(text, `GET ${log} b`);
  });

  it("does not let a log reader that stands still hold up a status", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const pod = await cloud.createPod("web", "n1");
    await using edge = tlsEdge(cloud, identity, {
      serve: () =>
        Promise.resolve({
          status: 200,
          headers: {},
          body: (async function* () {
            for (;;) yield Buffer.alloc(65_536, Math.random().toString(36));
          })(),
        }),
    });
    await edge.synced();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => cloud.hub.request("n1", { method: "GET", path: "/log" }, never)),
    );
    const readers = answers.map(({ body }) => body[Symbol.asyncIterator]());
    for (const reader of readers) await reader.next();
    await edge.reportPod(pod, { phase: "Running" });
    await eventually(async () => (await cloud.pod("web"))?.status?.phase === "Running", { timeoutMs: 2000 });
    for (const reader of readers) await reader.return?.();
  });

  it("takes the newer of two sessions, and tells users when two devices have one identity", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const first = tlsEdge(cloud, identity, { file: "first", instance: "first" });
    await first.synced();
    // The copy of the disk: same certificate, same epochs, its own life.
    const second = tlsEdge(cloud, identity, { file: "second", instance: "second" });
    const node = await eventually(async () => {
      const found = await cloud.node("n1");
      return found?.status?.conditions?.some(({ type }) => type === "DuplicateIdentity") ? found : undefined;
    });
    assert.match(node.status?.conditions?.[0]?.message ?? "", /Remove the instance on one of them/);
    const events = (await cloud.client.list<Event>(kinds.Event)).items.map((item) => item.decode().reason);
    assert.deepEqual(events, ["DuplicateIdentity"]);
    await eventually(() => [first, second].some((edge) => edge.link.status.reason === "duplicate-identity"));
    assert.equal(cloud.hub.sessions.size, 1);
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
  });

  it("does not take an agent that restarts again and again for a copy", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    for (let i = 0; i < 4; i++) {
      await using edge = tlsEdge(cloud, identity);
      await edge.synced();
    }
    assert.equal((await cloud.node("n1"))?.status, undefined);
  });

  it("lets go a node that was deleted, for good, and keeps what it holds", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    await cloud.createPod("web", "n1");
    await using edge = tlsEdge(cloud, identity);
    await edge.synced();
    await cloud.client.delete(kinds.Node, { namespace: "", name: "n1" });
    await eventually(() => /was deleted.*join again/.test(edge.link.status.problem ?? ""));
    await eventually(() => edge.link.status.reason === "refused");
    const again = await cloud.join("n1", { file: "again" });
    assert.notEqual(again.uid, identity.uid);
    await eventually(() => /joined anew on another machine/.test(edge.link.status.problem ?? ""));
    assert.ok(edge.holds().includes("pods/web"), "the edge decides alone");
  });

  it("lets go a node that was deleted between its certificate and its greeting", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    const dialer = new HubDialer({ address: cloud.address, identity, clock: systemClock, log: silentLogger });
    const gone = Promise.withResolvers<void>();
    await using edge = new Edge(cloud.folder, {
      node: "n1",
      dial: async (signal) => {
        const transport = await dialer.dial(signal);
        await cloud.client.delete(kinds.Node, { namespace: "", name: "n1" });
        await gone.promise;
        return transport;
      },
      retry: { initialMs: 60_000, maxMs: 60_000 },
    });
    await using watched = new Informers({ client: cloud.client });
    const nodes = watched.of(kinds.Node);
    watched.start();
    await watched.synced();
    await eventually(() => nodes.get({ namespace: "", name: "n1" }) === undefined);
    gone.resolve();
    await eventually(() => edge.link.status.reason === "revoked");
    assert.equal(cloud.hub.sessions.size, 0);
    assert.equal(await cloud.get<Lease>(kinds.Lease, "n1", "kube-node-lease"), undefined);
  });

  it("ends at once, though somebody connected and said nothing", { timeout: 20_000 }, async () => {
    const clock = new FakeClock(Date.now());
    await using cloud = await new Cloud({ clock }).start();
    const identity = await cloud.join("n1");
    const dialer = new HubDialer({ address: cloud.address, identity, clock: systemClock, log: silentLogger });
    const transport = await dialer.dial(never);
    const closed = new Promise<void>((resolve) =>
      transport.start({ frame: () => {}, drained: () => {}, closed: () => resolve() }),
    );
    // The clock stands still: no time that a greeting may take passes.
    await cloud.stop();
    await closed;
  });

  it("refuses an edge of another cloud, and an edge refuses another hub", async () => {
    await using cloud = await new Cloud().start();
    const identity = await cloud.join("n1");
    await cloud.stop();
    await using impostor = new Cloud({ authority: newAuthority(), port: cloud.address.port });
    await impostor.start();
    await using edge = tlsEdge(cloud, identity);
    await eventually(() => /is not the hub that this node joined \(foreign\)/.test(edge.link.status.problem ?? ""));
  });
});
