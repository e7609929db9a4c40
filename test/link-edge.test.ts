import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock, eventually } from "@skerry/base/testing";
import {
  encodePut,
  refusal,
  Session,
  UpgradeRefusedError,
  type FrameTransport,
  type Hello,
  type SessionHandlers,
  type Welcome,
} from "@skerry/wire";
import { memoryPair } from "@skerry/wire/testing";
import { Edge } from "./link-world.ts";

const welcome: Welcome = { protocol: 1, version: "0", capabilities: [], heartbeatMs: 5000, inSync: false };

/** A hub of a test's own: it sees each greeting and acknowledgement, and says what the test says. */
class ScriptedHub {
  readonly hellos: Hello[] = [];
  readonly acknowledged: number[] = [];
  session: Session | undefined;

  readonly #handlers: SessionHandlers;

  constructor(handlers: SessionHandlers = {}) {
    this.#handlers = handlers;
  }

  readonly dial = (): Promise<FrameTransport> => {
    const { a, b } = memoryPair();
    this.session = new Session({
      transport: a,
      side: "hub",
      handlers: {
        held: () => {},
        stateAck: (seq) => void this.acknowledged.push(seq),
        ...this.#handlers,
        hello: (hello) => {
          this.hellos.push(hello);
          return this.#handlers.hello?.(hello) ?? Promise.resolve(welcome);
        },
      },
    });
    this.session.start();
    return Promise.resolve(b);
  };

  put(seq: number, name: string): void {
    const object = { resource: "configmaps", namespace: "default", name, uid: "u", hash: "h" };
    this.session?.put(seq, encodePut(object, Buffer.from(`{"metadata":{"name":"${name}"}}`)));
  }
}

describe("EdgeLink", () => {
  let folder: string;
  before(() => void (folder = mkdtempSync(path.join(tmpdir(), "skerry-edge-"))));
  after(() => rmSync(folder, { recursive: true }));

  it("acknowledges only after the commit, and many changes at once", async () => {
    const hub = new ScriptedHub();
    await using edge = new Edge(folder, { node: "n1", file: "acks", dial: hub.dial });
    const commit = edge.cache.commit.bind(edge.cache);
    const gate = Promise.withResolvers<void>();
    const sizes: number[] = [];
    edge.cache.commit = async (changes) => {
      sizes.push(changes.length);
      await gate.promise;
      await commit(changes);
    };
    await eventually(() => edge.link.status.state === "connected");
    for (let seq = 1; seq <= 40; seq++) hub.put(seq, `c${seq}`);
    await eventually(() => sizes.length === 1);
    for (let i = 0; i < 20; i++) await turn();
    assert.deepEqual(hub.acknowledged, []);
    assert.deepEqual(edge.holds(), []);
    gate.resolve();
    await eventually(() => hub.acknowledged.at(-1) === 40);
    assert.equal(edge.holds().length, 40);
    assert.ok(hub.acknowledged.length <= 3, `${hub.acknowledged.length} acknowledgements`);
  });

  it("acknowledges nothing that the cache refused, and asks for it again", async () => {
    const hub = new ScriptedHub();
    await using edge = new Edge(folder, { node: "n1", file: "full", dial: hub.dial });
    const commit = edge.cache.commit.bind(edge.cache);
    let isFull = true;
    edge.cache.commit = (changes) => (isFull ? Promise.reject(new Error("disk full")) : commit(changes));
    await eventually(() => edge.link.status.state === "connected");
    hub.put(1, "a");
    await eventually(() => hub.hellos.length >= 2);
    assert.deepEqual(hub.acknowledged, []);
    isFull = false;
    await eventually(() => edge.link.status.state === "connected");
    hub.put(1, "a");
    await eventually(() => hub.acknowledged.includes(1));
    assert.deepEqual(edge.holds(), ["configmaps/a"]);
  });

  it("greets with a greater epoch each time, over restarts, and above what the hub asks for", async () => {
    let wished = 0;
    const hub = new ScriptedHub({
      hello: () =>
        wished > 0 ? Promise.reject(refusal("stale-epoch", "old", { epoch: wished })) : Promise.resolve(welcome),
    });
    for (let life = 0; life < 3; life++) {
      await using edge = new Edge(folder, { node: "n1", file: "epochs", dial: hub.dial });
      await eventually(() => edge.link.status.state === "connected");
    }
    wished = 1000;
    await using edge = new Edge(folder, { node: "n1", file: "epochs", dial: hub.dial });
    await eventually(() => hub.hellos.length >= 4);
    wished = 0;
    await eventually(() => edge.link.status.state === "connected");
    const epochs = hub.hellos.map(({ epoch }) => epoch);
    assert.deepEqual(
      epochs,
      epochs.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(epochs).size, epochs.length);
    assert.ok((epochs.at(-1) ?? 0) > 1000);
    assert.equal(new Set(hub.hellos.map(({ instance }) => instance)).size, 4);
  });

  it("waits as long as the hub asks, longer from try to try, and starts anew after a good session", async () => {
    const clock = new FakeClock();
    const dials: number[] = [];
    const hub = new ScriptedHub();
    let answer: () => Promise<FrameTransport> = () => Promise.reject(new Error("connection refused"));
    await using edge = new Edge(folder, {
      node: "n1",
      file: "waits",
      clock,
      random: () => 0.999,
      retry: { initialMs: 1000, maxMs: 8000 },
      dial: () => {
        dials.push(clock.monotonic());
        return answer();
      },
    });
    const advance = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 100) {
        clock.advance(100);
        await turn();
        await turn();
      }
    };
    await advance(26_000);
    const waits = dials.slice(1).map((at, i) => Math.round((at - (dials[i] ?? 0)) / 1000));
    assert.deepEqual(waits.slice(0, 5), [1, 2, 4, 8, 8]);
    assert.equal(edge.link.status.problem, "connection refused");

    answer = () => Promise.reject(new UpgradeRefusedError(503, "starting", { retryAfterMs: 30_000 }));
    await advance(9000);
    const askedAt = dials.length;
    assert.equal(edge.link.status.reason, "refused");
    await advance(25_000);
    assert.equal(dials.length, askedAt, "it keeps away for as long as it was asked to");
    await advance(35_000);
    assert.ok(dials.length > askedAt);

    answer = hub.dial;
    await advance(80_000);
    assert.equal(edge.link.status.state, "connected");
    const before = dials.length;
    hub.session?.close({ reason: "shutdown", message: "restart" });
    await turn();
    await advance(1200);
    assert.equal(dials.length, before + 1, "after a good session it is back soon");
  });
});
